import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { familyOf, parseStat, snapshotOf } from "../../bench/systems/process-telemetry.js";

describe("what a process has used", () => {
  it("is read from its line in /proc, whatever its name holds", () => {
    const line = "42 (a) b (c) S 7 42 42 0 -1 4194560 1 2 3 4 100 20 30 4 20 0 5 0 123 456 789";
    expect(parseStat(line)).toEqual({ parent: 7, userTicks: 130, systemTicks: 24 });
  });

  it("includes everything that it has started, and nothing else", () => {
    const stat = (parent: number) => ({ parent, userTicks: 0, systemTicks: 0 });
    const processes = new Map([
      [1, stat(0)],
      [5, stat(1)],
      [6, stat(5)],
      [7, stat(6)],
      [8, stat(1)],
    ]);
    expect(familyOf(5, processes).map(([pid]) => pid)).toEqual([5, 6, 7]);
    expect(familyOf(9, processes)).toEqual([]);
  });

  it("grows with the work of a child of the process, on the clock that all share", async () => {
    const before = snapshotOf(process.pid);
    const burn =
      "const end = Date.now() + 400; while (Date.now() < end); process.stdout.write('.'); setInterval(() => {}, 1e6)";
    const child = spawn(process.execPath, ["-e", burn], { stdio: ["ignore", "pipe", "ignore"] });
    await once(child.stdout, "data");
    const alone = snapshotOf(child.pid ?? 0);
    const after = snapshotOf(process.pid);
    child.kill("SIGKILL");
    const cpuUs = (snapshot: typeof before) => snapshot.cpuUserUs + snapshot.cpuSystemUs;
    expect(cpuUs(alone)).toBeGreaterThan(50_000);
    expect(cpuUs(after) - cpuUs(before)).toBeGreaterThanOrEqual(cpuUs(alone) - 10_000);
    expect(after.sharedMs).toBeGreaterThan(before.sharedMs);
    expect(after.rssBytes).toBeGreaterThan(alone.rssBytes);
    expect(alone.rssBytes).toBeGreaterThan(1_000_000);
  });
});
