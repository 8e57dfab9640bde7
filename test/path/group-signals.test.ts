/** Signals to a group: to whoever is a member and there, never stored, and the first to be dropped. */
import { afterEach, describe, expect, it } from "vitest";
import { accountOf } from "../../src/base/address.js";
import { limits } from "../../src/rules/limits.js";
import { encodeGroupEvent } from "../../src/wire/groups.js";
import { type Device, World } from "./harness.js";

const GROUP = new Uint8Array(18).fill(1);
const NO_GROUP = new Uint8Array(18).fill(9);

let world: World;
afterEach(() => world.remove());

/** Nobody has agreed with anybody. */
const open = async (options: Parameters<typeof World.open>[0] = {}) => {
  world = await World.open({ maySignal: () => false, ...options });
};

/** The store's own group of these devices' accounts; the members and who is gone are to be told. */
async function change(version: number, members: readonly Device[], gone: readonly Device[] = []) {
  const accounts = [...new Map(members.map(({ address }) => [`${accountOf(address)}`, accountOf(address)]))];
  const [by = GROUP] = accounts.map(([, account]) => account);
  const payload = encodeGroupEvent({ group: GROUP, version, event: "added", by, accounts: [] });
  const group = { address: GROUP, version };
  const recipients = gone.map(({ address }) => ({ account: accountOf(address) }));
  await world.store.changeGroup({
    group: { ...group, members: accounts.map(([, account]) => ({ account, role: "member" as const })) },
    notices: [
      { recipients: [], payload, group },
      ...(gone.length > 0 ? [{ recipients, payload, group }] : []),
    ],
  });
}

/** Everybody is told: from here on the group is as it is. */
async function made(members: readonly Device[], version = 1): Promise<void> {
  await change(version, members);
  await world.settle();
}

const signal = (from: Device, text: string | Uint8Array, group: Uint8Array = GROUP): Device =>
  from.say({ kind: "groupEphemeral", group, payload: Buffer.from(text) });

const texts = ({ connection }: Device): string[] =>
  connection.of("groupSignal").map(({ payload }) => Buffer.from(payload).toString());

async function three(): Promise<[Device, Device, Device]> {
  const devices: Device[] = [];
  for (const n of [1, 2, 3]) devices.push(await world.device(n, n).connect());
  return devices as [Device, Device, Device];
}

describe("a signal to a group", () => {
  it("reaches every connected device of every member, its own account's too, but not the one it is from", async () => {
    await open();
    const [ada, ben, cleo] = await three();
    const phone = await world.device(1, 1, 2).connect();
    const other = await world.device(2, 2, 300).connect();
    const stranger = await world.device(3, 9).connect();
    await made([ada, ben, cleo]);
    signal(ada, "typing");
    world.turn();
    expect(ben.connection.of("groupSignal")).toEqual([
      { kind: "groupSignal", sender: ada.address, group: GROUP, payload: new TextEncoder().encode("typing") },
    ]);
    expect([ada, phone, ben, other, cleo, stranger].map(texts)).toEqual([
      [],
      ["typing"],
      ["typing"],
      ["typing"],
      ["typing"],
      [],
    ]);
    expect(world.path.signals).toMatchObject({ delivered: 4 });
  });

  it("is never stored: who comes back later does not get it", async () => {
    await open();
    const [ada, ben] = await three();
    await made([ada, ben]);
    ben.leave();
    const before = world.kernel.counters().entries;
    signal(ada, "gone");
    await world.spillAll();
    await ben.connect();
    expect(texts(ben)).toEqual([]);
    expect(world.kernel.counters().entries).toBe(before);
  });

  it("goes by a roster that has to be read first, and no oftener than one connection may have it read", async () => {
    await open({ limits: { accountLoadsPerTurnMax: 2 } });
    const [ada, ben] = await three();
    await made([ada, ben]);
    await world.close();
    const { directory } = world;
    world = await World.open({ directory, maySignal: () => false, limits: { accountLoadsPerTurnMax: 2 } });
    const [back, there] = [await world.device(1, 1).connect(), await world.device(2, 2).connect()];
    world.groupReads = 0;
    signal(back, "typing");
    for (let i = 0; i < 5; i++) signal(back, "nobody", new Uint8Array(18).fill(20 + i));
    world.turn();
    expect(texts(there)).toEqual(["typing"]);
    expect(world.groupReads).toBe(2);
    expect(world.path.signals).toMatchObject({ delivered: 1, notAgreed: 1, overloaded: 4 });
  });

  it("crosses between brands only where envelopes do", async () => {
    await open();
    const [ada, ben, cleo] = await three();
    await made([ada, ben, cleo]);
    world.kernel.setCrossing(0, 1, "closed");
    signal(ada, "typing");
    world.turn();
    expect([texts(ben), texts(cleo)]).toEqual([[], ["typing"]]);
  });

  it("too long for one, ends its connection", async () => {
    await open();
    const [ada, ben] = await three();
    await made([ada, ben]);
    signal(ada, new Uint8Array(limits.groupSignalBytesMax));
    signal(ben, new Uint8Array(limits.groupSignalBytesMax + 1));
    world.turn();
    expect(ada.connection.ended).toBeUndefined();
    expect(ben.connection.ended).toBe("badFrame");
  });
});

