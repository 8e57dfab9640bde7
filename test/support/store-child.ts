/**
 * A program that drives a store and says on its standard output what has become
 * durable, line by line, so that a test can kill it at any moment and compare.
 * Run as: node <compiled> <verb> <data directory> <seed>. Verbs:
 *
 *   write   opens, prints what it found, then commits, spills and acks for ever
 *   fill    commits until a write fails, then exits with 7
 *   contend opens and closes the directory many times; prints each violation of
 *           its exclusiveness
 *
 *   opened <epoch>            after the open
 *   found <device> <item> …   queue of a device: `s<sequence>` or `g<first>-<last>x<count>`
 *   ready
 *   try <device> <sequence>…  about to be committed
 *   done <record>             the commit has resolved, and all tries before it with it
 *   ack <device> <floor>      about to be acked
 *   acked <device> <floor>    an ack that a resolved commit holds
 *   spilled <record>          a spill has resolved
 */
import { closeSync, openSync, unlinkSync, writeSync } from "node:fs";
import { join } from "node:path";
import { accountOf } from "../../src/base/address.js";
import { systemClock } from "../../src/base/clock.js";
import type { Ack, SpillRun } from "../../src/store/journal-record.js";
import { openStore, type QueueItem, type Store } from "../../src/store/store.js";
import {
  framesIn,
  journalRecord,
  numberedRun,
  referenceRun,
  testDevice,
  testPart,
  testPayload,
} from "./journal-record.js";

const [verb, directory = "", seedText = "1"] = process.argv.slice(2);
const DEVICES = 400;
/** Most traffic is among these; now and then a commit reaches all, so that its spill takes several slices. */
const BUSY_DEVICES = 40;
let seed = Number(seedText);

function random(bound: number): number {
  seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
  return (seed >>> 8) % bound;
}

function say(line: string): void {
  writeSync(1, `${line}\n`);
}

function describe(item: QueueItem): string {
  if (item.kind === "gap") return `g${item.firstSequence}-${item.lastSequence}x${item.entryCount}`;
  return framesIn(item.frames)
    .map(({ sequence, block, payload }) => {
      const isSame =
        block === undefined
          ? isTestPayload(payload, sequence)
          : isTestPayload(block, sequence) && isTestPayload(payload.subarray(8), partIn(payload));
      if (!isSame) throw new Error("a payload was changed");
      return `s${sequence}`;
    })
    .join(" ");
}

function isTestPayload(payload: Uint8Array, sequence: number): boolean {
  return Buffer.compare(payload, testPayload(sequence, payload.length)) === 0;
}

/** A shared payload begins with the number of its part. */
function partIn(payload: Uint8Array): number {
  return Number(new DataView(payload.buffer, payload.byteOffset).getBigUint64(0));
}

class Driver {
  readonly #store: Store;
  #next: number;
  #nextPart: number;
  readonly #parts = new Map<number, Uint8Array>();
  #record = 0;
  readonly #floors = new Map<number, number>();
  readonly #newest = new Map<number, number>();
  #unspilled: { record: number; device: number; run: SpillRun }[] = [];

  constructor(store: Store) {
    this.#store = store;
    this.#next = store.epoch * 2 ** 32;
    this.#nextPart = store.firstPart;
  }

