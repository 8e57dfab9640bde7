/** Presence: what is told, when, to whom, and that nothing else ever is. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { accountOf, type DeviceAddress, deviceAddress } from "../../src/base/address.js";
import { toHex } from "../../src/base/bytes.js";
import { Presence } from "../../src/directory/presence.js";
import { limits } from "../../src/rules/limits.js";
import { decodeServerMessage } from "../../src/wire/server-frames.js";

const id = (n: number) => new Uint8Array(16).fill(n);
const device = (n: number, number = 1) => deviceAddress({ brand: 1, account: id(n), device: number });
const [alice, bob, carol] = [device(1), device(2), device(3)];
const nameOf = (account: Uint8Array): string =>
  ({ 1: "alice", 2: "bob", 3: "carol" })[account[2] as number] ?? toHex(account);

/** Agreements as their service would have them. */
class Agreements {
  readonly given = new Map<string, number>();
  /** Agreements that were looked at. */
  listed = 0;
  onChanged: (change: { account: Uint8Array; other: Uint8Array; before: number }) => void = () => {};

  both = (a: Uint8Array, b: Uint8Array): number =>
    (this.given.get(toHex(a) + toHex(b)) ?? 0) & (this.given.get(toHex(b) + toHex(a)) ?? 0);

  list = (account: Uint8Array) => {
    const mine = [...this.given].filter(([key, covers]) => key.startsWith(toHex(account)) && covers > 0);
    this.listed += mine.length;
    return mine.map(([key, covers]) => ({ account: Buffer.from(key.slice(36), "hex"), covers }));
  };

  set(from: DeviceAddress, to: DeviceAddress, covers: number): void {
    const [account, other] = [accountOf(from), accountOf(to)];
    const before = this.both(account, other);
    this.given.set(toHex(account) + toHex(other), covers);
    this.onChanged({ account, other, before });
  }

  agree(a: DeviceAddress, b: DeviceAddress, covers = 3): void {
    this.set(a, b, covers);
    this.set(b, a, covers);
  }
}

let agreements: Agreements;
let presence: Presence;
/** What devices were told, by device. */
let told: Map<string, string[]>;
const behind = new Set<string>();
let isCrossingOpen: boolean;

function make(more: { readonly presenceRowsPerTick?: number; readonly contactsMax?: number } = {}): void {
  presence = new Presence({
    store: { contacts: agreements as never },
    clock: { wallMs: () => 0, monotonicMs: () => performance.now() },
    limits: { ...limits, ...more },
    mayReach: () => isCrossingOpen,
    tell: (address, frameOf) => {
      if (behind.has(toHex(address))) return false;
      for (const frame of decodeServerMessage(frameOf())) {
        if (frame.kind !== "presence") throw new Error(`a frame of kind ${frame.kind}`);
        const words = [
          ...frame.online.map((account) => `+${nameOf(account)}`),
          ...frame.offline.map((account) => `-${nameOf(account)}`),
        ];
        told.get(toHex(address))?.push(words.join(" "));
      }
      return true;
    },
  });
  agreements.onChanged = (change) => presence.contactsChanged(change);
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  agreements = new Agreements();
  told = new Map();
  behind.clear();
  isCrossingOpen = true;
  make();
});
afterEach(() => {
  presence.stop();
  vi.useRealTimers();
});

const to = (address: DeviceAddress): string[] => {
  const words = told.get(toHex(address)) ?? [];
  told.set(toHex(address), []);
  return words;
};
const connect = (address: DeviceAddress): void => {
  told.set(toHex(address), []);
  presence.connected(address);
};
/** A tick's length and more than either delay. */
const [TICK_MS, SETTLED_MS] = [limits.presenceTickMs, limits.presenceOfflineMs + 2 * limits.presenceTickMs];
const pass = (ms: number): unknown => vi.advanceTimersByTime(ms);

/** Connected, settled, and told what there was. */
function watching(...devices: DeviceAddress[]): void {
  for (const address of devices) connect(address);
  pass(SETTLED_MS);
  for (const address of devices) presence.watch(address);
  pass(TICK_MS);
  for (const address of devices) to(address);
}

