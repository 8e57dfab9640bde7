/** Sends to many: shared and group sends through the real kernel, path and store. */
import { rmSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Batch, Database } from "../../src/store/database.js";
import { checkDirectory } from "../../src/store/store.js";
import { codes } from "../../src/wire/codes.js";
import { type Device, World } from "./harness.js";

let world: World;
beforeEach(async () => {
  world = await World.open();
});
afterEach(() => world.remove());

const codesOf = (device: Device): number[] => device.connection.of("refusal").map(({ code }) => code);

async function connected(count: number): Promise<Device[]> {
  const devices: Device[] = [];
  for (let i = 1; i <= count; i++) devices.push(await world.device(1, i).connect());
  return devices;
}

/** Acks everything and lets the store forget it. */
async function drain(...devices: Device[]): Promise<void> {
  for (const device of devices) device.ack(Math.max(0, ...device.connection.sequences));
  await world.settle();
  await world.spillAll();
  for (let i = 0; i < 3; i++) await world.store.sweep(world.wallMs, 10_000);
}

async function expectNothingLeft(): Promise<void> {
  const report = await checkDirectory(world.directory);
  expect(report.findings).toEqual([]);
  expect([report.queues.rows, report.shared.parts]).toEqual([0, 0]);
  expect(world.store.stats().sharedParts).toBe(0);
}

describe("a shared send", () => {
  it("brings every listed device the shared part and its own block, and is receipted", async () => {
    const [alice, bob, carol] = (await connected(3)) as [Device, Device, Device];
    const second = await world.device(1, 1, 2).connect();
    alice.sendShared(1, "all", [bob, "b"], [carol, ""], [second, "own"]);
    await world.settle();
    expect(bob.connection.entries).toEqual(["all+b"]);
    expect(carol.connection.entries).toEqual(["all+"]);
    expect(second.connection.entries).toEqual(["all+own"]);
    expect(alice.connection.of("receipt")).toHaveLength(1);
    const [frame] = bob.connection.of("sharedDeliver");
    expect(frame?.sender).toEqual(alice.address);
    expect(frame?.timeMs).toBe(world.wallMs);
  });

  it("is refused whole when it leaves a device out, with the rosters named", async () => {
    const [alice, bob] = (await connected(2)) as [Device, Device];
    await world.device(1, 2, 2).connect();
    alice.sendShared(1, "x", [bob, "b"]);
    world.turn();
    expect(codesOf(alice)).toEqual([codes.rosterStale.code]);
    expect(alice.connection.of("refusal")[0]?.detail.rosters).toMatchObject([{ missing: [2] }]);
    expect(bob.connection.entries).toEqual([]);
  });
});

