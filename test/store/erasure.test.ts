/** What a removed device had is gone after a crash, from every table at once. */
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { accountOf } from "../../src/base/address.js";
import { systemClock } from "../../src/base/clock.js";
import { checkDirectory, openStore, type Store } from "../../src/store/store.js";
import { referenceRun, testDevice, testPart, testPayload } from "../support/journal-record.js";

const PART = 1;
const device = testDevice(1);
const directories: string[] = [];
const stores: Store[] = [];

afterEach(async () => {
  for (const store of stores.splice(0)) await store.close();
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
});

function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "interline-erasure-"));
  directories.push(directory);
  return directory;
}

/** The directory as a kill would leave it now; the store lives on. */
function killedCopy(directory: string): string {
  const copy = newDirectory();
  for (const file of ["store.mdb", "journal.dat"]) cpSync(join(directory, file), join(copy, file));
  return copy;
}

async function open(directory: string): Promise<Store> {
  const store = await openStore({ directory, clock: systemClock });
  stores.push(store);
  return store;
}

test("a kill right after the open that erases a removed device's queue leaves no count of its shared parts", async () => {
  const directory = newDirectory();
  const store = await open(directory);
  await store.registerDevice(accountOf(device), 1);
  const payload = testPayload(1, 40);
  const run = referenceRun(device, store.epoch * 2 ** 32 + 1, {
    number: PART,
    payloadBytes: payload.length,
    block: new Uint8Array(4),
  });
  await store.spill([run], 0, () => testPart(PART, payload));
  expect(store.stats().sharedParts).toBe(1);
  await store.removeDevice(accountOf(device), 1, 1);
  const killed = killedCopy(directory);
  const again = await open(killed);
  expect(again.stats().sharedParts).toBe(0);
  expect((await checkDirectory(killedCopy(killed))).findings).toEqual([]);
});
