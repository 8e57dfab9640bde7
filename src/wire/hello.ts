/**
 * The first frame of a connection (drawn in protocol.ts), read by the edge. Bad bytes make the decoder throw CodedError and
 * nothing else.
 */
import { CodedError } from "./coded-error.js";
import { badFrame, MsgpackReader } from "./msgpack.js";
import { kinds } from "./protocol.js";

export interface HelloFrame {
  readonly kind: "hello";
  readonly token: string;
  /** The last sequence the device has taken; 0 leaves it to the server's record. */
  readonly resume: number;
  /** Wanted bounds on what is sent and not yet acked; 0 asks for the server's default. */
  readonly windowEntries: number;
  readonly windowBytes: number;
}

/**
 * Reads the first message of a connection: exactly one hello and nothing after
 * it. For bytes of somebody nobody knows yet: only the token is copied, and it
 * is measured first. Throws CodedError `helloExpected` when the bytes begin
 * with a well-formed header of another frame, `badFrame` otherwise.
 */
export function decodeHello(bytes: Uint8Array, tokenBytesMax: number): HelloFrame {
  const reader = new MsgpackReader(bytes);
  const count = reader.array();
  const kind = reader.uint();
  if (kind !== kinds.hello) throw new CodedError("helloExpected");
  if (count !== 5) throw badFrame("hello has five elements");
  const frame = readHello(reader, tokenBytesMax);
  if (!reader.atEnd) throw new CodedError("helloExpected", { detail: "hello is alone in its message" });
  return frame;
}

/** What follows the kind. */
export function readHello(reader: MsgpackReader, tokenBytesMax?: number): HelloFrame {
  return {
    kind: "hello",
    token: reader.str(tokenBytesMax),
    resume: reader.uint(),
    windowEntries: reader.uint(),
    windowBytes: reader.uint(),
  };
}
