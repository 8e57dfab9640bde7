/** What the node says of itself: after the change is durable, in order, once it is said never lost, and never twice under one id. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type AccountAddress, accountAddress, accountOf } from "../../src/base/address.js";
import { limits } from "../../src/rules/limits.js";
import { Batch, Database } from "../../src/store/database.js";
import { checkDirectory } from "../../src/store/store.js";
import { isNode } from "../../src/wire/notices.js";
import { until } from "../support/until.js";
import { type Device, World } from "./harness.js";

let world: World;
beforeEach(async () => {
  world = await World.open();
});
afterEach(() => world.remove());

const token = (n: number) => ({ kind: "set", token: new Uint8Array(16).fill(n) }) as const;
const versions = (device: Device): unknown[] => device.connection.notices.map(({ version }) => version);

/** The outbox is cleared with a transaction of its own. */
async function untilNothingIsOwed(): Promise<void> {
  await until("nothing is owed", () => world.store.notices(0, 10).length === 0);
}

/** The world after a crash: what was in memory is gone. */
async function reopen(): Promise<void> {
  await world.close();
  world = await World.open({ directory: world.directory });
}

describe("a roster that has changed", () => {
  it("is told to the devices that were there before, with all that it holds now", async () => {
    const one = await world.device(1, 1, 1).connect();
    const two = await world.device(1, 1, 2).connect();
    await world.device(1, 1, 3).connect();
    await world.settle();
    world.turn();
    expect(one.connection.notices).toEqual([
      { notice: "roster", version: 2, devices: [1, 2] },
      { notice: "roster", version: 3, devices: [1, 2, 3] },
    ]);
    expect(two.connection.notices).toEqual([{ notice: "roster", version: 3, devices: [1, 2, 3] }]);
    await world.settle();
    await untilNothingIsOwed();
  });

  it("waits in the queue of a device that is away, in order with what others send", async () => {
    const one = await world.device(1, 1, 1).connect();
    const bob = await world.device(2, 2).connect();
    one.leave();
    bob.send(1, "before", one);
    world.turn();
    await world.store.registerDevice(accountOf(one.address), 2);
    await world.settle();
    bob.send(2, "after", one, world.device(1, 1, 2));
    await world.settle();
    await world.spillAll();
    await one.connect();
    const order = one.connection.of("deliver").map((frame) => (isNode(frame.sender) ? "notice" : "envelope"));
    expect(order).toEqual(["envelope", "notice", "envelope"]);
    expect(one.connection.texts).toEqual(["before", "after"]);
    expect(one.connection.of("gap")).toEqual([]);
  });

  it("is told after a crash between the change and its notice", async () => {
    const one = await world.device(1, 1, 1).connect();
    await world.settle();
    await world.store.registerDevice(accountOf(one.address), 2);
    await reopen();
    const again = await world.device(1, 1, 1).connect();
    await world.settle();
    expect(versions(again)).toEqual([2]);
  });

  it("is told once when the crash came before the outbox was cleared", async () => {
    const one = await world.device(1, 1, 1).connect();
    await world.store.registerDevice(accountOf(one.address), 2);
    // The commit that holds the notice is flushed, and the node never learns it.
    world.isOutboxKept = true;
    await world.settle();
    expect(versions(one)).toEqual([2]);
    expect(world.store.notices(0, 10).length).toBe(1);
    await reopen();
    const again = await world.device(1, 1, 1).connect();
    await world.settle();
    expect(versions(again)).toEqual([2]);
    expect(world.kernel.counters().duplicates).toBe(1);
    await untilNothingIsOwed();
  });

  it("waits, in order, while the node takes no sends", async () => {
    const one = await world.device(1, 1, 1).connect();
    world.kernel.setDiskLow(true);
    for (const number of [2, 3, 4]) await world.store.registerDevice(accountOf(one.address), number);
    for (let i = 0; i < 20; i++) world.later(100).turn();
    expect(versions(one)).toEqual([]);
    expect(world.path.isWaiting).toBe(true);
    world.kernel.setDiskLow(false);
    for (let i = 0; i < 20; i++) {
      world.later(300).turn();
      await world.settle();
    }
    expect(versions(one)).toEqual([2, 3, 4]);
    await untilNothingIsOwed();
  });
});

