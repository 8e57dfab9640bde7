/** Frames of a node for which a dialect has no way of its own: read whole, by the codec, if all of one is there. */
import { MsgpackReader } from "../../src/wire/msgpack.js";
import { readServerFrame, type ServerFrame } from "../../src/wire/server-frames.js";

/** The frame at `at`, and where the next begins; undefined when it is not all there yet, an error when nothing more comes. */
export function readRareFrame(
  bytes: Uint8Array,
  { at, end, isLast }: { readonly at: number; readonly end: number; readonly isLast: boolean },
): { readonly frame: ServerFrame; readonly next: number } | undefined {
  const reader = new MsgpackReader(bytes.subarray(0, end), at);
  try {
    reader.skip();
  } catch (error) {
    if (isLast) throw error;
    return undefined;
  }
  const next = reader.offset;
  return { frame: readServerFrame(new MsgpackReader(bytes.subarray(0, next), at)), next };
}
