/** A device that is removed: gone at once, with everything it had, for good, and nothing of it is left to one of its number. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { accountOf } from "../../src/base/address.js";
import { checkDirectory } from "../../src/store/store.js";
import { until } from "../support/until.js";
import { type Device, World } from "./harness.js";

let world: World;
beforeEach(async () => {
  world = await World.open();
});
afterEach(() => world.remove());

const remove = (device: Device, number = device.address[19] as number) =>
  world.store.removeDevice(accountOf(device.address), number, world.wallMs);

/** What was in memory is gone. */
async function reopen(): Promise<void> {
  await world.close();
  world = await World.open({ directory: world.directory });
}

/** What the store holds on disk, clean, and checked. */
async function checked(): Promise<{
  entries: number;
  entriesInJournal: number;
  findings: readonly unknown[];
}> {
  const { queues, journal, findings } = await checkDirectory(world.directory);
  return { entries: queues.entries, entriesInJournal: journal.entries, findings };
}

describe("a removed device", () => {
  it("is told so, loses its connection, and what it sent and nobody has read yet does not count", async () => {
    const phone = await world.device(1, 1, 1).connect();
    const tablet = await world.device(1, 1, 2).connect();
    const bob = await world.device(2, 2).connect();
    await world.settle();
    tablet.send(1, "last words", bob, phone);
    await remove(tablet);
    expect(tablet.connection.ended).toBe("revoked");
    world.turn();
    expect(bob.connection.texts).toEqual([]);
    await world.settle();
    expect(phone.connection.notices.at(-1)).toEqual({ notice: "roster", version: 3, devices: [1] });
    expect(tablet.connection.notices).toEqual([]);
    expect(world.path.isConnected(tablet.address)).toBe(false);
  });

  it("is in no send's way any more: the list without it is right, the one with it stale", async () => {
    const phone = await world.device(2, 2, 1).connect();
    const tablet = await world.device(2, 2, 2).connect();
    const alice = await world.device(1, 1).connect();
    await world.settle();
    const stale = world.sendFrame(1, "stale", [phone, tablet]);
    await remove(tablet);
    alice.say(stale);
    alice.send(2, "right", phone);
    world.turn();
    expect(alice.connection.of("refusal")).toMatchObject([
      { code: 301, detail: { rosters: [{ version: 3, missing: [], surplus: [2] }] } },
    ]);
    expect(phone.connection.texts).toEqual(["right"]);
  });

  it("that was away has no queue any more, on disk and in the tail", async () => {
    const bob = await world.device(2, 2).connect();
    const alice = await world.device(1, 1).connect();
    bob.leave();
    alice.send(1, "on disk", bob);
    await world.spillAll();
    alice.send(2, "in the tail", bob);
    await world.settle();
    expect(world.store.hasQueued(bob.address)).toBe(true);
    await remove(bob);
    expect(world.store.hasQueued(bob.address)).toBe(false);
    await world.spillAll();
    await world.store.sweep(world.wallMs, 1_000);
    expect(await checked()).toEqual({ entries: 0, entriesInJournal: 0, findings: [] });
    expect(world.store.brandQueueBytes(2)).toBe(0);
    expect(world.kernel.tailUsed).toBe(0);
  });
});

describe("a new device of a removed one's number", () => {
  /** Something for the old one on disk, in the tail, and in a spill that is under way. */
  async function leaveBehind(): Promise<{ alice: Device; old: Device }> {
    const old = await world.device(2, 2).connect();
    const alice = await world.device(1, 1).connect();
    old.leave();
    alice.send(1, "on disk", old);
    await world.spillAll();
    alice.send(2, "being spilled", old);
    await world.settle();
    world.later(3_000).turn();
    alice.send(3, "in the tail", old);
    world.turn();
    return { alice, old };
  }

  it("begins with nothing, above every sequence of the old one, and gets what is sent to it", async () => {
    const { alice, old } = await leaveBehind();
    const ceiling = world.kernel.sequenceCeiling();
    await remove(old);
    const anew = await world.device(2, 2).connect();
    alice.send(4, "for the new one", anew);
    await world.settle();
    await world.spillAll();
    expect(anew.connection.texts).toEqual(["for the new one"]);
    expect(anew.connection.of("gap")).toEqual([]);
    expect(anew.connection.of("deliver")[0]?.sequence).toBeGreaterThan(ceiling);
    anew.leave();
    alice.send(5, "while it was away", anew);
    await world.spillAll();
    const again = await world.device(2, 2).connect();
    // Not acked: it comes again.
    expect(again.connection.texts).toEqual(["for the new one", "while it was away"]);
    expect((await checked()).findings).toEqual([]);
  });

  it.each(["before it is registered", "after it got something"] as const)(
    "gets nothing of the old one when the node died %s",
    async (moment) => {
      const { alice, old } = await leaveBehind();
      await remove(old);
      if (moment === "after it got something") {
        const anew = await world.device(2, 2).connect();
        alice.send(4, "for the new one", anew);
        await world.settle();
      }
      await reopen();
      const expected = moment === "after it got something" ? ["for the new one"] : [];
      const anew = await world.device(2, 2).connect();
      expect(anew.connection.texts).toEqual(expected);
      expect(anew.connection.of("gap")).toEqual([]);
      await world.settle();
      expect((await checked()).findings).toEqual([]);
    },
  );

  it("is another sender: what the old one had sent under an id is no repeat", async () => {
    const bob = await world.device(1, 1).connect();
    const old = await world.device(2, 2).connect();
    old.send(1, "of the old", bob);
    await world.settle();
    await remove(old);
    const anew = await world.device(2, 2).connect();
    anew.send(1, "of the new", bob);
    await world.settle();
    expect(bob.connection.texts).toEqual(["of the old", "of the new"]);
  });
});