it("notices that are damaged on disk hold up none that are not, however many they are", async () => {
  const one = await world.device(1, 1, 1).connect();
  const other = await world.device(1, 2, 1).connect();
  const count = limits.noticesInFlightMax + 6;
  for (let i = 0; i < count; i++) await world.store.changeDeliveryTokens(accountOf(one.address), token(i));
  await world.store.registerDevice(accountOf(other.address), 2);
  await world.close();
  const database = Database.open(world.directory, { readOnly: false });
  const batch = new Batch();
  for (const { key, value } of [...database.rows("outbox")].slice(0, count)) {
    value[20] = (value[20] as number) ^ 1;
    batch.put("outbox", key, value);
  }
  await database.write(batch);
  await database.close();
  world = await World.open({ directory: world.directory });
  const again = await world.device(1, 2, 1).connect();
  await world.settle();
  expect(versions(again)).toEqual([2]);
  await untilNothingIsOwed();
  // They are left for whoever looks after the disk.
  const { findings } = await checkDirectory(world.directory);
  expect(findings.filter(({ table }) => table === "outbox")).toHaveLength(count);
});

describe("what one brand is owed", () => {
  it("costs another its turn at most, however much it is", async () => {
    const crowd = await world.device(1, 1, 1).connect();
    const other = await world.device(2, 2, 1).connect();
    await world.settle();
    // Nothing goes out meanwhile; of the one brand it is more than there are places.
    world.kernel.setDiskLow(true);
    for (let i = 0; i < 80; i++) await world.store.changeDeliveryTokens(accountOf(crowd.address), token(i));
    await world.store.registerDevice(accountOf(other.address), 2);
    world.kernel.setDiskLow(false);
    world.later(300).turn();
    expect(versions(other)).toEqual([2]);
    expect(crowd.connection.notices.length).toBeLessThan(80);
  });

  it("is bounded: beyond it what would be told is refused with the time to wait, and what takes away is not", async () => {
    await world.close();
    const noticesOwedPerBrandMax = 40;
    world = await World.open({ directory: world.directory, limits: { noticesOwedPerBrandMax } });
    const [one, other] = [await world.device(1, 1, 1).connect(), await world.device(2, 2, 1).connect()];
    const account = accountOf(one.address);
    await world.settle();
    const owed = () => world.store.notices(0, 100).length;
    const many = Array.from({ length: noticesOwedPerBrandMax }, (_, i) => {
      const id = new Uint8Array(16).fill(9);
      new DataView(id.buffer).setUint32(0, i);
      return accountAddress(1, id);
    });
    await Promise.all(many.map((one) => world.store.createAccount(one)));
    await Promise.all(many.map((one, i) => world.store.changeDeliveryTokens(one, token(i))));
    expect(owed()).toBe(noticesOwedPerBrandMax);
    const refused = { code: "rateLimited", retryAfterMs: limits.noticesOwedRetryMs };
    await expect(world.store.addDevice(account, 2)).rejects.toMatchObject(refused);
    await expect(world.store.registerDevice(account, 2)).rejects.toMatchObject(refused);
    await expect(world.store.changeDeliveryTokens(many[0] as AccountAddress, token(1))).rejects.toMatchObject(
      refused,
    );
    expect(owed()).toBe(noticesOwedPerBrandMax);
    // Another brand is not asked to wait, nor is whoever gives his token back.
    await world.store.addDevice(accountOf(other.address), 2);
    await world.store.changeDeliveryTokens(many[0] as AccountAddress, { kind: "revoke" });
    expect(owed()).toBe(noticesOwedPerBrandMax + 2);
    while (owed() > 0) await world.settle();
    await world.store.addDevice(account, 2);
    expect(world.store.readAccount(account)?.devices).toHaveLength(2);
  });
});

it("the node's own device can be written to by nobody", async () => {
  const one = await world.device(1, 1, 1).connect();
  await world.device(1, 1, 2).connect();
  await world.settle();
  one.say({
    kind: "send",
    id: new Uint8Array(16).fill(1),
    accounts: [{ account: new Uint8Array(18), version: 1, devices: [] }],
  });
  world.turn();
  expect(one.connection.of("refusal")).toMatchObject([{ code: 302 }]);
});

it("the end of all connections is not the end of the node's own", async () => {
  const one = await world.device(1, 1, 1).connect();
  await world.device(1, 1, 2).connect();
  await world.settle();
  world.path.endAll("draining", () => 0);
  expect(one.connection.ended).toBe("draining");
  await world.store.registerDevice(accountOf(one.address), 3);
  await world.settle();
  await untilNothingIsOwed();
  expect(world.path.connectionCount).toBe(0);
});
