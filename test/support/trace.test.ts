/** What the reader of traces makes of lines as strace writes them. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { earlyReceipts, readTrace, traceableId } from "./trace.js";

let directory = "";
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "trace-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

const ID = "Id:abcdefghijklm";
const PORT = 4000;
const journal = "20</data/journal.dat>";
const flags = "O_RDWR|O_CREAT|O_CLOEXEC";
const opened = `7 1.0 openat(AT_FDCWD</>, "/data/journal.dat", ${flags}|O_DSYNC|O_DIRECT, 0600) = ${journal}`;
const openedPlainly = `7 1.0 openat(AT_FDCWD</>, "/data/journal.dat", ${flags}, 0600) = ${journal}`;
const begun = `8 1.1 pwrite64(${journal}, "\\0\\304\\20${ID}\\377", 4096, 8192`;
const written = `${begun}) = 4096`;
const flushed = `8 1.2 fdatasync(${journal}) = 0`;
const receipt = (time: string) =>
  `7 ${time} sendto(30<TCP:[127.0.0.1:7400->127.0.0.1:${PORT}]>, "\\202\\10\\223\\"\\316\\0\\0\\0\\1\\2", 10, MSG_NOSIGNAL, NULL, 0) = 10`;

async function earlyIn(lines: readonly string[]) {
  const file = join(directory, "trace");
  writeFileSync(file, `${lines.join("\n")}\n`);
  const trace = await readTrace(file);
  expect(trace.receipts.map(({ port, position }) => [port, position])).toEqual([[PORT, 1]]);
  return earlyReceipts(trace, new Map([[PORT, [ID]]])).length;
}

test("a receipt after a synchronous write is in time, one before its end is early", async () => {
  expect(await earlyIn([opened, written, receipt("1.4")])).toBe(0);
  expect(await earlyIn([opened, receipt("1.05"), written])).toBe(1);
  const ended = "8 1.4 <... pwrite64 resumed>) = 4096";
  expect(await earlyIn([opened, `${begun} <unfinished ...>`, receipt("1.35"), ended])).toBe(1);
  expect(await earlyIn([opened, `${begun} <unfinished ...>`, ended, receipt("1.5")])).toBe(0);
});

test("where writes are not synchronous, a receipt is in time after the flush", async () => {
  expect(await earlyIn([openedPlainly, written, flushed, receipt("1.4")])).toBe(0);
  expect(await earlyIn([openedPlainly, written, receipt("1.15"), flushed])).toBe(1);
});

test("a write that failed, a flush that failed, and one that began before the write do not count", async () => {
  const failure = "= -1 EIO (Input/output error) (INJECTED)";
  expect(await earlyIn([opened, `${begun}) ${failure}`, receipt("1.4")])).toBe(1);
  expect(
    await earlyIn([openedPlainly, written, `8 1.2 fdatasync(${journal}) ${failure}`, receipt("1.4")]),
  ).toBe(1);
  const flush = [`9 1.05 fdatasync(${journal} <unfinished ...>`, "9 1.15 <... fdatasync resumed>) = 0"];
  expect(await earlyIn([openedPlainly, flush[0]!, written, flush[1]!, receipt("1.4")])).toBe(1);
});

test("ids for traces have 16 printable bytes and differ", () => {
  const ids = Array.from({ length: 100 }, () => traceableId().toString());
  expect(new Set(ids).size).toBe(100);
  for (const id of ids) expect(id).toMatch(/^Id:[A-Za-z0-9]{13}$/);
});
