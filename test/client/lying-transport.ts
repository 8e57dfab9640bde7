/**
 * A node that lies, as a client sees it: a transport between an honest node and the client that changes, drops, holds
 * back, or repeats what one own device sends to another. Sequences are spread, so that there is room for copies; acks go
 * back to what the node knows.
 */
import type { Transport, TransportSocket } from "../../src/client/client.js";
import { limits } from "../../src/rules/limits.js";
import { decodeClientMessage, encodeClientFrame } from "../../src/wire/client-frames.js";
import { MsgpackReader } from "../../src/wire/msgpack.js";
import { encodeServerFrame } from "../../src/wire/server-frame-writer.js";
import { type OwnDeliverFrame, readServerFrame } from "../../src/wire/server-frames.js";

const SPREAD = 1000;

/** What comes in the place of a payload: itself, others, or nothing. */
export type Lie = (payload: Uint8Array) => readonly Uint8Array[];

export function lyingTransport(honest: Transport, lie: Lie): Transport {
  let copies = 0;
  const told = (frame: OwnDeliverFrame): Uint8Array[] =>
    lie(frame.payload).map((payload, i) => {
      // Each under an id of its own: a client drops what has the id of something it has taken.
      const id = i === 0 ? frame.id : frame.id.map((byte, at) => (at === 0 ? byte ^ 0xff : byte ^ ++copies));
      return encodeServerFrame({ ...frame, payload, id, sequence: frame.sequence * SPREAD + i });
    });
  const fromNode = (bytes: Uint8Array): Uint8Array => {
    const reader = new MsgpackReader(bytes);
    const frames: Uint8Array[] = [];
    while (!reader.atEnd) {
      const from = reader.offset;
      const frame = readServerFrame(reader);
      if (frame.kind === "ownDeliver") frames.push(...told(frame));
      else if (frame.kind === "deliver" || frame.kind === "gap" || frame.kind === "live")
        frames.push(encodeServerFrame({ ...frame, sequence: frame.sequence * SPREAD }));
      else frames.push(bytes.slice(from, reader.offset));
    }
    return Buffer.concat(frames);
  };
  const fromClient = (bytes: Uint8Array): Uint8Array =>
    Buffer.concat(
      [...decodeClientMessage(bytes, limits)].map((frame) =>
        encodeClientFrame(
          frame.kind === "ack" ? { ...frame, sequence: Math.floor(frame.sequence / SPREAD) } : frame,
        ),
      ),
    );
  return {
    connect(url, subprotocol) {
      const socket = honest.connect(url, subprotocol);
      const outside: TransportSocket = {
        get bufferedAmount() {
          return socket.bufferedAmount;
        },
        send: (bytes) => socket.send(fromClient(bytes)),
        close: (code, reason) => socket.close(code, reason),
        onopen: undefined,
        onmessage: undefined,
        onclose: undefined,
      };
      socket.onopen = () => outside.onopen?.();
      socket.onmessage = (bytes) => outside.onmessage?.(fromNode(bytes));
      socket.onclose = (code, reason) => outside.onclose?.(code, reason);
      return outside;
    },
  };
}
