import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock } from "../../src/base/clock.js";
import { currentOwner, lockDirectory, lockFileName, lockHolderHere } from "../../src/store/lock.js";
import { JOURNAL_FILE } from "../../src/store/schema.js";
import { openStore } from "../../src/store/store.js";
import { compiledProgram } from "../support/compiled.js";

let directory = "";
const children: ChildProcess[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "interline-lock-"));
});

afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  rmSync(directory, { recursive: true, force: true });
});

const here = lockHolderHere();
const hasProc = here.start !== "0";

/** A process that does nothing; resolves with its pid. */
async function idleProcess(): Promise<ChildProcess & { readonly pid: number }> {
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" });
  children.push(child);
  await once(child, "spawn");
  return child as ChildProcess & { readonly pid: number };
}

function leaveLock(holder: Partial<typeof here>): string {
  const name = lockFileName({ ...here, ...holder });
  writeFileSync(join(directory, name), "owner");
  return name;
}

test("a directory has one owner, and the refusal names its process", async () => {
  const lock = await lockDirectory(directory);
  await expect(lockDirectory(directory)).rejects.toMatchObject({
    code: "directoryInUse",
    message: expect.stringContaining(`process ${process.pid};`),
  });
  expect(currentOwner(directory)?.pid).toBe(process.pid);
  lock.release();
  expect(currentOwner(directory)).toBeUndefined();
  (await lockDirectory(directory)).release();
  expect(readdirSync(directory)).toEqual([]);
});

test("the lock of a killed process is taken over", async () => {
  const child = await idleProcess();
  leaveLock({ pid: child.pid, start: "0" });
  child.kill("SIGKILL");
  await once(child, "exit");
  (await lockDirectory(directory)).release();
  expect(readdirSync(directory)).toEqual([]);
});

test("a pid that now belongs to another process does not keep the lock", async () => {
  const child = await idleProcess();
  leaveLock({ pid: child.pid, start: hasProc ? "1" : here.start });
  if (hasProc) (await lockDirectory(directory)).release();
  else await expect(lockDirectory(directory)).rejects.toMatchObject({ code: "directoryInUse" });
});

test("a lock from before the machine's last start is taken over", async () => {
  leaveLock({ boot: "00000000-0000-0000-0000-000000000000" });
  (await lockDirectory(directory)).release();
});

test("a lock from another pid namespace holds as long as its file is touched", async () => {
  const path = join(directory, leaveLock({ namespace: "1", pid: 1 }));
  const beats = setInterval(() => utimesSync(path, new Date(), new Date()), 50);
  await expect(lockDirectory(directory, { heartbeatMs: 200 })).rejects.toMatchObject({
    code: "directoryInUse",
  });
  clearInterval(beats);
  (await lockDirectory(directory, { heartbeatMs: 200 })).release();
});

test("of many that start at once exactly one owns the directory at any time", async () => {
  let owners = 0;
  let granted = 0;
  const start = async (): Promise<void> => {
    try {
      const lock = await lockDirectory(directory);
      owners++;
      granted++;
      expect(owners).toBe(1);
      await new Promise((resolve) => setTimeout(resolve, 20));
      owners--;
      lock.release();
    } catch (error) {
      expect(error).toMatchObject({ code: "directoryInUse" });
    }
  };
  for (let round = 0; round < 10; round++) await Promise.all(Array.from({ length: 8 }, start));
  expect(granted).toBeGreaterThanOrEqual(10);
  expect(readdirSync(directory)).toEqual([]);
});

test("an owner touches its file", async () => {
  const lock = await lockDirectory(directory, { heartbeatMs: 20 });
  const path = join(directory, readdirSync(directory)[0] as string);
  utimesSync(path, 1, 1);
  await expect.poll(() => statSync(path).mtimeMs).toBeGreaterThan(1_000_000);
  lock.release();
});

test("files that are no locks are left alone", async () => {
  writeFileSync(join(directory, "lock.txt"), "");
  writeFileSync(join(directory, "lock.1.2.3"), "");
  (await lockDirectory(directory)).release();
  expect(readdirSync(directory).sort()).toEqual(["lock.1.2.3", "lock.txt"]);
});

test("several processes that open one directory again and again never have it open together", async () => {
  const program = compiledProgram("store-child");
  const outputs = await Promise.all(
    [1, 2, 3, 4].map(async (seed) => {
      const child = spawn(process.execPath, [program, "contend", directory, String(seed)], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      children.push(child);
      let output = "";
      child.stdout.on("data", (data: Buffer) => {
        output += data.toString();
      });
      await once(child, "close");
      return output;
    }),
  );
  expect(outputs.filter((output) => output.includes("violation"))).toEqual([]);
  expect(outputs.some((output) => /opened [1-9]/.test(output))).toBe(true);
}, 60_000);

test.each([
  ["read", (path: string) => mkdirSync(path)],
  ["made", (path: string) => symlinkSync("/nowhere/at/all", path)],
])("a directory whose journal cannot be %s is let go, and opens when that is mended", async (_, spoil) => {
  const options = { directory, clock: systemClock };
  await (await openStore(options)).close();
  const journal = join(directory, JOURNAL_FILE);
  rmSync(journal);
  spoil(journal);
  await expect(openStore(options)).rejects.toThrow();
  expect(readdirSync(directory).filter((name) => name.startsWith("lock."))).toEqual([]);
  rmSync(journal, { recursive: true });
  await (await openStore(options)).close();
});
