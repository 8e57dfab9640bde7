/**
 * A node whose machine's clock is set, far ahead and by an hour on and back: what waits for a device that is away stays
 * there, and what is promised or bounded for a time lasts as long as it says.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { systemClock } from "../../src/base/clock.js";
import { accountOf, createNode, type InterlineNode } from "../../src/index.js";
import { limits } from "../../src/rules/limits.js";
import { until } from "../support/until.js";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const ANN = { brand: "whatsapp", account: "ann", device: 1 };
const BOB = { brand: "whatsapp", account: "bob", device: 1 };

let directory: string;
let node: InterlineNode;
const open = () => createNode({ dataDirectory: directory, listen: false, limits: { spillAgeMs: 100 } });
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "interline-clock-"));
  node = await open();
});
afterEach(async () => {
  vi.restoreAllMocks();
  await node.stop();
  rmSync(directory, { recursive: true, force: true });
});

it("expires nothing for it, says so, and delivers when the device comes", { timeout: 30_000 }, async () => {
  const bob = node.attach(BOB);
  await bob.connect();
  await bob.close();
  const ann = node.attach(ANN);
  await ann.connect();
  const account = accountOf(node.address(BOB));
  const roster = await ann.roster(account);
  await ann.send({
    to: [{ account, version: roster.version, devices: [{ device: 1, payload: new Uint8Array(8) }] }],
  });
  await until("it is queued", () => node.stats().store.spilledEntries === 1);
  const now = Date.now;
  vi.spyOn(Date, "now").mockImplementation(() => now() + 40 * DAY_MS);
  await until("the jump is seen", () => node.stats().clockAheadMs > 39 * DAY_MS);
  // A whole round over the queues, with the clock as it is now.
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  vi.restoreAllMocks();
  await until("the clock is right again", () => node.stats().clockAheadMs === 0);
  expect(node.stats().store.expiredEntries).toBe(0);
  const gaps: unknown[] = [];
  const taken: unknown[] = [];
  const again = node.attach(BOB);
  again.on("gap", (gap) => gaps.push(gap));
  again.on("envelope", (envelope) => taken.push(envelope));
  await again.connect();
  await until("it comes", () => taken.length + gaps.length > 0);
  expect([taken.length, gaps.length]).toEqual([1, 0]);
  await Promise.all([ann.close(), again.close()]);
});

it("takes a repeat for one, and counts claims on, when it is set on twice and back, and over a restart", {
  timeout: 30_000,
}, async () => {
  const now = Date.now;
  const setTo = (aheadMs: number) => vi.spyOn(Date, "now").mockImplementation(() => now() + aheadMs);
  const account = accountOf(node.address(BOB));
  const connected = async (name: typeof ANN) => {
    const client = node.attach(name);
    await client.connect();
    return client;
  };
  let [ann, bob] = await Promise.all([connected(ANN), connected(BOB)]);
  const { version } = await ann.roster(account);
  const send = (n: number) => {
    const id = new Uint8Array(16).fill(n);
    return ann.send({ id, to: [{ account, version, devices: [{ device: 1, payload: id }] }] });
  };
  await bob.keys.upload({
    identity: [{ id: 1, key: Uint8Array.of(1) }],
    signedPreKey: [{ id: 2, key: Uint8Array.of(2) }],
  });
  const claim = () => ann.keys.claim(node.address(BOB), "signal");
  for (let i = 0; i < limits.claimPairTokens; i++) await claim();
  await send(1);
  for (const [i, hours] of [1, 2, -1].entries()) {
    setTo(hours * HOUR_MS);
    await send(10 + i);
    await expect(claim()).rejects.toMatchObject({ code: "rateLimited" });
  }
  await send(1);
  expect(node.stats().counters.duplicates).toBe(1);
  await Promise.all([ann.close(), bob.close()]);
  await node.stop();
  setTo(3 * HOUR_MS);
  node = await open();
  [ann, bob] = await Promise.all([connected(ANN), connected(BOB)]);
  await send(1);
  expect(node.stats().counters).toMatchObject({ duplicates: 1, entries: 0 });
  await expect(claim()).rejects.toMatchObject({ code: "rateLimited" });
  await Promise.all([ann.close(), bob.close()]);
});

it("has a second time, which reads like the first and goes on when that is set", () => {
  const [beginsMs, wallMs] = [systemClock.monotonicMs(), Date.now()];
  expect(Math.abs(beginsMs - wallMs)).toBeLessThan(60_000);
  vi.spyOn(Date, "now").mockImplementation(() => wallMs - HOUR_MS);
  expect(systemClock.wallMs()).toBe(wallMs - HOUR_MS);
  const passedMs = systemClock.monotonicMs() - beginsMs;
  expect(passedMs).toBeGreaterThanOrEqual(0);
  expect(passedMs).toBeLessThan(10_000);
});
