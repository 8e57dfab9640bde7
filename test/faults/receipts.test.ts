/**
 * A1: no receipt leaves before the flush that covers it. strace looks at every
 * write and flush of the journal and at every byte that goes to a device.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { buildMutant } from "../support/mutant.js";
import { NodeUnderTest } from "../support/node-under-test.js";
import { scanOutput } from "../support/output-scan.js";
import { amount, tell } from "../support/scale.js";
import { attachStrace } from "../support/strace.js";
import { Stranger } from "../support/stranger.js";
import { earlyReceipts, readTrace, traceArguments, traceableId } from "../support/trace.js";
import { until } from "../support/until.js";
import { World, type WorldDevice } from "../support/world.js";

const RECEIPTS = amount({ short: 5_000, full: 100_000 });
const DEVICES = 64;
const DELAY_MS = 5_000;

let directory = "";
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "interline-trace-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** A device that sends its next envelope when the receipt of the last has come. */
class Correspondent {
  readonly ids: string[] = [];
  receipts = 0;
  deliveries = 0;
  readonly stranger: Stranger;
  readonly #to: WorldDevice;
  #isSending = false;

  constructor(port: number, world: World, device: WorldDevice, to: WorldDevice) {
    this.#to = to;
    this.stranger = new Stranger({
      port,
      token: world.token(device),
      receipt: () => {
        this.receipts++;
        if (this.#isSending) this.send();
      },
      delivery: ({ sequence }) => {
        this.deliveries++;
        this.stranger.ack(sequence);
      },
    });
  }

  send(): void {
    this.#isSending = true;
    const id = traceableId();
    this.ids.push(id.toString());
    const { account, number } = this.#to;
    const devices = [{ device: number, payload: Buffer.from(`to ${account.brand.name}`) }];
    this.stranger.send(id, [{ account: account.address, version: 1, devices }]);
  }

  rest(): void {
    this.#isSending = false;
  }

  get isAnswered(): boolean {
    return this.receipts === this.ids.length;
  }
}

async function correspond(port: number, world: World): Promise<Correspondent[]> {
  for (const device of world.devices) {
    const stranger = await Stranger.open({ port, token: world.token(device) });
    stranger.drop();
    await stranger.ended;
  }
  const { devices } = world;
  const all = devices.map(
    (device, i) => new Correspondent(port, world, device, devices[(i + 7) % devices.length] as WorldDevice),
  );
  await Promise.all(all.map(({ stranger }) => stranger.welcomed));
  return all;
}

const world = () => new World({ brands: 2, accountsPerBrand: DEVICES / 2, devices: () => 1 });

/** Runs a node under strace until it has said so many receipts; tells how many were early. */
async function tracedRun(receipts: number, build?: string) {
  const people = world();
  const node = await NodeUnderTest.create({ world: people, ...(build === undefined ? {} : { build }) });
  const file = join(directory, `${build === undefined ? "real" : "mutant"}.trace`);
  try {
    await node.start({ strace: traceArguments(file) });
    const all = await correspond(node.port, people);
    for (const one of all) one.send();
    const count = () => all.reduce((sum, one) => sum + one.receipts, 0);
    await until("as many receipts as wanted", () => count() >= receipts, 240_000);
    for (const one of all) one.rest();
    await until("the last receipts", () => all.every((one) => one.isAnswered));
    const ids = new Map(all.map(({ stranger, ids }) => [stranger.socket.localPort as number, ids]));
    for (const { stranger } of all) stranger.drop();
    await node.kill();
    if (build === undefined) scanOutput(node, people);
    const trace = await readTrace(file);
    return {
      trace,
      early: earlyReceipts(trace, ids),
      sent: all.reduce((sum, one) => sum + one.ids.length, 0),
    };
  } finally {
    await node.discard();
  }
}

test("no receipt's write begins before the flush of all that it covers has returned", async () => {
  const { trace, early, sent } = await tracedRun(RECEIPTS);
  tell(
    `${trace.receipts.length} receipts for ${sent} sends, ${trace.flushes} flushes, ${early.length} early`,
  );
  expect(early).toEqual([]);
  expect(trace.receipts.length).toBeGreaterThanOrEqual(RECEIPTS);
  expect(trace.durableOrder.size).toBe(sent);
});

test("control: receipts that are due when the commit begins are caught as early", async () => {
  const mutant = buildMutant("receiptsBeforeFlush");
  try {
    const { trace, early } = await tracedRun(500, mutant.build);
    tell(`receiptsBeforeFlush: ${early.length} of ${trace.receipts.length} receipts early`);
    expect(early.length).toBeGreaterThan(100);
  } finally {
    mutant.remove();
  }
});

test("while a flush takes five seconds envelopes are delivered and no receipt leaves", async () => {
  const people = world();
  const node = await NodeUnderTest.create({ world: people });
  try {
    await node.start();
    const all = await correspond(node.port, people);
    const inject = `inject=pwrite64:delay_exit=${DELAY_MS * 1000}`;
    const strace = await attachStrace(node.pid, [
      "-f",
      "-o",
      "/dev/null",
      "-e",
      "trace=pwrite64",
      "-e",
      inject,
    ]);
    const sentMs = performance.now();
    for (const one of all) one.send();
    for (const one of all) one.rest();
    await until("every envelope is delivered", () => all.every((one) => one.deliveries === 1));
    const deliveredMs = performance.now() - sentMs;
    await until("a receipt", () => all.some((one) => one.receipts === 1));
    const earliestMs = performance.now() - sentMs;
    await strace.letGo();
    tell(`delivered within ${deliveredMs.toFixed()} ms, first receipt after ${earliestMs.toFixed()} ms`);
    expect(deliveredMs).toBeLessThan(DELAY_MS);
    expect(earliestMs).toBeGreaterThan(DELAY_MS - 50);
  } finally {
    await node.discard();
  }
});
