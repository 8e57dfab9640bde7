/** What is told at once, rather than after a measurement. */
import { describe, expect, it } from "vitest";
import { inProcess } from "./in-process.js";

describe("the benchmark's command line", () => {
  it("names a verb that it does not have", async () => {
    const { code, stderr } = await inProcess(["paris"]);
    expect(code).toBe(1);
    expect(stderr).toContain("unknown command 'paris'");
  });

  it.each([
    ["--json", "/nowhere/results.json"],
    ["--html", "/nowhere/results.html"],
    ["--json", "/tmp"],
  ])("refuses %s %s before it measures", async (option, path) => {
    const { code, stderr } = await inProcess(["pairs", "--smoke", option, path]);
    expect(code).toBe(1);
    expect(stderr).toContain("cannot be written");
  });
});
