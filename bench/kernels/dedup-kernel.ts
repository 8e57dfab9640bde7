/** Dedup by the kernel that the node runs, called as recovery calls it: keys copied in, one call per batch. */
import { Kernel } from "../../src/kernel/kernel.js";
import { type DedupContestant, type DedupOptions, KEY_BYTES, type KeyPool } from "./dedup-contestant.js";
import { INTERLINE } from "./result.js";

const MiB = 1024 * 1024;

export class KernelDedup implements DedupContestant {
  readonly system = INTERLINE;
  readonly name = "kernel (WebAssembly)";
  readonly memory = "buffers";
  readonly roomKeys: number;
  readonly #kernel: Kernel;

  constructor({ generationKeys, generationMs }: DedupOptions) {
    this.roomKeys = 2 * generationKeys;
    this.#kernel = new Kernel(
      {
        inboxBytes: MiB,
        tailBytes: 16 * MiB,
        accounts: 1024,
        devices: 1024,
        dedupKeys: generationKeys,
        dedupMs: generationMs,
        uncommittedBytes: MiB,
        groups: 1,
        groupMembers: 1,
        brands: [1],
      },
      { epoch: 1, firstPart: 1 },
    );
  }

  take(keys: KeyPool, first: number, count: number, answers: Uint8Array, nowMs: number): void {
    const { bytes, inboxAt } = this.#kernel;
    bytes.set(keys.bytes.subarray(first * KEY_BYTES, (first + count) * KEY_BYTES), inboxAt);
    const at = this.#kernel.dedupInPlace(count, nowMs);
    answers.set(bytes.subarray(at, at + count));
  }
}
