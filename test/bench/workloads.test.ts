import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { readWorkload } from "../../bench/workloads/workload-file.js";
import { workloads } from "../../bench/workloads/workloads.js";

const directory = mkdtempSync(join(tmpdir(), "interline-workloads-test-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function written(content: unknown): string {
  const file = join(directory, "workload.json");
  writeFileSync(file, typeof content === "string" ? content : JSON.stringify(content));
  return file;
}

const idle = { verb: "idle", name: "mine", full: { connections: 5, settleMs: 10 } };

describe("a workload's file", () => {
  it("holds every built-in one, and its smoke size differs where it says so", () => {
    expect(workloads.pairs.full).toMatchObject({ name: "pairs", devices: 1000, inFlight: [1, 8] });
    expect(workloads.pairs.smoke).toMatchObject({ name: "pairs", devices: 50, payloadBytes: 256 });
    expect(workloads.offlineDrain.full).toMatchObject({ receivers: 10_000, entriesPerReceiver: 100 });
    expect(workloads.connectStorm.full).toMatchObject({ signIns: 15_000 });
  });

  it("may leave the smoke size out", () => {
    const { full, smoke } = readWorkload(written(idle), "idle");
    expect(full).toEqual({ name: "mine", connections: 5, settleMs: 10 });
    expect(smoke).toEqual(full);
  });

  it("is refused with the place of what is wrong", () => {
    const read = (content: unknown) => () => readWorkload(written(content), "idle");
    expect(read({ ...idle, full: { connections: 0, settleMs: 10 } })).toThrow(/full\.connections/);
    expect(read({ ...idle, full: { connections: 5 } })).toThrow(/full\.settleMs/);
    expect(read({ ...idle, full: { ...idle.full, devices: 5 } })).toThrow(/devices/);
    expect(read({ ...idle, smoke: { connections: "many" } })).toThrow(/smoke\.connections/);
    expect(read({ ...idle, name: undefined })).toThrow(/name/);
    expect(read({ ...idle, verb: "pairs" })).toThrow(/"pairs", not of "idle"/);
    expect(read("{")).toThrow(/not JSON/);
    expect(() => readWorkload(join(directory, "none.json"), "idle")).toThrow(/cannot be read/);
  });
});
