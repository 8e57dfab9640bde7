/**
 * Requests that have no answer yet. One that may be repeated is written again on the next connection; of any other
 * nobody could say whether it was done, so it ends with the connection that it was written to.
 */

import { encodeClientFrame } from "../wire/client-frames.js";
import { CodedError } from "../wire/coded-error.js";
import type { MsgpackMap } from "../wire/msgpack-value.js";
import { MsgpackWriter } from "../wire/msgpack-writer.js";
import { METHOD_BYTES_MAX, REQUEST_BYTES_MAX } from "../wire/protocol.js";
import type { AnswerFrame } from "../wire/server-frames.js";
import { errorOfNumber, InterlineError } from "./errors.js";
import { badArgument } from "./requests.js";

const PENDING_COUNT_MAX = 1024;

interface OpenRequest {
  readonly frame: Uint8Array;
  readonly isRepeatable: boolean;
  isWritten: boolean;
  readonly resolve: (body: MsgpackMap) => void;
  readonly reject: (error: unknown) => void;
}

export class OpenRequests {
  readonly #pending = new Map<number, OpenRequest>();
  #nextRequest = 1;

  /** `write` takes the frame if there is a connection, and says so. Rejects with InterlineError. */
  add<T>(
    request: { readonly method: string; readonly body: MsgpackMap; readonly isRepeatable: boolean },
    read: (body: MsgpackMap) => T,
    write: (frame: Uint8Array) => boolean,
  ): Promise<T> {
    if (this.#pending.size >= PENDING_COUNT_MAX) return Promise.reject(new InterlineError("queueFull"));
    const number = this.#nextRequest++;
    const frame = frameOf(number, request.method, request.body);
    const answered = new Promise<MsgpackMap>((resolve, reject) => {
      const open = { frame, isRepeatable: request.isRepeatable, isWritten: false, resolve, reject };
      this.#pending.set(number, open);
      open.isWritten = write(frame);
    });
    return answered.then((body) => readWith(body, read));
  }

  answer({ request, code, retryAfterMs, body }: AnswerFrame): void {
    const open = this.#pending.get(request);
    this.#pending.delete(request);
    if (code === 0) open?.resolve(body);
    else open?.reject(errorOfNumber(code, { retryAfterMs, body }));
  }

  /** The frames to write on a new connection. */
  frames(): Uint8Array[] {
    const open = [...this.#pending.values()];
    for (const request of open) request.isWritten = true;
    return open.map(({ frame }) => frame);
  }

  /** The connection is gone, and with it the answers to what it was asked. */
  disconnected(): void {
    for (const [number, { isWritten, isRepeatable, reject }] of this.#pending) {
      if (!isWritten || isRepeatable) continue;
      this.#pending.delete(number);
      reject(new InterlineError("connectionLost"));
    }
  }

  rejectAll(error: InterlineError): void {
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }
}

function frameOf(request: number, method: string, body: MsgpackMap): Uint8Array {
  if (new TextEncoder().encode(method).length > METHOD_BYTES_MAX)
    throw badArgument("a method has a short name");
  const writer = new MsgpackWriter();
  writer.value(body);
  if (writer.length > REQUEST_BYTES_MAX) throw badArgument("the request is larger than allowed");
  return encodeClientFrame({ kind: "request", request, method, body: writer.take() });
}

/** What the answer should hold and does not is the server's fault. */
function readWith<T>(body: MsgpackMap, read: (body: MsgpackMap) => T): T {
  try {
    return read(body);
  } catch (cause) {
    if (!(cause instanceof CodedError)) throw cause;
    throw new InterlineError("badMessage", { cause });
  }
}
