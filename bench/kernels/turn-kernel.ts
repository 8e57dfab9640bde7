/** The turn by the kernel that the node runs: one call for the batch. */
import { deviceAddress } from "../../src/base/address.js";
import { assert } from "../../src/base/assert.js";
import { Kernel, type ResidentAccount, statuses } from "../../src/kernel/kernel.js";
import { INTERLINE } from "./result.js";
import type { Message, TurnContestant, TurnResult, TurnSizes } from "./turn-contestant.js";

const NEVER_MS = 1e15;
const NO_BOUND = 0xffff_ffff;
const RUNS_AT_ONCE = 65_536;

export class KernelTurn implements TurnContestant {
  readonly system = INTERLINE;
  readonly name = "kernel (WebAssembly)";
  readonly memory = "buffers";
  readonly #kernel: Kernel;
  /** Of each device, and the reverse. */
  readonly #slots: number[] = [];
  readonly #devices: number[] = [];
  #countersBefore: ReturnType<Kernel["counters"]>;

  constructor({ inboxBytes, layoutBytes, accounts, devices, dedupKeys }: TurnSizes) {
    this.#kernel = new Kernel(
      {
        inboxBytes,
        // What is being committed and what is being laid out.
        tailBytes: 2 * layoutBytes,
        accounts,
        devices,
        dedupKeys,
        dedupMs: NEVER_MS,
        uncommittedBytes: layoutBytes,
        groups: 1,
        groupMembers: 1,
        brands: [1],
      },
      { epoch: 1, firstPart: 1 },
    );
    this.#kernel.setCrossing(0, 0, "open");
    this.#countersBefore = this.#kernel.counters();
  }

  load(account: ResidentAccount): void {
    const kernel = this.#kernel;
    assert(kernel.loadAccount(account), "the tables have room");
    for (const { number } of account.devices) {
      const brand = new DataView(account.address.buffer, account.address.byteOffset).getUint16(0);
      const address = deviceAddress({ brand, account: account.address.subarray(2), device: number });
      const slot = kernel.findDevice(address);
      assert(slot !== undefined, "a device of a resident account has a slot");
      this.#connect(slot, 0);
      this.#devices[slot] = this.#slots.length;
      this.#slots.push(slot);
    }
  }

  take(messages: readonly Message[]): void {
    const kernel = this.#kernel;
    this.#giveUp();
    kernel.clearInbox();
    for (const { sender, bytes } of messages) {
      const slot = this.#slots[sender]!;
      assert(kernel.push(slot, slot + 1, bytes), "the inbox has room");
    }
    this.#countersBefore = kernel.counters();
  }

  turn(nowMs: number): void {
    const status = this.#kernel.tick(nowMs, nowMs);
    assert(status === statuses.done, "the batch fits, and its accounts are resident");
  }

  result(): TurnResult {
    const kernel = this.#kernel;
    const sends = Array.from({ length: kernel.sendCount }, (_, i) => ({
      device: this.#devices[kernel.sendSlot(i)]!,
      bytes: kernel.sendBytes(i).slice(),
    }));
    const refusals = Array.from({ length: kernel.outcomeCount }, (_, i) => {
      const { slot, code } = kernel.outcome(i);
      return { device: this.#devices[slot]!, code };
    });
    const { sendsAccepted, duplicates } = kernel.counters();
    return {
      sends,
      refusals,
      accepted: sendsAccepted - this.#countersBefore.sendsAccepted,
      repeats: duplicates - this.#countersBefore.duplicates,
    };
  }

  /** All that was sent is acked and committed: the tail and the receipt log are empty again. */
  #giveUp(): void {
    const kernel = this.#kernel;
    for (let i = 0; i < kernel.sendCount; i++) {
      const slot = kernel.sendSlot(i);
      this.#connect(slot, kernel.last(slot));
    }
    kernel.clearSends();
    kernel.clearOutcomes();
    kernel.takeAttention();
    const sealed = kernel.seal(1, 1);
    if (sealed !== undefined) kernel.committed(sealed, 1);
    for (let seen = 1; seen > 0; ) {
      seen = kernel.spillScan(RUNS_AT_ONCE).seen;
      kernel.release();
    }
  }

  /** With everything up to `floor` acked, and room for whatever comes. */
  #connect(slot: number, floor: number): void {
    this.#kernel.attach(slot, slot + 1, { floor, windowEntries: NO_BOUND, windowBytes: NO_BOUND });
    this.#kernel.goLive(slot);
  }
}