describe("a group send", () => {
  it("goes to every device of every member but the sending one, with blocks for those listed", async () => {
    const [alice, bob, carol, dave] = (await connected(4)) as [Device, Device, Device, Device];
    const aliceToo = await world.device(1, 1, 2).connect();
    const bobToo = await world.device(1, 2, 2).connect();
    const group = world.group(1, 3, [alice, bob, carol]);
    alice.sendToGroup(1, "hi", group, [bobToo, "key"]);
    await world.settle();
    expect(alice.connection.entries).toEqual([]);
    expect([aliceToo, bob, carol].map(({ connection }) => connection.entries)).toEqual([
      ["hi+"],
      ["hi+"],
      ["hi+"],
    ]);
    expect(bobToo.connection.entries).toEqual(["hi+key"]);
    expect(dave.connection.entries).toEqual([]);
    expect(bob.connection.of("groupDeliver")[0]).toMatchObject({ group: group.address, version: 3 });
    expect(alice.connection.of("receipt")).toHaveLength(1);
  });

  it("for an older roster is refused whole and told the version now", async () => {
    const [alice, bob, carol] = (await connected(3)) as [Device, Device, Device];
    const before = world.group(1, 1, [alice, bob]);
    alice.sendToGroup(1, "one", before);
    world.turn();
    const after = world.group(1, 2, [alice, carol]);
    alice.sendToGroup(2, "two", before);
    world.turn();
    expect(bob.connection.entries).toEqual(["one+"]);
    // To say so takes no read of the roster, which may have 10,000 members.
    const reads = vi.spyOn(world.groups, "get");
    alice.sendToGroup(2, "two", before);
    world.turn();
    expect(reads).not.toHaveBeenCalled();
    expect(alice.connection.of("refusal")).toMatchObject([
      { position: 2, code: codes.groupStale.code },
      { position: 3, code: codes.groupStale.code, detail: { group: { address: after.address, version: 2 } } },
    ]);
    alice.sendToGroup(2, "two", after);
    world.turn();
    expect(carol.connection.entries).toEqual(["two+"]);
  });

  it("is refused alike for a group that does not exist and one that the sender is not in", async () => {
    const [alice, bob, carol] = (await connected(3)) as [Device, Device, Device];
    const group = world.group(1, 1, [bob, carol]);
    const missing = { ...group, address: new Uint8Array(18).fill(7) };
    alice.sendToGroup(1, "x", group).sendToGroup(2, "x", missing);
    world.turn();
    const [first, second] = alice.connection.of("refusal");
    expect([first?.code, second?.code]).toEqual([codes.groupUnknown.code, codes.groupUnknown.code]);
    expect(first?.detail).toEqual(second?.detail);
    expect(bob.connection.entries).toEqual([]);
  });

  it("asks for a group once, also for one that does not exist, until it is made", async () => {
    const [alice, bob] = (await connected(2)) as [Device, Device];
    const missing = { address: new Uint8Array(18).fill(7), version: 1, members: [] };
    for (let i = 1; i <= 5; i++) alice.sendToGroup(i, "x", missing);
    world.turn();
    expect(world.groupReads).toBe(1);
    const made = world.group(7, 1, [alice, bob], 0x0707);
    alice.sendToGroup(9, "x", made);
    world.turn();
    expect(bob.connection.entries).toEqual(["x+"]);
  });

  it("crosses to no brand that is closed to the sender's, for any member", async () => {
    const alice = await world.device(1, 1).connect();
    const bob = await world.device(2, 2).connect();
    const carol = await world.device(3, 3).connect();
    const group = world.group(1, 1, [alice, bob, carol]);
    world.kernel.setCrossing(0, 2, "closed");
    alice.sendToGroup(1, "x", group);
    world.turn();
    world.kernel.setCrossing(0, 2, "full");
    alice.sendToGroup(1, "x", group);
    world.turn();
    expect(codesOf(alice)).toEqual([codes.brandsClosed.code, codes.brandQuota.code]);
    expect([bob, carol].flatMap(({ connection }) => connection.entries)).toEqual([]);
    world.kernel.setCrossing(0, 2, "open");
    alice.sendToGroup(1, "x", group);
    world.turn();
    expect(carol.connection.entries).toEqual(["x+"]);
  });

  it("is refused when a block is for somebody else, for the sender, or twice for one device", async () => {
    const [alice, bob, carol] = (await connected(3)) as [Device, Device, Device];
    const group = world.group(1, 1, [alice, bob]);
    const stranger = world.device(2, 99);
    for (const blocks of [[carol], [alice], [stranger], [bob, bob]]) {
      alice.sendToGroup(1, "x", group, ...blocks.map((device) => [device, "b"] as const));
      world.turn();
    }
    const surplus = codes.blockSurplus.code;
    expect(codesOf(alice)).toEqual([surplus, surplus, surplus, codes.repeatedRecipient.code]);
    alice.sendToGroup(1, "x", group, [bob, "b"]);
    world.turn();
    expect(bob.connection.entries).toEqual(["x+b"]);
  });

  it("repeated under its id is receipted again and delivered once, before and after a restart", async () => {
    const [alice, bob] = (await connected(2)) as [Device, Device];
    const group = world.group(1, 1, [alice, bob]);
    alice.sendToGroup(1, "once", group).sendToGroup(1, "once", group);
    await world.settle();
    expect(bob.connection.entries).toEqual(["once+"]);
    const { directory } = world;
    await world.close();
    world = await World.open({ directory });
    const again = await world.device(1, 1).connect();
    again.sendToGroup(1, "once", world.group(1, 1, [again, world.device(1, 2)]));
    await world.settle();
    expect(again.connection.of("receipt")).toHaveLength(1);
    const bobAgain = await world.device(1, 2).connect();
    expect(bobAgain.connection.entries).toEqual(["once+"]);
  });
});