describe("who watches", () => {
  test("is told what is so, and then what changes", () => {
    agreements.agree(alice, bob);
    agreements.agree(alice, carol);
    connect(bob);
    pass(SETTLED_MS);
    connect(alice);
    presence.watch(alice);
    pass(TICK_MS);
    expect(to(alice)).toEqual(["+bob -carol"]);
    connect(carol);
    pass(SETTLED_MS);
    expect(to(alice)).toEqual(["+carol"]);
    presence.disconnected(bob);
    pass(SETTLED_MS);
    expect(to(alice)).toEqual(["-bob"]);
    expect([to(bob), to(carol)]).toEqual([[], []]);
  });

  test("is told of an account, not of its devices: the first that comes and the last that goes", () => {
    agreements.agree(alice, bob);
    watching(alice);
    connect(bob);
    connect(device(2, 2));
    pass(SETTLED_MS);
    expect(to(alice)).toEqual(["+bob"]);
    presence.disconnected(bob);
    pass(SETTLED_MS);
    expect(to(alice)).toEqual([]);
    presence.disconnected(device(2, 2));
    pass(SETTLED_MS);
    expect(to(alice)).toEqual(["-bob"]);
  });

  test("is not told of what comes back in time, nor of what was only there for a moment", () => {
    agreements.agree(alice, bob);
    watching(alice);
    connect(bob);
    pass(limits.presenceOnlineMs - TICK_MS);
    presence.disconnected(bob);
    pass(SETTLED_MS);
    expect(to(alice)).toEqual([]);
    connect(bob);
    pass(SETTLED_MS);
    expect(to(alice)).toEqual(["+bob"]);
    for (let i = 0; i < 10; i++) {
      presence.disconnected(bob);
      pass(limits.presenceOfflineMs - TICK_MS);
      connect(bob);
      pass(TICK_MS);
    }
    pass(SETTLED_MS);
    expect(to(alice)).toEqual([]);
  });

  test("gets everything of one tick in one frame", () => {
    agreements.agree(alice, bob);
    agreements.agree(alice, carol);
    watching(alice);
    connect(bob);
    connect(carol);
    pass(SETTLED_MS);
    expect(to(alice)).toEqual(["+bob +carol"]);
  });

  test("stops to be told by asking, and by a new connection that has not asked", () => {
    agreements.agree(alice, bob);
    watching(alice);
    presence.unwatch(alice);
    connect(bob);
    pass(SETTLED_MS);
    presence.watch(alice);
    pass(TICK_MS);
    expect(to(alice)).toEqual(["+bob"]);
    connect(alice);
    presence.disconnected(bob);
    pass(SETTLED_MS);
    expect(to(alice)).toEqual([]);
  });

  test("and is behind is told nothing, and everything once it has caught up", () => {
    agreements.agree(alice, bob);
    agreements.agree(alice, carol);
    watching(alice);
    behind.add(toHex(alice));
    connect(bob);
    pass(SETTLED_MS);
    presence.disconnected(bob);
    connect(carol);
    pass(SETTLED_MS);
    behind.clear();
    pass(limits.presenceRetryMs + TICK_MS);
    expect(to(alice)).toEqual(["+carol -bob"]);
    pass(SETTLED_MS);
    expect(to(alice)).toEqual([]);
  });
});

test("who withdraws while behind is told later that the other is not here", () => {
  agreements.agree(alice, bob);
  watching(alice, bob);
  behind.add(toHex(alice));
  connect(carol);
  agreements.agree(alice, carol);
  pass(SETTLED_MS);
  agreements.set(alice, bob, 0);
  behind.clear();
  pass(limits.presenceRetryMs + TICK_MS);
  expect(to(alice)).toEqual(["+carol -bob"]);
  expect(to(bob)).toEqual(["-alice"]);
});