describe("a token of a removed device", () => {
  it("that was issued before the removal is refused for good, also when the device is there again", async () => {
    const bob = await world.device(2, 2).connect();
    const account = accountOf(bob.address);
    const removedMs = world.wallMs;
    const comeWith = (issuedMs: number) => world.store.registerDevice(account, 1, { issuedMs });
    await comeWith(removedMs - 1);
    await remove(bob);
    // Clocks may differ by five seconds.
    for (const issuedMs of [0, removedMs - 1, removedMs, removedMs + 5_000])
      await expect(comeWith(issuedMs)).rejects.toMatchObject({ code: "tokenRevoked" });
    expect((await comeWith(removedMs + 5_001)).devices).toMatchObject([{ number: 1 }]);
    await expect(comeWith(removedMs)).rejects.toMatchObject({ code: "tokenRevoked" });
    await reopen();
    await expect(world.store.registerDevice(account, 1, { issuedMs: removedMs })).rejects.toMatchObject({
      code: "tokenRevoked",
    });
    // Of another device of the account it says nothing.
    await world.store.registerDevice(account, 2, { issuedMs: removedMs });
  });

  it("stays refused when a later removal comes with an earlier time", async () => {
    const bob = await world.device(2, 2).connect();
    const account = accountOf(bob.address);
    await world.store.removeDevice(account, 1, 2_000_000);
    await world.store.registerDevice(account, 1, { issuedMs: 3_000_000 });
    await world.store.removeDevice(account, 1, 1_000_000);
    const coming = world.store.registerDevice(account, 1, { issuedMs: 2_000_000 });
    await expect(coming).rejects.toMatchObject({ code: "tokenRevoked" });
  });
});

describe("changes at the same moment", () => {
  it("of one account are made one after the other, each carried out before the next", async () => {
    const bob = await world.device(2, 2).connect();
    const account = accountOf(bob.address);
    const { store } = world;
    const changes = await Promise.all([
      store.removeDevice(account, 1, world.wallMs),
      store.addDevice(account, 1),
      store.addDevice(account, 2),
      store.removeDevice(account, 1, world.wallMs),
      store.addDevice(account, 1),
    ]);
    expect(changes.length).toBe(5);
    const record = store.readAccount(account);
    expect(record?.version).toBe(6);
    expect(record?.devices.map(({ number }) => number)).toEqual([2, 1]);
    expect(new Set(record?.devices.map(({ ordinal }) => ordinal)).size).toBe(2);
    expect((await checked()).findings).toEqual([]);
  });

  it("a device that comes in while it is removed does not stay", async () => {
    const bob = await world.device(2, 2).connect();
    const account = accountOf(bob.address);
    const removal = world.store.removeDevice(account, 1, world.wallMs);
    // The store shows what is on disk until the change is carried out.
    const record = world.store.readAccount(account);
    expect(record?.devices.length).toBe(1);
    await removal;
    expect(world.store.readAccount(account)?.devices).toEqual([]);
    expect(bob.connection.ended).toBe("revoked");
  });
});

describe("a removed account", () => {
  it("loses all devices at once, and its version goes on", async () => {
    const [one, two] = [await world.device(2, 2, 1).connect(), await world.device(2, 2, 2).connect()];
    const alice = await world.device(1, 1).connect();
    two.leave();
    alice.send(1, "x", one, two);
    await world.settle();
    const account = accountOf(one.address);
    await world.store.removeAccount(account, world.wallMs);
    expect(one.connection.ended).toBe("revoked");
    expect(world.store.readAccount(account)).toMatchObject({ version: 3, devices: [], isRemoved: true });
    for (const call of [
      world.store.removeAccount(account, world.wallMs),
      world.store.addDevice(account, 1),
      world.store.removeDevice(account, 1, world.wallMs),
    ])
      await expect(call).rejects.toMatchObject({ code: "notFound" });
    // A device number that it never had, with a token from before.
    await expect(world.store.registerDevice(account, 9, { issuedMs: world.wallMs })).rejects.toMatchObject({
      code: "tokenRevoked",
    });
    await reopen();
    expect(world.store.readAccount(account)).toMatchObject({ version: 3, isRemoved: true });
    const { record } = await world.store.createAccount(account);
    expect(record).toMatchObject({ version: 4, devices: [] });
    const anew = await world.device(2, 2, 2).connect();
    expect(anew.connection.texts).toEqual([]);
    expect((await checked()).findings).toEqual([]);
  });

  it("takes its names with it", async () => {
    const bob = await world.device(2, 2).connect();
    const account = accountOf(bob.address);
    const name = { brand: 2, name: Buffer.from("bob@example") };
    expect(await world.store.giveName(account, name)).toBe(true);
    expect(await world.store.giveName(account, name)).toBe(false);
    expect(world.store.readName(name)).toEqual(account);
    await world.store.removeAccount(account, world.wallMs);
    expect(world.store.readName(name)).toBeUndefined();
    await world.store.createAccount(account);
    expect(world.store.readName(name)).toBeUndefined();
    expect((await checked()).findings).toEqual([]);
  });
});

it("the kernel's slots of removed devices are used again", async () => {
  const alice = await world.device(1, 1).connect();
  for (let round = 0; round < 300; round++) {
    const bob = await world.device(2, 2).connect();
    alice.send(round, "x", bob);
    world.turn();
    await remove(bob);
    if (round % 50 === 49) await world.spillAll();
  }
  await world.spillAll();
  await until("the last notice is out", () => world.store.notices(0, 1).length === 0);
  expect((await checked()).findings).toEqual([]);
});
