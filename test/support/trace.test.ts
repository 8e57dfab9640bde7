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
const data = "19</data/store.mdb>";
const opened =
  '7 1.0 openat(AT_FDCWD</>, "/data/store.mdb", O_WRONLY|O_DSYNC|O_CLOEXEC) = 20</data/store.mdb>';
const written = `8 1.1 pwrite64(${data}, "\\0\\304\\20${ID}\\377", 4096, 8192) = 4096`;
const flushed = `8 1.2 fdatasync(${data}) = 0`;
const named = '8 1.3 pwrite64(20</data/store.mdb>, "\\0\\0", 128, 40) = 128';
const receipt = (time: string) =>
  `7 ${time} sendto(30<TCP:[127.0.0.1:7400->127.0.0.1:${PORT}]>, "\\202\\10\\223\\"\\316\\0\\0\\0\\1\\2", 10, MSG_NOSIGNAL, NULL, 0) = 10`;

async function earlyIn(lines: readonly string[]) {
  const file = join(directory, "trace");
  writeFileSync(file, `${lines.join("\n")}\n`);
  const trace = await readTrace(file);
  expect(trace.receipts.map(({ port, position }) => [port, position])).toEqual([[PORT, 1]]);
  return earlyReceipts(trace, new Map([[PORT, [ID]]])).length;
}

test("a receipt after write, flush and head is in time", async () => {
  expect(await earlyIn([opened, written, flushed, named, receipt("1.4")])).toBe(0);
});

test("a receipt before any of them is early", async () => {
  expect(await earlyIn([opened, receipt("1.05"), written, flushed, named])).toBe(1);
  expect(await earlyIn([opened, written, receipt("1.15"), flushed, named])).toBe(1);
  expect(await earlyIn([opened, written, flushed, receipt("1.25"), named])).toBe(1);
});

test("a flush that began before the write, a failed flush, and one under way do not count", async () => {
  const begun = `9 1.05 fdatasync(${data} <unfinished ...>`;
  const ended = "9 1.15 <... fdatasync resumed>) = 0";
  expect(await earlyIn([opened, begun, written, ended, named, receipt("1.4")])).toBe(1);
  const failed = `8 1.2 fdatasync(${data}) = -1 EIO (Input/output error) (INJECTED)`;
  expect(await earlyIn([opened, written, failed, named, receipt("1.4")])).toBe(1);
  const unfinished = [opened, written, flushed, `${named.slice(0, named.indexOf(") = "))} <unfinished ...>`];
  expect(await earlyIn([...unfinished, receipt("1.35"), "8 1.4 <... pwrite64 resumed>) = 128"])).toBe(1);
});

test("ids for traces have 16 printable bytes and differ", () => {
  const ids = Array.from({ length: 100 }, () => traceableId().toString());
  expect(new Set(ids).size).toBe(100);
  for (const id of ids) expect(id).toMatch(/^Id:[A-Za-z0-9]{13}$/);
});