test("whoever comes and goes while one is behind does not keep others from being remembered as gone", () => {
  make({ contactsMax: 2 });
  agreements.agree(alice, bob);
  agreements.agree(alice, carol);
  watching(alice, bob, carol);
  behind.add(toHex(alice));
  for (let i = 0; i < 3; i++) {
    presence.disconnected(bob);
    pass(SETTLED_MS);
    connect(bob);
    pass(SETTLED_MS);
  }
  presence.disconnected(carol);
  pass(SETTLED_MS);
  agreements.set(alice, carol, 0);
  behind.clear();
  pass(limits.presenceRetryMs + TICK_MS);
  expect(to(alice)).toEqual(["+bob -carol"]);
});

describe("without an agreement of both", () => {
  test.each([
    ["neither side has agreed", 0, 0],
    ["only the other has", 0, 3],
    ["only signals were agreed to", 1, 1],
    ["one side has agreed to signals only", 1, 3],
  ])("nothing is told when %s", (_, own, others) => {
    agreements.set(alice, bob, own);
    agreements.set(bob, alice, others);
    watching(alice);
    connect(bob);
    pass(SETTLED_MS);
    presence.disconnected(bob);
    pass(SETTLED_MS);
    expect(to(alice)).toEqual([]);
  });

  test("what is told at first is the same whether the other has agreed, is not there, or does not exist", () => {
    agreements.set(alice, bob, 2);
    agreements.set(alice, carol, 2);
    agreements.set(carol, alice, 2);
    const nobody = device(9);
    agreements.set(alice, nobody, 2);
    connect(bob);
    connect(alice);
    pass(SETTLED_MS);
    presence.watch(alice);
    pass(TICK_MS);
    expect(to(alice)).toEqual([`-bob -carol -${toHex(accountOf(nobody))}`]);
  });

  test("nothing crosses between brands that are closed to each other", () => {
    isCrossingOpen = false;
    agreements.agree(alice, bob);
    watching(alice);
    connect(bob);
    pass(SETTLED_MS);
    agreements.set(bob, alice, 0);
    agreements.set(bob, alice, 3);
    expect(to(alice)).toEqual([]);
  });
});

describe("an agreement", () => {
  test("that comes to be brings what is so to both, at once; one that ends takes it away from both", () => {
    watching(alice, bob);
    agreements.set(alice, bob, 2);
    expect([to(alice), to(bob)]).toEqual([[], []]);
    agreements.set(bob, alice, 3);
    expect([to(alice), to(bob)]).toEqual([["+bob"], ["+alice"]]);
    agreements.set(bob, alice, 2);
    expect([to(alice), to(bob)]).toEqual([[], []]);
    agreements.set(bob, alice, 1);
    expect([to(alice), to(bob)]).toEqual([["-bob"], ["-alice"]]);
    presence.disconnected(bob);
    pass(SETTLED_MS);
    expect(to(alice)).toEqual([]);
  });

  test("that ends while something is on its way stops it", () => {
    agreements.agree(alice, bob);
    watching(alice);
    connect(bob);
    pass(limits.presenceOnlineMs - TICK_MS);
    agreements.set(bob, alice, 0);
    pass(SETTLED_MS);
    expect(to(alice)).toEqual([]);
  });
});

describe("the work", () => {
  test("of one tick is bounded; the rest follows, and nobody is left out", () => {
    make({ presenceRowsPerTick: 10 });
    const people = Array.from({ length: 30 }, (_, i) => device(100 + i));
    for (const person of people) agreements.agree(alice, person);
    watching(alice);
    for (const person of people) connect(person);
    pass(limits.presenceOnlineMs);
    let most = 0;
    for (let tick = 0; tick < 10; tick++) {
      const before = agreements.listed;
      pass(TICK_MS);
      most = Math.max(most, agreements.listed - before);
    }
    expect(most).toBeLessThanOrEqual(10);
    expect(to(alice).join(" ").split(" ")).toHaveLength(30);
  });

  test("is none when nobody watches, and no timer is left when there is nothing to tell", () => {
    agreements.agree(alice, bob);
    connect(alice);
    connect(bob);
    pass(SETTLED_MS);
    presence.disconnected(bob);
    pass(SETTLED_MS);
    expect(agreements.listed).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });
});
