/** What is told at once, rather than after a measurement. */
import { describe, expect, it } from "vitest";
import { inProcess } from "./in-process.js";

describe("the benchmark's command line", () => {
  it("names a verb that it does not have", async () => {
    const { code, stderr } = await inProcess(["paris"]);
    expect(code).toBe(2);
    expect(stderr).toContain("unknown command 'paris'");
  });

  it.each([
    ["--json", "/nowhere/results.json"],
    ["--html", "/nowhere/results.html"],
    ["--json", "/tmp"],
  ])("refuses %s %s before it measures", async (option, path) => {
    const { code, stderr } = await inProcess(["pairs", "--smoke", option, path]);
    expect(code).toBe(2);
    expect(stderr).toContain("cannot be written");
  });

  it.each([
    ["a threshold about no metric", ["pairs", "--smoke", "--threshold", "speed>1"], "No metric is called"],
    ["a workload that is none", ["pairs", "--workload", "package.json"], "is not a workload"],
    ["a workload that is not there", ["pairs", "--workload", "/nowhere"], "cannot be read"],
    ["a configuration that is not there", ["load", "--config", "/nowhere"], "/nowhere is not there"],
  ])("calls %s a wrong command", async (_, args, message) => {
    const { code, stderr } = await inProcess(args);
    expect(stderr).toContain(message);
    expect(code).toBe(2);
  });

  it("calls a result file that cannot be read a failure", async () => {
    expect((await inProcess(["diff", "/nowhere", "/nowhere"])).code).toBe(1);
  });

  it("tells a failure as an object when JSON was asked for", async () => {
    const { code, stdout } = await inProcess(["diff", "/nowhere", "/nowhere", "--json", "comparison.json"]);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ ok: false, error: { code: "failed" } });
  });
});