describe("one device's entries", () => {
  async function mixture(alice: Device, bob: Device): Promise<string[]> {
    const group = world.group(1, 1, [alice, bob]);
    alice.send(1, "a", bob).sendToGroup(2, "b", group).sendShared(3, "c", [bob, "1"]).send(4, "d", bob);
    world.turn();
    alice.sendToGroup(5, "e", group, [bob, "2"]).send(6, "f", bob);
    world.turn();
    await world.settle();
    return ["a", "b+", "c+1", "d", "e+2", "f"];
  }

  it("keep their order across plain, shared and group sends, in one native send a turn", async () => {
    const [alice, bob] = (await connected(2)) as [Device, Device];
    const sends = bob.connection.sends;
    expect(await mixture(alice, bob)).toEqual(bob.connection.entries);
    expect(bob.connection.sends - sends).toBe(2);
    const { sequences } = bob.connection;
    expect(sequences).toEqual([...sequences].sort((a, b) => a - b));
  });

  it("come from the tail in their order when the device connects", async () => {
    const [alice, bob] = (await connected(2)) as [Device, Device];
    bob.leave();
    const expected = await mixture(alice, bob);
    await bob.connect();
    expect(bob.connection.entries).toEqual(expected);
  });

  it("come from its queue in their order, as many as its window takes at a time", async () => {
    const [alice, bob] = (await connected(2)) as [Device, Device];
    bob.leave();
    const expected = await mixture(alice, bob);
    await world.spillAll();
    expect((await checkDirectory(world.directory)).findings).toEqual([]);
    await bob.connect({ windowEntries: 2 });
    for (let taken = 2; taken <= expected.length; taken += 2) {
      expect(bob.connection.entries).toEqual(expected.slice(0, taken));
      bob.ack(bob.connection.sequences.at(-1) as number);
      world.turn();
    }
    await drain(alice, bob);
    await expectNothingLeft();
  });

  it("survive a crash before their spill", async () => {
    const [alice, bob] = (await connected(2)) as [Device, Device];
    bob.leave();
    const expected = await mixture(alice, bob);
    const { directory } = world;
    await world.store.close();
    world = await World.open({ directory });
    const back = await world.device(1, 2).connect();
    expect(back.connection.entries).toEqual(expected);
    // Parts of this run are numbered above those that recovery has put into the queues.
    const [carol, dave] = [await world.device(1, 3).connect(), await world.device(1, 4).connect()];
    dave.leave();
    carol.sendShared(7, "new", [dave, "n"]);
    await world.settle();
    await world.spillAll();
    await dave.connect();
    expect(dave.connection.entries).toEqual(["new+n"]);
    await drain(back, dave);
    await expectNothingLeft();
  });

  it("wait for a reader whose socket is full, and come composed when it has drained", async () => {
    const [alice, bob] = (await connected(2)) as [Device, Device];
    const group = world.group(1, 1, [alice, bob]);
    bob.connection.results.push(0);
    alice.sendToGroup(1, "first", group);
    world.turn();
    for (let i = 2; i <= 5; i++) alice.sendToGroup(i, `${i}`, group, [bob, `${i}`]);
    world.turn();
    expect(bob.connection.entries).toEqual(["first+"]);
    world.path.writable(bob.slot);
    world.turn();
    expect(bob.connection.entries).toEqual(["first+", "2+2", "3+3", "4+4", "5+5"]);
  });

  it("bring along the receipt that their device is due", async () => {
    const [alice, bob] = (await connected(2)) as [Device, Device];
    const group = world.group(1, 1, [alice, bob]);
    world.patience = 1;
    bob.sendToGroup(1, "from bob", group);
    await world.untilDue();
    const sends = bob.connection.sends;
    alice.sendToGroup(2, "to bob", group);
    world.turn();
    expect(bob.connection.sends - sends).toBe(1);
    expect(bob.connection.of("receipt")).toHaveLength(1);
    expect(bob.connection.entries).toEqual(["to bob+"]);
  });
});

