/**
 * Sends of a mix (mix.ts) in Interline's bytes: each of its own length, to a device or to a group. They are few
 * beside what comes of them, so each is made anew, where the dialect's other sends are filled in beforehand.
 */
import { encodeClientFrame } from "../../src/wire/client-frames.js";
import type { Mix } from "./mix.js";
import { COUNTER_OFFSET, fillPayload, SENDER_OFFSET, STAMP_OFFSET, TARGET_OFFSET } from "./payload.js";

/** As a group send names it; the address in hex. */
export interface GroupName {
  readonly group: string;
  readonly version: number;
}

/** Where a direct send goes. */
export interface Recipient {
  readonly account: Uint8Array;
  readonly version: number;
  readonly device: number;
}

export class SizedSends {
  readonly #mix: Mix;
  readonly #groups: readonly { readonly address: Uint8Array; readonly version: number }[];
  readonly #filler: Uint8Array;

  /** `names`: of the mix's groups, in their order. */
  constructor(mix: Mix, names: readonly GroupName[]) {
    this.#mix = mix;
    this.#groups = names.map(({ group, version }) => ({ address: Buffer.from(group, "hex"), version }));
    this.#filler = new Uint8Array(mix.options.sizes.bytesMax);
    fillPayload(this.#filler);
  }

  /** One frame. `recipient` is asked where the target is a device. */
  frame(
    send: {
      readonly id: Uint8Array;
      readonly sender: number;
      readonly target: number;
      readonly counter: number;
      readonly stamp: number;
    },
    recipient: (target: number) => Recipient,
  ): Uint8Array {
    const { id, sender, target, counter, stamp } = send;
    const payload = this.#filler.slice(0, this.#mix.sizeOf(sender, counter));
    const view = new DataView(payload.buffer);
    view.setUint32(TARGET_OFFSET, target, true);
    view.setUint32(SENDER_OFFSET, sender, true);
    view.setUint32(COUNTER_OFFSET, counter, true);
    view.setUint32(STAMP_OFFSET, stamp, true);
    const group = this.#groups[target - this.#mix.options.devices];
    if (group !== undefined) {
      const to = { group: group.address, version: group.version };
      return encodeClientFrame({ kind: "groupSend", id, ...to, shared: payload, blocks: [] });
    }
    const { account, version, device } = recipient(target);
    return encodeClientFrame({
      kind: "send",
      id,
      accounts: [{ account, version, devices: [{ device, payload }] }],
    });
  }
}