describe("who is no member", () => {
  it("sends nothing to it, and hears the same as of no group at all, at the same cost", async () => {
    await open({ limits: { signalsBurst: 5, signalsPerSecond: 1 } });
    const [ada, ben, cleo] = await three();
    const tablet = await world.device(3, 3, 2).connect();
    await made([ada, ben]);
    const left = async (group: Uint8Array): Promise<unknown[]> => {
      cleo.connection.frames.length = 0;
      tablet.connection.frames.length = 0;
      for (let i = 0; i < 3; i++) signal(cleo, "let me in", group);
      for (let i = 0; i < 5; i++) {
        const account = accountOf(tablet.address);
        const devices = [{ device: 2, payload: Buffer.of(i) }];
        cleo.say({ kind: "ephemeral", accounts: [{ account, devices }] });
      }
      cleo.say({ kind: "ping", nonce: 7 });
      world.turn();
      world.later(10_000);
      return [cleo.connection.frames.map(({ kind }) => kind), tablet.connection.of("signal").length];
    };
    expect(await left(GROUP)).toEqual([["pong"], 2]);
    expect(await left(NO_GROUP)).toEqual([["pong"], 2]);
    expect([texts(ada), texts(ben)]).toEqual([[], []]);
  });

  it("any more, neither sends nor gets one once the removal is durable, told or not", async () => {
    await open({ limits: { noticesInFlightMax: 0 } });
    const [ada, ben, cleo] = await three();
    // As if everybody had been told.
    await world.store.changeGroup({
      group: {
        address: GROUP,
        version: 1,
        members: [ada, ben, cleo].map(({ address }) => ({ account: accountOf(address), role: "member" })),
      },
      notices: [],
    });
    signal(ada, "before");
    world.turn();
    await change(2, [ada, cleo], [ben]);
    signal(ada, "meanwhile");
    signal(ben, "still here");
    world.turn();
    expect([ada, ben, cleo].map(texts)).toEqual([[], ["before"], ["before"]]);
    expect(world.path.signals).toMatchObject({ groupChanging: 2 });
    await world.close();
    world = await World.open({ directory: world.directory, maySignal: () => false });
    const [a, b, c] = await three();
    await world.settle();
    signal(a, "after");
    signal(b, "still here");
    world.turn();
    expect([a, b, c].map(texts)).toEqual([[], [], ["after"]]);
    expect(world.path.signals).toMatchObject({ delivered: 1, notAgreed: 1 });
  });

  it("who was added gets them from his event on, and a device that was removed none", async () => {
    await open();
    const [ada, ben, cleo] = await three();
    const phone = await world.device(2, 2, 2).connect();
    await made([ada, ben]);
    signal(ada, "one");
    world.turn();
    await made([ada, ben, cleo], 2);
    await world.store.removeDevice(accountOf(ben.address), 2, world.wallMs);
    signal(ada, "two");
    signal(phone, "from nowhere");
    world.turn();
    expect([ben, phone, cleo].map(texts)).toEqual([["one", "two"], ["one"], ["two"]]);
  });
});

