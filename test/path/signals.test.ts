/** Signals: only to those who have agreed, never stored, and the first to be dropped. */
import { afterEach, describe, expect, it } from "vitest";
import { accountOf } from "../../src/base/address.js";
import { toHex } from "../../src/base/bytes.js";
import { limits } from "../../src/rules/limits.js";
import { type Device, World } from "./harness.js";

let world: World;
afterEach(async () => {
  await world.remove();
});

/** Whoever is in it has agreed with everybody else who is. */
const agreed = new Set<string>();
const open = async (options: Parameters<typeof World.open>[0] = {}) => {
  agreed.clear();
  world = await World.open({
    ...options,
    maySignal: (from, to) => agreed.has(toHex(from)) && agreed.has(toHex(to)),
  });
};
const agree = (...devices: Device[]): void => {
  for (const { address } of devices) agreed.add(toHex(accountOf(address)));
};

const signal = (from: Device, text: string | Uint8Array, ...to: Device[]): Device =>
  from.say({
    kind: "ephemeral",
    accounts: to.map(({ address }) => ({
      account: accountOf(address),
      devices: [{ device: address[19] as number, payload: Buffer.from(text) }],
    })),
  });

const texts = ({ connection }: Device): string[] =>
  connection.of("signal").map(({ payload }) => Buffer.from(payload).toString());

async function pair(): Promise<[Device, Device]> {
  const alice = await world.device(1, 1).connect();
  const bob = await world.device(2, 2).connect();
  agree(alice, bob);
  return [alice, bob];
}

describe("a signal", () => {
  it("reaches a live device of an account that has agreed, and is never stored", async () => {
    await open();
    const [alice, bob] = await pair();
    signal(alice, "typing", bob);
    world.turn();
    expect(texts(bob)).toEqual(["typing"]);
    bob.leave();
    signal(alice, "gone", bob);
    await world.spillAll();
    await bob.connect();
    expect(texts(bob)).toEqual([]);
    expect(world.kernel.counters().entries).toBe(0);
    expect(world.path.signals).toMatchObject({ delivered: 1, notThere: 1 });
  });

  it("reaches the account's own other devices without any agreement, and nobody else", async () => {
    await open();
    const phone = await world.device(1, 1).connect();
    const tablet = await world.device(1, 1, 2).connect();
    const bob = await world.device(2, 2).connect();
    agree(bob);
    signal(phone, "read", tablet, bob);
    signal(bob, "typing", phone);
    world.turn();
    expect(texts(tablet)).toEqual(["read"]);
    expect([texts(bob), texts(phone)]).toEqual([[], []]);
  });

  it("to somebody who has not agreed is the same to its sender as any other", async () => {
    await open();
    const [alice, bob] = await pair();
    const carol = await world.device(3, 3).connect();
    const nobody = world.device(3, 9);
    const heard = (to: Device): unknown[] => {
      alice.connection.frames.length = 0;
      signal(alice, "typing", to).say({ kind: "ping", nonce: 7 });
      world.turn();
      return [...alice.connection.frames];
    };
    const pong = [{ kind: "pong", nonce: 7, timeMs: world.wallMs }];
    for (const to of [bob, carol, nobody]) expect(heard(to)).toEqual(pong);
    carol.leave();
    expect(heard(carol)).toEqual(pong);
    expect(texts(bob)).toEqual(["typing"]);
    expect(texts(carol)).toEqual([]);
  });

  it("crosses between brands only where envelopes do, whatever was agreed", async () => {
    await open();
    const [alice, bob] = await pair();
    world.kernel.setCrossing(0, 1, "closed");
    signal(alice, "typing", bob);
    world.turn();
    expect(texts(bob)).toEqual([]);
  });

  it("passes no more once the agreement is gone, from the very next frame on", async () => {
    await open();
    const [alice, bob] = await pair();
    signal(alice, "one", bob);
    world.turn();
    agreed.clear();
    signal(alice, "two", bob);
    world.turn();
    expect(texts(bob)).toEqual(["one"]);
  });
});

