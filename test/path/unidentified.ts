/** A connection that speaks for nobody, in the harness's world. */
import { type ClientFrame, encodeClientFrame } from "../../src/wire/client-frames.js";
import { type AnySealedSendFrame, encodeSealedSend, encodeSealedSharedSend } from "../../src/wire/sealed.js";
import { FakeConnection, type World } from "./harness.js";

function encode(frame: ClientFrame | AnySealedSendFrame): Uint8Array {
  if (frame.kind === "sealedSend") return encodeSealedSend(frame);
  return frame.kind === "sealedSharedSend" ? encodeSealedSharedSend(frame) : encodeClientFrame(frame);
}

export class Unidentified {
  readonly connection = new FakeConnection();
  readonly world: World;
  readonly slot: number;

  constructor(world: World, brand = 2) {
    this.world = world;
    const attached = world.path.attachUnidentified(brand, this.connection, world.wallMs);
    if ("refused" in attached) throw new Error(attached.refused);
    this.slot = attached.slot;
  }

  say(...frames: (ClientFrame | AnySealedSendFrame)[]): this {
    this.world.path.receive(this.slot, Buffer.concat(frames.map(encode)));
    return this;
  }

  /** Receipts and refusals in order. */
  get answers(): string[] {
    return this.connection.frames.flatMap((frame) => {
      if (frame.kind === "receipt") return [`receipt ${frame.position} ${frame.durability}`];
      return frame.kind === "refusal" ? [`refusal ${frame.position} ${frame.code}`] : [];
    });
  }
}
