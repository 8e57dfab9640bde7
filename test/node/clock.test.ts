/** A node whose machine's clock is set far ahead, and back: what waits for a device that is away stays there. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { accountOf, createNode, type InterlineNode } from "../../src/index.js";
import { until } from "../support/until.js";

const DAY_MS = 24 * 3_600_000;
const ANN = { brand: "whatsapp", account: "ann", device: 1 };
const BOB = { brand: "whatsapp", account: "bob", device: 1 };

let directory: string;
let node: InterlineNode;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "interline-clock-"));
  node = await createNode({ dataDirectory: directory, listen: false, limits: { spillAgeMs: 100 } });
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
