/**
 * Requests that have no answer yet. One that may be repeated is asked again on the next connection; of any other that was
 * asked nobody could say whether it was done, so it ends with its connection.
 */
import { encodeClientFrame } from "../wire/client-frames.js";
import { CodedError } from "../wire/coded-error.js";
import type { MsgpackMap } from "../wire/msgpack-value.js";
import { MsgpackWriter } from "../wire/msgpack-writer.js";
import { METHOD_BYTES_MAX, REQUEST_BYTES_MAX, REQUESTS_UNDER_WAY_MAX } from "../wire/protocol.js";
import type { AnswerFrame } from "../wire/server-frames.js";
import { errorOfNumber, InterlineError } from "./errors.js";
import { type Question, Questions } from "./questions.js";
import { badArgument } from "./requests.js";

interface OpenRequest extends Question {
  readonly resolve: (body: MsgpackMap) => void;
}

export class OpenRequests extends Questions<OpenRequest> {
  constructor() {
    super(REQUESTS_UNDER_WAY_MAX);
  }

  /** Rejects with InterlineError. */
  ask<T>(
    request: { readonly method: string; readonly body: MsgpackMap; readonly isRepeatable: boolean },
    read: (body: MsgpackMap) => T,
  ): Promise<T> {
    const { method, body, isRepeatable } = request;
    const answered = new Promise<MsgpackMap>((resolve, reject) => {
      this.add((number) => ({ frame: frameOf(number, method, body), isRepeatable, resolve, reject }));
    });
    return answered.then((answer) => readWith(answer, read));
  }

  answer({ request, code, retryAfterMs, body }: AnswerFrame): void {
    const open = this.take(request);
    if (code === 0) open?.resolve(body);
    else open?.reject(errorOfNumber(code, { retryAfterMs, body }));
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
