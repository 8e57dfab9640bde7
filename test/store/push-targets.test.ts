/** Push targets on disk: they survive, go with their device, and nothing brings back what another has removed. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { accountOf } from "../../src/base/address.js";
import { checkDirectory, inspectDirectory, type Store } from "../../src/store/store.js";
import { numberedRun, testDevice } from "../support/journal-record.js";
import { StoreFixture } from "../support/store-fixture.js";

const [ann, bob] = [testDevice(1), testDevice(2)];
const phone = { kind: "webPush", target: Uint8Array.of(1, 2, 3) };
const tablet = { kind: "webhook", target: Uint8Array.of(9) };

let fixture: StoreFixture;
beforeEach(() => {
  fixture = new StoreFixture();
});
afterEach(() => fixture.cleanUp());

async function openWith(...devices: readonly Uint8Array[]) {
  const store = await fixture.open();
  for (const device of devices) await store.registerDevice(accountOf(device), 1);
  return store;
}

describe("a target", () => {
  test("is one a device, replaced by the next, and there after a restart", async () => {
    const first = await openWith(ann, bob);
    await first.pushTargets.register(ann, tablet, 10);
    await first.pushTargets.register(ann, phone, 20);
    await first.pushTargets.register(bob, tablet, 30);
    await first.pushTargets.unregister(bob);
    await first.pushTargets.unregister(bob);
    // All of these wait for one transaction.
    await Promise.all([
      first.pushTargets.connected(ann, 20),
      first.pushTargets.unregister(ann),
      first.pushTargets.register(ann, phone, 20),
    ]);
    await first.close();
    const second = await fixture.open();
    expect(second.pushTargets.read(ann)).toEqual({ ...phone, settledMs: 20, hasConnected: true });
    expect(second.pushTargets.read(bob)).toBeUndefined();
    await second.close();
    expect(await checkDirectory(fixture.directory)).toMatchObject({ ok: true, push: { targets: 1 } });
  });

  test("that is registered again keeps its history", async () => {
    const store = await openWith(ann);
    await store.pushTargets.register(ann, phone, 10);
    await store.pushTargets.settle(ann, phone, 20);
    await store.pushTargets.register(ann, phone, 30);
    expect(store.pushTargets.read(ann)).toEqual({ ...phone, settledMs: 20, hasConnected: false });
    await store.pushTargets.connected(ann, 40);
    expect(store.pushTargets.read(ann)).toMatchObject({ settledMs: 40, hasConnected: true });
  });

  test("is left alone by what became of the one before it", async () => {
    const store = await openWith(ann);
    await store.pushTargets.register(ann, tablet, 10);
    await store.pushTargets.settle(ann, phone, 20);
    await store.pushTargets.unregister(ann, phone);
    expect(store.pushTargets.read(ann)).toEqual({ ...tablet, settledMs: 10, hasConnected: true });
    await store.pushTargets.unregister(ann, tablet);
    await store.pushTargets.settle(ann, tablet, 30);
    await store.pushTargets.connected(ann, 30);
    expect(store.pushTargets.read(ann)).toBeUndefined();
  });

  test("is not taken from a device that is not registered", async () => {
    const store = await openWith(ann);
    await expect(store.pushTargets.register(bob, phone, 1)).rejects.toMatchObject({ code: "notFound" });
    expect(store.pushTargets.read(bob)).toBeUndefined();
  });

  test("is found by going through all, in pieces", async () => {
    const devices = Array.from({ length: 7 }, (_, i) => testDevice(i + 1));
    const store = await openWith(...devices);
    for (const device of devices) await store.pushTargets.register(device, phone, 1);
    const found: string[] = [];
    let after: Uint8Array | undefined;
    for (let i = 0; i < 4; i++) {
      const piece = store.pushTargets.devicesAfter(after, 2);
      found.push(...piece.map((device) => Buffer.from(device).toString("hex")));
      after = piece.at(-1);
    }
    expect(found.sort()).toEqual(devices.map((device) => Buffer.from(device).toString("hex")).sort());
  });
});

describe("a device that goes", () => {
  const works = {
    before: (store: Store, go: () => Promise<unknown>) => [...changesOf(store), go()],
    after: (store: Store, go: () => Promise<unknown>) => [go(), ...changesOf(store)],
  };
  const changesOf = ({ pushTargets }: Store): Promise<unknown>[] => [
    pushTargets.settle(ann, phone, 20),
    pushTargets.connected(ann, 30),
    pushTargets.register(ann, tablet, 40),
  ];

  test.each([
    ["is removed", "before"],
    ["is removed", "after"],
    ["goes with its account", "before"],
    ["goes with its account", "after"],
  ] as const)("%s, and its target with it, with changes waiting %s that", async (way, order) => {
    const store = await openWith(ann, bob);
    await store.pushTargets.register(ann, phone, 10);
    await store.pushTargets.register(bob, phone, 10);
    const go = () =>
      way === "is removed"
        ? store.removeDevice(accountOf(ann), 1, fixture.nowMs)
        : store.removeAccount(accountOf(ann), fixture.nowMs);
    // While this one is written all others gather.
    const first = store.pushTargets.settle(bob, phone, 15);
    const [settled, ...others] = await Promise.allSettled([first, ...works[order](store, go)]);
    expect(settled).toMatchObject({ status: "fulfilled" });
    const refused = others.filter(({ status }) => status === "rejected");
    expect(refused).toMatchObject(order === "after" ? [{ reason: { code: "notFound" } }] : []);
    expect(store.pushTargets.read(ann)).toBeUndefined();
    // The path carries the removal out; a new device of the same number has no target.
    store.erase(ann, 1);
    await store.registerDevice(accountOf(ann), 1);
    expect(store.pushTargets.read(ann)).toBeUndefined();
    expect(store.pushTargets.devicesAfter(undefined, 10)).toEqual([bob]);
    await store.close();
    expect(await checkDirectory(fixture.directory)).toMatchObject({ ok: true, push: { targets: 1 } });
  });

  test("is in no transaction without its target", async () => {
    const store = await openWith(ann);
    await store.pushTargets.register(ann, phone, 10);
    const flushes = store.stats().flushes;
    await store.removeDevice(accountOf(ann), 1, fixture.nowMs);
    expect(store.stats().flushes).toBe(flushes + 1);
    expect(store.pushTargets.devicesAfter(undefined, 10)).toEqual([]);
  });
});

describe("damage", () => {
  test.each([0, 4, 9, 16, -1])("of byte %i is reported, never read, and found by check", async (byte) => {
    const store = await openWith(ann);
    await store.pushTargets.register(ann, phone, 10);
    await store.close();
    await fixture.flipBit("push", { row: 0, byte });
    expect(await checkDirectory(fixture.directory)).toMatchObject({
      ok: false,
      findings: [{ table: "push", kind: "damaged" }],
    });
    const again = await fixture.open();
    expect(again.pushTargets.read(ann)).toBeUndefined();
    expect(fixture.reports).toMatchObject([{ table: "push" }]);
    await again.pushTargets.register(ann, tablet, 20);
    expect(again.pushTargets.read(ann)).toMatchObject(tablet);
  });

  test("check finds a target whose device is not registered, and inspect counts rows", async () => {
    const store = await openWith(ann);
    await store.pushTargets.register(ann, phone, 10);
    await store.close();
    await fixture.tamper((database, batch) => {
      const [account] = [...database.rows("accounts")];
      if (account !== undefined) batch.remove("accounts", account.key);
    });
    const findings = [{ table: "push", kind: "reference" }];
    expect(await checkDirectory(fixture.directory)).toMatchObject({ ok: false, findings });
    const inspector = inspectDirectory(fixture.directory);
    expect(inspector.overview().rows).toMatchObject({ push: 1 });
    await inspector.close();
  });
});

test("when the newest of a queue was stored is known, as long as it is not acked", async () => {
  const store = await openWith(ann);
  expect(store.lastQueuedMs(ann)).toBeUndefined();
  await store.spill([numberedRun(ann, 1, 3)], 0);
  expect(store.lastQueuedMs(ann)).toBe(fixture.nowMs);
  store.trim(ann, 3);
  expect(store.lastQueuedMs(ann)).toBeUndefined();
});
