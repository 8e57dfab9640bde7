/** Sends to one other device of the own account, through the real kernel, path and store. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { accountOf } from "../../src/base/address.js";
import { codes } from "../../src/wire/codes.js";
import { type Device, World } from "./harness.js";

let world: World;
beforeEach(async () => {
  world = await World.open();
});
afterEach(() => world.remove());

const codesOf = (device: Device): number[] => device.connection.of("refusal").map(({ code }) => code);

/** Devices 1, 2 and 3 of account 1 of brand 1. */
async function family(): Promise<[Device, Device, Device]> {
  const devices: Device[] = [];
  for (const number of [1, 2, 3]) devices.push(await world.device(1, 1, number).connect());
  return devices as [Device, Device, Device];
}

describe("an own send", () => {
  it("reaches that device alone, in order with what else it gets, and is receipted", async () => {
    const [first, second, third] = await family();
    first.send(1, "to all", second, third).sendToOwn(2, "to one", 2).send(3, "to all again", second, third);
    await world.settle();
    expect(second.connection.entries).toEqual(["to all", "to one", "to all again"]);
    expect(third.connection.entries).toEqual(["to all", "to all again"]);
    expect(first.connection.of("receipt").at(-1)?.position).toBe(3);
    const [frame] = second.connection.of("ownDeliver");
    expect(frame).toMatchObject({ sender: first.address, timeMs: world.wallMs });
    expect(third.connection.of("ownDeliver")).toEqual([]);
  });

  it("goes nowhere else: an account cannot be named, and the same number of another one gets nothing", async () => {
    const [first] = await family();
    const strangers = [await world.device(1, 2, 2).connect(), await world.device(1, 2, 9).connect()];
    const foreign = await world.device(2, 1, 2).connect();
    first.sendToOwn(1, "x", 2).sendToOwn(2, "x", 9).sendToOwn(3, "x", 1);
    foreign.sendToOwn(4, "y", 3);
    await world.settle();
    expect(codesOf(first)).toEqual([codes.deviceNotOwn.code, codes.deviceNotOwn.code]);
    expect(first.connection.of("refusal").map(({ position }) => position)).toEqual([2, 3]);
    expect(codesOf(foreign)).toEqual([codes.deviceNotOwn.code]);
    expect([...strangers, foreign, first].flatMap(({ connection }) => connection.entries)).toEqual([]);
  });

  it("needs no roster, and ends with the removal of its device", async () => {
    const [first, second] = await family();
    await world.device(1, 1, 4).connect();
    first.sendToOwn(1, "a", 2);
    world.turn();
    await world.store.removeDevice(accountOf(first.address), 2, world.wallMs);
    await world.settle();
    first.sendToOwn(2, "b", 2);
    world.turn();
    expect(second.connection.entries).toEqual(["a"]);
    expect(codesOf(first)).toEqual([codes.deviceNotOwn.code]);
  });

  it("is refused while the brand has as much queued as it may, or the disk is nearly full", async () => {
    const [first, second] = await family();
    world.kernel.setCrossing(0, 0, "full");
    first.sendToOwn(1, "x", 2);
    world.turn();
    world.kernel.setCrossing(0, 0, "open");
    world.kernel.setDiskLow(true);
    first.sendToOwn(1, "x", 2);
    world.turn();
    world.kernel.setDiskLow(false);
    first.sendToOwn(1, "x", 2);
    world.turn();
    expect(codesOf(first)).toEqual([codes.brandQuota.code, codes.diskLow.code]);
    expect(second.connection.entries).toEqual(["x"]);
  });

  it("repeated under its id is answered like its original and delivered once", async () => {
    const [first, second] = await family();
    first.sendToOwn(1, "once", 2).sendToOwn(1, "once", 2);
    await world.settle();
    first.sendToOwn(1, "once", 2);
    await world.settle();
    expect(second.connection.entries).toEqual(["once"]);
    expect(first.connection.of("receipt").at(-1)?.position).toBe(3);
  });

  it("waits in the queue of a device that is away, through a spill and a restart", async () => {
    const [first, second] = await family();
    second.leave();
    first.sendToOwn(1, "spilled", 2).sendToOwn(2, "too", 2);
    await world.settle();
    await world.spillAll();
    first.sendToOwn(3, "in the journal", 2);
    await world.settle();
    // What the recovery finds is what a crash at this moment leaves: the tail is in the journal, not in the queue.
    await world.close();
    world = await World.open({ directory: world.directory });
    const back = await world.device(1, 1, 2).connect();
    await world.settle();
    expect(back.connection.entries).toEqual(["spilled", "too", "in the journal"]);
    expect(back.connection.of("ownDeliver")).toHaveLength(3);
  });

  it("counts against the queue's quota like everything else: the oldest go, with a gap in their place", async () => {
    await world.remove();
    world = await World.open({ limits: { queueEntriesMax: 3 } });
    const [first, second] = await family();
    // That the third device came is told when its transaction is on disk.
    while (second.connection.notices.length === 0) await world.settle();
    second.ack(Math.max(...second.connection.sequences)).leave();
    for (let i = 1; i <= 5; i++) {
      first.sendToOwn(i, `${i}`, 2);
      await world.settle();
      await world.spillAll();
    }
    await second.connect();
    await world.settle();
    const gaps = second.connection.of("gap").reduce((sum, { count }) => sum + count, 0);
    expect(gaps + second.connection.entries.length).toBe(5);
    expect(gaps).toBeGreaterThan(0);
    expect(second.connection.entries.at(-1)).toBe("5");
  });
});