describe("under pressure", () => {
  it("only those who keep up get it", async () => {
    await open();
    const [ada, ben, cleo] = await three();
    await made([ada, ben, cleo]);
    ben.connection.results.push(0);
    ada.send(1, "first", ben);
    world.turn();
    signal(ada, "typing");
    world.turn();
    expect([texts(ben), texts(cleo)]).toEqual([[], ["typing"]]);
    expect(world.path.signals).toMatchObject({ behind: 1, delivered: 1 });
    world.path.writable(ben.slot);
    world.turn();
    signal(ada, "again");
    world.turn();
    expect([texts(ben), ben.connection.texts]).toEqual([["again"], ["first"]]);
    await world.settle();
  });

  it("a node with much uncommitted drops all of them", async () => {
    await open({ limits: { signalUncommittedBytesMax: 10_000 } });
    const [ada, ben] = await three();
    await made([ada, ben]);
    world.holdCommits = true;
    ada.send(1, "x".repeat(20_000), ben);
    world.turn();
    signal(ada, "during");
    world.turn();
    expect(texts(ben)).toEqual([]);
    expect(world.path.signals).toMatchObject({ overloaded: 1, delivered: 0 });
    world.holdCommits = false;
    for (const letGo of world.heldCommits.splice(0)) letGo();
    await world.settle();
    signal(ada, "after");
    world.turn();
    expect(texts(ben)).toEqual(["after"]);
  });

  it("one turn writes no more of them than it may, whoever sends, and the next goes on", async () => {
    await open({ limits: { groupSignalWritesPerTurnMax: 3 } });
    const [ada, ben, cleo] = await three();
    await made([ada, ben, cleo]);
    for (const from of [ada, ben, cleo]) signal(from, "typing");
    world.turn();
    expect([ada, ben, cleo].flatMap(texts)).toHaveLength(3);
    expect(world.path.signals).toMatchObject({ overloaded: 3, delivered: 3 });
    world.turn();
    signal(ada, "again");
    world.turn();
    expect([ada, ben, cleo].flatMap(texts)).toHaveLength(5);
  });

  it("each member counts for one of what a connection may send", async () => {
    await open({ limits: { signalsBurst: 7, signalsPerSecond: 1 } });
    const [ada, ben, cleo] = await three();
    await made([ada, ben, cleo]);
    for (let i = 0; i < 4; i++) signal(ada, `${i}`);
    signal(cleo, "mine");
    world.groupReads = 0;
    signal(ada, "nobody", NO_GROUP);
    world.turn();
    expect(world.groupReads).toBe(0);
    expect(texts(ben)).toEqual(["0", "1", "mine"]);
    // The third asked for more than was left, and cost what asking costs; so nothing is left for the fourth.
    expect(world.path.signals).toMatchObject({ delivered: 6, tooMany: 3 });
    world.later(3_000);
    signal(ada, "later");
    world.turn();
    expect(texts(ben)).toEqual(["0", "1", "mine", "later"]);
  });

  it("a group of more members than signals go to gets none, and is not looked through", async () => {
    await open({ limits: { groupSignalMembersMax: 3 } });
    const [ada, ben, cleo] = await three();
    const dan = await world.device(1, 4).connect();
    await made([ada, ben, cleo]);
    signal(ada, "three");
    world.turn();
    await made([ada, ben, cleo, dan], 2);
    signal(ada, "four");
    world.turn();
    expect([ben, cleo, dan].map(texts)).toEqual([["three"], ["three"], []]);
    expect(world.path.signals).toMatchObject({ groupTooLarge: 1 });
  });
});
