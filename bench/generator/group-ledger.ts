/**
 * The ledger of a run with groups: what is sent to a group counts as a send to each of its members but the sender, so
 * that a message which one member misses, or gets twice, is found, and so that what a device sends another one in groups
 * and directly has one order.
 *
 *   target < devices     a device
 *   target ≥ devices     the group with this number beyond them; the payload's counter numbers all group sends of the run
 *
 *   group send 7 of device 3 to group {3, 5, 9}   ─▶   3→5 counter 12,  3→9 counter 4      (ledger.ts)
 *
 * A member's arrival is looked up by the number and judged as the pair's.
 */
import { assert } from "../../src/base/assert.js";
import { Ledger } from "./ledger.js";

interface GroupSend {
  readonly sender: number;
  readonly group: number;
  /** By the member's place in the group; 0 for the sender. */
  readonly counters: Uint32Array;
}

export class GroupLedger extends Ledger {
  readonly #members: readonly (readonly number[])[];
  /** Per group: the place of each member. */
  readonly #places: readonly ReadonlyMap<number, number>[];
  readonly #sends: GroupSend[] = [];

  constructor(devices: number, senders: number, groups: readonly (readonly number[])[]) {
    super(devices, senders);
    this.#members = groups;
    this.#places = this.#members.map((members) => new Map(members.map((member, place) => [member, place])));
  }

  override send(sender: number, target: number): number {
    if (target < this.devices) return super.send(sender, target);
    const group = target - this.devices;
    const members = this.#members[group];
    assert(members !== undefined, "a group is sent to that there is");
    const counters = Uint32Array.from(members, (member) =>
      member === sender ? 0 : super.send(sender, member),
    );
    return this.#sends.push({ sender, group, counters });
  }

  override withdraw(sender: number, target: number, counter: number): void {
    if (target < this.devices) {
      super.withdraw(sender, target, counter);
      return;
    }
    const { group, counters } = this.#sends[counter - 1]!;
    this.#members[group]!.forEach((member, place) => {
      if (member !== sender) super.withdraw(sender, member, counters[place]!);
    });
  }

  override receive(receiver: number, sender: number, target: number, counter: number): void {
    if (target < this.devices) {
      super.receive(receiver, sender, target, counter);
      return;
    }
    const sent = this.#sends[counter - 1];
    const isSo = sent?.sender === sender && sent.group === target - this.devices;
    const place = isSo ? this.#places[sent.group]!.get(receiver) : undefined;
    // No counter is zero: whom nothing was sent gets it misdelivered.
    super.receive(receiver, sender, receiver, place === undefined ? 0 : sent!.counters[place]!);
  }
}
