import { afterEach, expect, test } from "vitest";
import type { Batch } from "../../src/store/database.js";
import { type WritableDatabase, Writer } from "../../src/store/writer.js";

/** A database whose writes settle when the test says so. */
class HeldDatabase implements WritableDatabase {
  readonly writes: { readonly rows: number; resolve(): void; reject(error: Error): void }[] = [];

  refresh(): void {}

  write(batch: Batch): Promise<void> {
    return new Promise((resolve, reject) => {
      this.writes.push({ rows: batch.changes.length, resolve, reject });
    });
  }
}

const writers: Writer[] = [];
const unhandled: unknown[] = [];
process.on("unhandledRejection", (error) => unhandled.push(error));

afterEach(() => {
  for (const writer of writers.splice(0)) writer.stop();
  expect(unhandled).toEqual([]);
});

function newWriter(timeoutMs = 60_000): { writer: Writer; database: HeldDatabase } {
  const database = new HeldDatabase();
  const writer = new Writer(database, { timeoutMs });
  writers.push(writer);
  return { writer, database };
}

const key = Uint8Array.of(1);

/** Work that puts a row per slice. */
function slices(count: number): { stage(batch: Batch): boolean; staged: number } {
  return {
    staged: 0,
    stage(batch) {
      batch.put("meta", key, key);
      this.staged++;
      return this.staged === count;
    },
  };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("what comes while a write is under way goes together into the next", async () => {
  const { writer, database } = newWriter();
  const first = writer.submitPrompt(slices(1));
  const rest = Promise.all([writer.submitPrompt(slices(1)), writer.submitPrompt(slices(1))]);
  expect(database.writes.map((write) => write.rows)).toEqual([1]);
  database.writes[0]?.resolve();
  await first;
  await turn();
  expect(database.writes.map((write) => write.rows)).toEqual([1, 2]);
  database.writes[1]?.resolve();
  await rest;
});

test("slow work gives way to prompt work after each slice", async () => {
  const { writer, database } = newWriter();
  const slow = slices(3);
  const order: string[] = [];
  const slowDone = writer.submitSlow(slow).then(() => order.push("slow"));
  const promptDone = writer.submitPrompt(slices(1)).then(() => order.push("prompt"));
  for (let i = 0; i < 3; i++) {
    expect(slow.staged).toBe(i + 1);
    database.writes[i]?.resolve();
    await turn();
  }
  await Promise.all([slowDone, promptDone]);
  expect(order).toEqual(["prompt", "slow"]);
  expect(database.writes.map((write) => write.rows)).toEqual([1, 2, 1]);
});

test("after a failed write everything rejects and nothing resolves, also what came later", async () => {
  const { writer, database } = newWriter();
  const first = writer.submitPrompt(slices(1));
  const waiting = writer.submitPrompt(slices(1));
  const slow = writer.submitSlow(slices(2));
  database.writes[0]?.reject(new Error("no space left"));
  const failed = { code: "storageFailed", fatal: true, message: expect.stringContaining("no space left") };
  expect(await writer.failed).toMatchObject(failed);
  for (const one of [first, waiting, slow]) await expect(one).rejects.toMatchObject(failed);
  await expect(writer.submitPrompt(slices(1))).rejects.toMatchObject(failed);
  await writer.idle();
  expect(database.writes.length).toBe(1);
  expect(writer.isStuck).toBe(false);
});

test("work that throws ends the writer like a failed write", async () => {
  const { writer, database } = newWriter();
  const broken = writer.submitPrompt({
    stage: () => {
      throw new Error("broken");
    },
  });
  await expect(broken).rejects.toMatchObject({ code: "storageFailed" });
  expect(await writer.failed).toMatchObject({ message: expect.stringContaining("broken") });
  expect(database.writes.length).toBe(0);
});

test("a write that does not come back in time has failed, even if it comes back later", async () => {
  const { writer, database } = newWriter(80);
  let hasResolved = false;
  const late = writer.submitPrompt(slices(1)).then(() => {
    hasResolved = true;
  });
  await expect(late).rejects.toMatchObject({
    code: "storageFailed",
    message: expect.stringContaining("80 ms"),
  });
  await writer.failed;
  expect(writer.isStuck).toBe(true);
  database.writes[0]?.resolve();
  await turn();
  expect(hasResolved).toBe(false);
  await expect(writer.submitPrompt(slices(1))).rejects.toMatchObject({ code: "storageFailed" });
});

test("writes that come back in time are no failure, however many there are", async () => {
  const { writer, database } = newWriter(150);
  let hasFailed = false;
  void writer.failed.then(() => {
    hasFailed = true;
  });
  for (let i = 0; i < 10; i++) {
    const done = writer.submitPrompt(slices(1));
    await new Promise((resolve) => setTimeout(resolve, 30));
    database.writes[i]?.resolve();
    await done;
  }
  expect(hasFailed).toBe(false);
});

test("a loop that stood still for longer than the time-out is no failed write", async () => {
  const { writer, database } = newWriter(400);
  const done = writer.submitPrompt(slices(1));
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_000);
  setImmediate(() => database.writes[0]?.resolve());
  await done;
  expect(writer.error).toBeUndefined();
});
