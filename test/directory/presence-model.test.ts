/**
 * Presence under any history: once nothing happens any more, what each device that watches was told last of each account is how
 * it is, and nobody was told of anybody without an agreement of both. Failures shrink to the shortest history that shows them.
 */
import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type AccountAddress, accountOf, type DeviceAddress, deviceAddress } from "../../src/base/address.js";
import { toHex } from "../../src/base/bytes.js";
import { Presence } from "../../src/directory/presence.js";
import { limits } from "../../src/rules/limits.js";
import { coverage } from "../../src/wire/contacts.js";
import { decodeServerMessage } from "../../src/wire/server-frames.js";

const [PEOPLE, DEVICES] = [3, 2];
const SETTLED_MS = limits.presenceOfflineMs + limits.presenceRetryMs + 4 * limits.presenceTickMs;

const deviceOf = (person: number, number: number): DeviceAddress =>
  deviceAddress({ brand: 1, account: new Uint8Array(16).fill(person + 1), device: number + 1 });
const accountOfPerson = (person: number): AccountAddress => accountOf(deviceOf(person, 0));
const personOf = (account: AccountAddress): number => (account[2] as number) - 1;

/** One side's agreement: with whom, and what it covers from now on. */
interface Given {
  readonly from: number;
  readonly to: number;
  readonly covers: number;
}

type Step =
  | {
      readonly do: "connect" | "disconnect" | "watch" | "unwatch" | "fallBehind" | "catchUp";
      readonly at: readonly [number, number];
    }
  | { readonly do: "agree"; readonly changes: readonly Given[] }
  | { readonly do: "pass"; readonly ms: number };

class World {
  readonly given = new Map<string, number>();
  readonly behind = new Set<string>();
  readonly connected = new Set<string>();
  readonly watching = new Set<string>();
  /** Persons that a device was last told to be here. */
  readonly here = new Map<string, Set<number>>();
  readonly wrongs: string[] = [];
  readonly presence: Presence;

  constructor(more: { readonly presenceRowsPerTick?: number }) {
    this.presence = new Presence({
      store: { contacts: { both: this.both, list: this.list } as never },
      clock: { wallMs: () => 0, monotonicMs: () => performance.now() },
      limits: { ...limits, ...more },
      mayReach: () => true,
      tell: (device, frameOf) => this.tell(device, frameOf),
    });
  }

  readonly both = (a: AccountAddress, b: AccountAddress): number =>
    this.covers(personOf(a), personOf(b)) & this.covers(personOf(b), personOf(a));

  readonly list = (account: AccountAddress) =>
    Array.from({ length: PEOPLE }, (_, to) => ({ to, covers: this.covers(personOf(account), to) }))
      .filter(({ covers }) => covers > 0)
      .map(({ to, covers }) => ({ account: accountOfPerson(to), covers }));

  covers(from: number, to: number): number {
    return this.given.get(`${from} ${to}`) ?? 0;
  }

  tell(device: DeviceAddress, frameOf: () => Uint8Array): boolean {
    const name = toHex(device);
    if (this.behind.has(name)) return false;
    for (const frame of decodeServerMessage(frameOf())) {
      if (frame.kind !== "presence") throw new Error(`a frame of kind ${frame.kind}`);
      if (!this.watching.has(name)) this.wrongs.push("told without having asked");
      for (const account of frame.offline) this.here.get(name)?.delete(personOf(account));
      for (const account of frame.online) {
        this.here.get(name)?.add(personOf(account));
        if ((this.both(accountOf(device), account) & coverage.presence) === 0)
          this.wrongs.push("told without both");
      }
    }
    return true;
  }

  step(step: Step): void {
    if (step.do === "pass") vi.advanceTimersByTime(step.ms);
    else if (step.do === "agree") this.agree(step.changes);
    else this.stepOf(step.do, deviceOf(...step.at));
  }

  stepOf(what: Exclude<Step["do"], "agree" | "pass">, device: DeviceAddress): void {
    const name = toHex(device);
    if (what === "connect") {
      this.forget(name);
      this.connected.add(name);
      this.presence.connected(device);
    } else if (!this.connected.has(name)) return;
    else if (what === "disconnect") {
      this.forget(name);
      this.presence.disconnected(device);
    } else if (what === "watch") {
      this.watching.add(name);
      this.presence.watch(device);
    } else if (what === "unwatch") {
      this.watching.delete(name);
      this.here.set(name, new Set());
      this.presence.unwatch(device);
    } else if (what === "fallBehind") this.behind.add(name);
    else this.behind.delete(name);
  }

  forget(name: string): void {
    this.connected.delete(name);
    this.watching.delete(name);
    this.behind.delete(name);
    this.here.set(name, new Set());
  }

  /** In one transaction: they are told when all of them hold, each with what both had before it. */
  agree(changes: readonly Given[]): void {
    const told = changes.map(({ from, to }) => {
      const [account, other] = [accountOfPerson(from), accountOfPerson(to)];
      return { account, other, before: this.both(account, other) };
    });
    for (const { from, to, covers } of changes) this.given.set(`${from} ${to}`, covers);
    for (const change of told) this.presence.contactsChanged(change);
  }

  /** Who is here for a person, if everything was told. */
  visibleTo(person: number): number[] {
    const isHere = (other: number): boolean =>
      Array.from({ length: DEVICES }, (_, number) => toHex(deviceOf(other, number))).some((name) =>
        this.connected.has(name),
      );
    const isAgreed = (other: number): boolean =>
      (this.covers(person, other) & this.covers(other, person) & coverage.presence) !== 0;
    return Array.from({ length: PEOPLE }, (_, other) => other).filter(
      (other) => other !== person && isHere(other) && isAgreed(other),
    );
  }
}

const at = fc.tuple(fc.nat(PEOPLE - 1), fc.nat(DEVICES - 1));
const given = fc
  .record({ from: fc.nat(PEOPLE - 1), to: fc.nat(PEOPLE - 1), covers: fc.constantFrom(0, 1, 2, 3) })
  .filter(({ from, to }) => from !== to);
/** At most one change of each account, as a transaction has. */
const changes = fc.uniqueArray(given, { minLength: 1, maxLength: PEOPLE, selector: ({ from }) => from });
const actions = ["connect", "disconnect", "watch", "unwatch", "fallBehind", "catchUp"] as const;
const times = [
  limits.presenceTickMs / 2,
  limits.presenceTickMs,
  limits.presenceOnlineMs,
  SETTLED_MS,
] as const;
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom(...actions), at }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("agree" as const), changes }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("pass" as const), ms: fc.constantFrom(...times) }) },
);
const begun: Step[] = [0, 1, 2].flatMap((person): Step[] => [
  { do: "connect", at: [person, 0] },
  { do: "watch", at: [person, 0] },
]);

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
afterEach(() => void vi.useRealTimers());

test.each([
  ["with room for all of it in each tick", {}],
  ["with room for the least of it in each tick", { presenceRowsPerTick: 1 }],
])("what was told last is how it is, %s", (_, more) => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 60 }), (steps) => {
      const world = new World(more);
      try {
        for (const one of [...begun, ...steps]) world.step(one);
        world.behind.clear();
        vi.advanceTimersByTime(2 * SETTLED_MS);
        for (const name of world.watching) {
          const person = personOf(accountOf(Buffer.from(name, "hex")));
          expect([...(world.here.get(name) ?? [])].sort()).toEqual(world.visibleTo(person));
        }
        expect(world.wrongs).toEqual([]);
        expect(vi.getTimerCount()).toBe(0);
      } finally {
        world.presence.stop();
      }
    }),
    { numRuns: 2_000 },
  );
});