describe("a shared part", () => {
  async function sentToAbsent(text: string, count = 3): Promise<{ alice: Device; absent: Device[] }> {
    const [alice, ...absent] = (await connected(count + 1)) as [Device, ...Device[]];
    for (const device of absent) device.leave();
    alice.sendToGroup(1, text, world.group(1, 1, [alice, ...absent]));
    await world.settle();
    await world.spillAll();
    return { alice, absent };
  }

  it("is stored once and goes with the last device that acks it", async () => {
    const { absent } = await sentToAbsent("shared".repeat(1_000));
    expect(world.store.stats().sharedParts).toBe(1);
    for (const [i, device] of absent.entries()) {
      await device.connect();
      expect(device.connection.entries).toEqual([`${"shared".repeat(1_000)}+`]);
      await drain(device);
      expect(world.store.stats().sharedParts).toBe(i === absent.length - 1 ? 0 : 1);
      expect((await checkDirectory(world.directory)).findings).toEqual([]);
    }
    await expectNothingLeft();
  });

  it("goes with the expiry of what refers to it, which leaves gaps", async () => {
    const { absent } = await sentToAbsent("old");
    world.later(31 * 24 * 3600_000);
    for (let i = 0; i < 3; i++) await world.store.sweep(world.wallMs, 10_000);
    expect(world.store.stats().sharedParts).toBe(0);
    expect((await checkDirectory(world.directory)).findings).toEqual([]);
    await absent[0]?.connect();
    expect(absent[0]?.connection.of("gap")).toMatchObject([{ count: 1, reason: 2 }]);
  });

  it("damaged on disk leaves a gap in its place and nothing else", async () => {
    const { alice, absent } = await sentToAbsent("lost");
    const [bob] = absent as [Device];
    alice.send(9, "kept", bob);
    await world.settle();
    await world.spillAll();
    const { directory } = world;
    await world.close();
    const database = Database.open(directory, { readOnly: false });
    const [row] = [...database.rows("shared")];
    const value = Uint8Array.from(row?.value ?? []);
    value[80] = (value[80] as number) ^ 1;
    const batch = new Batch();
    batch.put("shared", row?.key as Uint8Array, value);
    await database.write(batch);
    await database.close();
    expect((await checkDirectory(directory)).findings).toMatchObject([
      { table: "shared", kind: "damaged", number: 1 },
    ]);
    world = await World.open({ directory });
    const back = await world.device(1, 2).connect();
    expect(back.connection.of("gap")).toMatchObject([{ count: 1, reason: 3 }]);
    expect(back.connection.entries).toEqual(["kept"]);
  });
});

describe("a queue's quota", () => {
  it("counts what the device would be sent, and a removed reference takes its part along", async () => {
    const { directory } = world;
    await world.close();
    rmSync(directory, { recursive: true });
    world = await World.open({
      limits: { queueBytesMax: 100_000, chunkBytesMax: 1_000, chunkMergeBytesMax: 100 },
    });
    const [alice, bob] = (await connected(2)) as [Device, Device];
    const group = world.group(1, 1, [alice, bob]);
    bob.leave();
    for (let i = 1; i <= 30; i++) {
      alice.sendToGroup(i, String(i).padStart(10_000, "x"), group);
      await world.settle();
      await world.spillAll();
    }
    const kept = world.store.stats().sharedParts;
    expect(kept).toBe(9);
    expect((await checkDirectory(world.directory)).findings).toEqual([]);
    await bob.connect();
    while (bob.connection.entries.length < kept) {
      bob.ack(bob.connection.sequences.at(-1) as number);
      world.turn();
    }
    expect(bob.connection.of("gap").reduce((sum, { count }) => sum + count, 0)).toBe(30 - kept);
    expect(bob.connection.entries.map((text) => Number(text.replace(/[x+]/g, "")))).toEqual([
      22, 23, 24, 25, 26, 27, 28, 29, 30,
    ]);
    await drain(bob);
    await expectNothingLeft();
  });
});

describe("a group whose members are not resident", () => {
  it("has them loaded together, in one turn", async () => {
    const alice = await world.device(1, 1).connect();
    const members: Device[] = [alice];
    for (let i = 2; i <= 120; i++) {
      const member = world.device(1, i);
      await world.store.registerDevice(member.address.slice(0, 18), 1);
      members.push(member);
    }
    alice.sendToGroup(1, "x", world.group(1, 1, members));
    world.turn();
    expect(codesOf(alice)).toEqual([]);
    expect(world.kernel.counters().entries).toBe(119);
  });

  it("too many for the kernel's tables is refused as overloaded, and nothing of it is delivered", async () => {
    const alice = await world.device(1, 1).connect();
    const bob = await world.device(1, 2).connect();
    const members = [alice, bob];
    for (let i = 3; i <= 255; i++) members.push(world.device(1, i));
    for (let i = 1; i <= 30; i++) members.push(world.device(2, i));
    alice.sendToGroup(1, "x", world.group(1, 1, members));
    world.turn();
    expect(codesOf(alice)).toEqual([codes.overloaded.code]);
    alice.send(2, "still here", bob);
    world.turn();
    expect(bob.connection.entries).toEqual(["still here"]);
  });
});