  async start(): Promise<void> {
    say(`opened ${this.#store.epoch}`);
    const devices = Array.from({ length: DEVICES }, (_, device) => device);
    await Promise.all(devices.map((device) => this.#store.registerDevice(accountOf(testDevice(device)), 1)));
    for (const device of devices) {
      const address = testDevice(device);
      const items = this.#store.readQueue(address, 0, { bytesMax: 1 << 30, entriesMax: 1 << 30 });
      this.#newest.set(device, items.at(-1)?.lastSequence ?? 0);
      if (items.length > 0) say(`found ${device} ${items.map(describe).join(" ")}`);
    }
    say("ready");
  }

  async commit(payloadBytesMax: number): Promise<void> {
    const runs: SpillRun[] = [];
    const isBroad = random(25) === 0;
    for (let i = isBroad ? DEVICES - 1 : random(12); i >= 0; i--) {
      const device = isBroad ? i : random(BUSY_DEVICES);
      const count = 1 + random(4);
      const run = numberedRun(testDevice(device), this.#next + 1, count, random(payloadBytesMax));
      this.#next += count;
      this.#take(runs, device, run);
    }
    const parts: Uint8Array[] = [];
    if (random(2) === 0) parts.push(this.#share(runs, isBroad, payloadBytesMax));
    const acks: Ack[] = [];
    const acked: [number, number][] = [];
    for (let i = isBroad ? DEVICES - 1 : random(3); i >= 0; i--) {
      const device = isBroad ? i : random(BUSY_DEVICES);
      const floor = (this.#newest.get(device) ?? 0) - random(3);
      if (floor <= (this.#floors.get(device) ?? 0)) continue;
      acks.push({ device: testDevice(device), floor });
      acked.push([device, floor]);
      say(`ack ${device} ${floor}`);
      this.#floors.set(device, floor);
      this.#store.trim(testDevice(device), floor);
    }
    const number = ++this.#record;
    const keys = new Uint8Array(20 * runs.length);
    keys.forEach((_, at) => {
      keys[at] = at % 20 === 0 ? 1 : at % 20 < 4 ? 0 : random(256);
    });
    await this.#store.commit({
      records: [{ number, bytes: journalRecord(number, runs, acks, undefined, parts) }],
      dedupKeys: keys,
      timeMs: Date.now(),
    }).durable;
    for (const { device, run } of this.#unspilled) this.#newest.set(device, run.lastSequence);
    for (const [device, floor] of acked) say(`acked ${device} ${floor}`);
    say(`done ${number}`);
  }

  #take(runs: SpillRun[], device: number, run: SpillRun): void {
    const { firstSequence, entryCount } = run;
    say(`try ${device} ${Array.from({ length: entryCount }, (_, i) => firstSequence + i).join(" ")}`);
    runs.push(run);
    this.#unspilled.push({ record: this.#record + 1, device, run });
  }

  /** One part for several devices, or for all: each gets a run that refers to it. */
  #share(runs: SpillRun[], isBroad: boolean, payloadBytesMax: number): Uint8Array {
    const number = this.#nextPart++;
    const payloadBytes = 8 + random(payloadBytesMax);
    const payload = new Uint8Array(payloadBytes);
    new DataView(payload.buffer).setBigUint64(0, BigInt(number));
    payload.set(testPayload(number, payloadBytes - 8), 8);
    for (
      let device = (isBroad ? DEVICES : BUSY_DEVICES) - 1;
      device >= 0;
      device -= isBroad ? 1 : 1 + random(6)
    ) {
      const sequence = ++this.#next;
      const block = testPayload(sequence, random(2) * random(40));
      this.#take(runs, device, referenceRun(testDevice(device), sequence, { number, payloadBytes, block }));
    }
    const part = testPart(number, payload);
    this.#parts.set(number, part);
    return part;
  }

  async spill(): Promise<void> {
    const through = this.#record - random(4);
    const due = this.#unspilled.filter(({ record }) => record <= through);
    this.#unspilled = this.#unspilled.filter(({ record }) => record > through);
    const runs = due.map(({ device, run }) => ({ ...run, ackedThrough: this.#floors.get(device) ?? 0 }));
    const spilled = this.#store.spill(runs, through, (number) => this.#parts.get(number));
    if (random(2) === 0) await this.commit(300);
    await spilled;
    say(`spilled ${through}`);
  }
}

async function write(): Promise<void> {
  const store = await openStore({
    directory,
    clock: systemClock,
    onCorruption: (report) => say(`bad ${report.detail}`),
  });
  const driver = new Driver(store);
  await driver.start();
  for (;;) {
    if (random(6) === 0) await driver.spill();
    else if (random(10) === 0) await store.sweep(Date.now(), 100);
    else await driver.commit(300);
  }
}

async function fill(): Promise<void> {
  const store = await openStore({ directory, clock: systemClock });
  const driver = new Driver(store);
  await driver.start();
  let rejected = "";
  void store.failed.then((error) => say(`failed ${(error as Error & { code: string }).code}`));
  try {
    for (;;) await driver.commit(20_000);
  } catch (error) {
    rejected = (error as Error & { code: string }).code;
  }
  say(`rejected ${rejected}`);
  for (const later of [
    () =>
      store.commit({
        records: [{ number: 1e6, bytes: journalRecord(1e6, []) }],
        dedupKeys: new Uint8Array(),
        timeMs: 1,
      }).durable,
    () => store.spill([], 1),
    () => store.registerDevice(accountOf(testDevice(999)), 1),
    () => store.sweep(1, 1),
  ]) {
    say(
      `later ${await later().then(
        () => "resolved",
        (error: { code: string }) => error.code,
      )}`,
    );
  }
  await store.close();
  process.exit(7);
}

async function contend(): Promise<void> {
  const mark = join(directory, "mark");
  let opened = 0;
  for (let i = 0; i < 60 && opened < 4; i++) {
    try {
      const store = await openStore({ directory, clock: systemClock });
      opened++;
      closeSync(openSync(mark, "wx"));
      await new Promise((resolve) => setTimeout(resolve, 10));
      unlinkSync(mark);
      await store.close();
    } catch (error) {
      const { code, message } = error as { code: string; message: string };
      if (code !== "directoryInUse") say(`violation ${code} ${message}`);
    }
    await new Promise((resolve) => setTimeout(resolve, random(30)));
  }
  say(`opened ${opened}`);
}

const run = new Map([
  ["write", write],
  ["fill", fill],
  ["contend", contend],
]).get(verb ?? "");
if (run === undefined) throw new Error(`unknown verb ${verb}`);
await run();
