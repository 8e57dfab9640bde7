/**
 * A store whose disk refuses a write: the process may not write files beyond a
 * size (`ulimit -f`), so that a real write of LMDB fails in the middle of a
 * commit. lmdb 3.5.6 then composes a message that may overrun its buffer, which
 * can abort the process: that is a stop as well, only without a word.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../src/base/clock.js";
import { checkDirectory, openStore } from "../../src/store/store.js";
import { compiledProgram } from "../support/compiled.js";
import { testDevice } from "../support/journal-record.js";
import { readAll, sequencesOf } from "../support/store-fixture.js";

const program = compiledProgram("store-child");
let directory = "";

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "interline-fail-"));
});

afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

test.runIf(process.platform !== "win32")(
  "the first failed write ends the store; what had resolved is there afterwards",
  async () => {
    const command = `trap '' XFSZ; ulimit -f 8192; exec "${process.execPath}" "${program}" fill "${directory}" 5`;
    const child = spawnSync("sh", ["-c", command], { encoding: "utf8", timeout: 60_000 });
    const lines = child.stdout.trim().split("\n");
    if (child.status === 7) {
      expect(child.stderr).not.toContain("unhandled");
      expect(lines).toContain("failed storageFailed");
      expect(lines).toContain("rejected storageFailed");
      expect(lines.filter((line) => line.startsWith("later"))).toEqual(Array(4).fill("later storageFailed"));
    } else {
      expect(["SIGABRT", "SIGSEGV"]).toContain(child.signal);
    }

    const durable = new Map<string, number[]>();
    const tried: [string, number][] = [];
    let dones = 0;
    for (const line of lines) {
      const [word, device = "", ...sequences] = line.split(" ");
      if (word === "try") tried.push(...sequences.map((text): [string, number] => [device, Number(text)]));
      if (word !== "done") continue;
      dones++;
      for (const [name, sequence] of tried.splice(0))
        durable.set(name, [...(durable.get(name) ?? []), sequence]);
    }
    expect(dones).toBeGreaterThan(10);
    expect((await checkDirectory(directory)).findings).toEqual([]);
    const store = await openStore({ directory, clock: systemClock });
    const floors = new Map(
      lines
        .filter((line) => line.startsWith("acked"))
        .map((line) => line.split(" ").slice(1) as [string, string]),
    );
    for (const [name, sequences] of durable) {
      const found = new Set(sequencesOf(readAll(store, testDevice(Number(name)))));
      const open = sequences.filter((sequence) => sequence > Number(floors.get(name) ?? 0));
      expect(open.filter((sequence) => !found.has(sequence))).toEqual([]);
    }
    await store.close();
  },
);
