/**
 * Frames from server to client as the node's cold path writes them; server-frames.ts says what they hold. `deliver` and
 * `receipt` on the hot path are laid out by the kernel; what is written here has the same shape. `welcome` and a refusal
 * with a detail are written by control.ts.
 */
import { concatBytes } from "../base/bytes.js";
import { type CodeName, codes } from "./codes.js";
import { MsgpackWriter } from "./msgpack-writer.js";
import { kinds } from "./protocol.js";
import type {
  DeliverFrame,
  GroupDeliverFrame,
  OwnDeliverFrame,
  PlainServerFrame,
  SharedDeliverFrame,
} from "./server-frames.js";

/** Appends one frame; a message may hold many. */
function writeServerFrame(writer: MsgpackWriter, frame: PlainServerFrame): void {
  switch (frame.kind) {
    case "deliver":
    case "ownDeliver":
      writeDeliver(writer, frame);
      return;
    case "sharedDeliver":
    case "groupDeliver":
      writeShared(writer, frame);
      return;
    case "receipt":
      writeUints(writer, kinds.receipt, [frame.position, frame.durability]);
      return;
    case "gap":
      writeUints(writer, kinds.gap, [frame.sequence, frame.count, frame.reason]);
      return;
    case "live":
      writeUints(writer, kinds.live, [frame.sequence]);
      return;
    case "pong":
      writeUints(writer, kinds.pong, [frame.nonce, frame.timeMs]);
      return;
    case "signal":
      writeBins(writer, kinds.signal, [frame.sender, frame.payload]);
      return;
    case "groupSignal":
      writeBins(writer, kinds.groupSignal, [frame.sender, frame.group, frame.payload]);
      return;
    case "presence":
      writeBins(writer, kinds.presence, [concatBytes(frame.online), concatBytes(frame.offline)]);
      return;
    case "roster":
      writer.array(5);
      writer.uint(kinds.roster);
      writer.uint(frame.request);
      writer.bin(frame.account);
      writer.uint(frame.version);
      writer.array(frame.devices.length);
      for (const device of frame.devices) writer.uint(device);
      return;
    case "error":
      writer.array(4);
      writer.uint(kinds.error);
      writer.uint(frame.code);
      writer.uint(frame.retryAfterMs);
      writer.str(frame.message);
      return;
    case "answer":
      writer.array(5);
      writer.uint(kinds.answer);
      writer.uint(frame.request);
      writer.uint(frame.code);
      writer.uint(frame.retryAfterMs);
      writer.value(frame.body);
      return;
  }
}

/** Always 65 bytes and the payload: the kernel finds its way in it by offsets. */
function writeDeliver(writer: MsgpackWriter, frame: DeliverFrame | OwnDeliverFrame): void {
  writer.array(6);
  writer.uint(kinds[frame.kind]);
  writer.uint64(frame.sequence);
  writer.bin(frame.sender);
  writer.bin(frame.id);
  writer.uint64(frame.timeMs);
  writer.bin32(frame.payload);
}

/** In the one shape in which the kernel composes it. */
function writeShared(writer: MsgpackWriter, frame: SharedDeliverFrame | GroupDeliverFrame): void {
  writer.array(frame.kind === "sharedDeliver" ? 7 : 9);
  writer.uint(kinds[frame.kind]);
  writer.uint64(frame.sequence);
  writer.bin(frame.sender);
  writer.bin(frame.id);
  writer.uint64(frame.timeMs);
  if (frame.kind === "groupDeliver") {
    writer.bin(frame.group);
    writer.uint32(frame.version);
  }
  writer.bin16(frame.block);
  writer.bin32(frame.shared);
}

function writeUints(writer: MsgpackWriter, kind: number, values: readonly number[]): void {
  writer.array(values.length + 1);
  writer.uint(kind);
  for (const value of values) writer.uint(value);
}

function writeBins(writer: MsgpackWriter, kind: number, values: readonly Uint8Array[]): void {
  writer.array(values.length + 1);
  writer.uint(kind);
  for (const value of values) writer.bin(value);
}

/** One frame as bytes of its own. */
export function encodeServerFrame(frame: PlainServerFrame): Uint8Array {
  const writer = new MsgpackWriter();
  writeServerFrame(writer, frame);
  return writer.take();
}

/** The last frame of a connection: why the node ends it. */
export function encodeError(code: CodeName, retryAfterMs: number): Uint8Array {
  const { code: number, message } = codes[code];
  return encodeServerFrame({ kind: "error", code: number, retryAfterMs, message });
}