describe("under pressure", () => {
  it("signals to a connection that holds bytes back are dropped, and its envelopes all come, in order", async () => {
    await open();
    const [alice, bob] = await pair();
    bob.connection.results.push(0);
    alice.send(1, "first", bob);
    world.turn();
    for (let i = 0; i < 5; i++) signal(alice, "typing", bob).send(2 + i, `e${i}`, bob);
    world.turn();
    expect(bob.connection.texts).toEqual(["first"]);
    world.path.writable(bob.slot);
    // Whatever comes in the turn in which it drains stands behind what waits.
    signal(alice, "still", bob);
    world.turn();
    world.turn();
    expect(bob.connection.texts).toEqual(["first", "e0", "e1", "e2", "e3", "e4"]);
    expect(texts(bob)).toEqual([]);
    expect(world.path.signals).toMatchObject({ behind: 6, delivered: 0 });
    signal(alice, "typing", bob);
    world.turn();
    expect(texts(bob)).toEqual(["typing"]);
    await world.settle();
  });

  it("signals to a device behind its window are dropped until it has caught up", async () => {
    await open();
    const alice = await world.device(1, 1).connect();
    const bob = await world.device(2, 2).connect({ windowEntries: 1 });
    agree(alice, bob);
    for (let i = 1; i <= 3; i++) alice.send(i, `e${i}`, bob);
    world.turn();
    signal(alice, "typing", bob);
    world.turn();
    expect(texts(bob)).toEqual([]);
    for (let i = 0; i < 3; i++) {
      bob.ack(bob.connection.sequences.at(-1) as number);
      world.turn();
    }
    expect(bob.connection.texts).toEqual(["e1", "e2", "e3"]);
    signal(alice, "now", bob);
    world.turn();
    expect(texts(bob)).toEqual(["now"]);
    await world.settle();
  });

  it("a node with much uncommitted drops all signals while it still takes every envelope", async () => {
    await open({ limits: { signalUncommittedBytesMax: 10_000 } });
    const [alice, bob] = await pair();
    world.holdCommits = true;
    signal(alice, "before", bob);
    world.turn();
    alice.send(1, "x".repeat(20_000), bob);
    world.turn();
    signal(alice, "during", bob).send(2, "e", bob);
    world.turn();
    expect(texts(bob)).toEqual(["before"]);
    expect(world.path.signals).toMatchObject({ overloaded: 1, delivered: 1 });
    expect(bob.connection.texts.map(({ length }) => length)).toEqual([20_000, 1]);
    expect(alice.connection.of("refusal")).toEqual([]);
    world.holdCommits = false;
    for (const letGo of world.heldCommits.splice(0)) letGo();
    await world.settle();
    signal(alice, "after", bob);
    world.turn();
    expect(texts(bob)).toEqual(["before", "after"]);
  });

  it("one turn brings a connection no more bytes of signals than it may, from however many", async () => {
    await open();
    const bob = await world.device(2, 2).connect();
    const senders = await Promise.all([1, 3, 4, 5].map((n) => world.device(1, n).connect()));
    agree(bob, ...senders);
    const large = new Uint8Array(limits.payloadBytesMax);
    for (const sender of senders) signal(sender, large, bob);
    world.turn();
    const most = Math.floor(limits.signalBytesPerTurnMax / large.length);
    expect(most).toBeLessThan(senders.length);
    expect(bob.connection.of("signal")).toHaveLength(most);
    world.turn();
    for (const sender of senders) signal(sender, "small", bob);
    world.turn();
    expect(bob.connection.of("signal")).toHaveLength(most + senders.length);
  });

  it("a connection that sends more signals than it may loses them, and nothing else", async () => {
    await open({ limits: { signalsBurst: 3, signalsPerSecond: 1 } });
    const [alice, bob] = await pair();
    for (let i = 0; i < 5; i++) signal(alice, `${i}`, bob);
    alice.send(1, "envelope", bob).say({ kind: "ping", nonce: 1 });
    world.turn();
    expect(texts(bob)).toEqual(["0", "1", "2"]);
    expect(bob.connection.texts).toEqual(["envelope"]);
    expect(alice.connection.of("pong")).toHaveLength(1);
    expect(world.path.signals.tooMany).toBe(2);
    world.later(1_000);
    signal(alice, "later", bob);
    world.turn();
    expect(texts(bob)).toEqual(["0", "1", "2", "later"]);
    await world.settle();
  });
});

describe("what the node tells", () => {
  it("is made and given only to a device that keeps up", async () => {
    await open();
    const [alice, bob] = await pair();
    let made = 0;
    const frameOf = (): Uint8Array => {
      made++;
      return Uint8Array.of(0x93, 48, 0xc4, 0, 0xc4, 0);
    };
    expect(world.path.tell(bob.address, frameOf)).toBe(true);
    expect(bob.connection.of("presence")).toEqual([{ kind: "presence", online: [], offline: [] }]);
    bob.connection.results.push(0);
    alice.send(1, "fills", bob);
    world.turn();
    expect(world.path.tell(bob.address, frameOf)).toBe(false);
    expect(made).toBe(1);
    bob.leave();
    expect(world.path.tell(bob.address, frameOf)).toBe(true);
    expect(made).toBe(1);
    await world.settle();
  });

  it("has room again in the next turn, which comes even when nothing else happens", async () => {
    await open({ limits: { signalBytesPerTurnMax: limits.payloadBytesMax } });
    const [alice, bob] = await pair();
    const frameOf = (): Uint8Array => Uint8Array.of(0x93, 48, 0xc4, 0, 0xc4, 0);
    signal(alice, new Uint8Array(limits.payloadBytesMax), bob);
    world.turn();
    expect(world.path.tell(bob.address, frameOf)).toBe(true);
    world.isWoken = false;
    expect(world.path.tell(bob.address, frameOf)).toBe(false);
    expect(world.isWoken).toBe(true);
    world.turn();
    expect(world.path.tell(bob.address, frameOf)).toBe(true);
  });
});
