/** docs/operations.md says what the code does: every setting, limit and metric is in it, with its numbers. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { loadConfig } from "../../src/config.js";
import { oneCoreFlags } from "../../src/ops/one-core.js";
import { configurable } from "../../src/rules/configurable.js";
import { limits } from "../../src/rules/limits.js";

const root = join(import.meta.dirname, "..", "..");
const page = readFileSync(join(root, "docs", "operations.md"), "utf8");

test("every limit that may be set is listed with its default and its range", () => {
  for (const [name, { min, max }] of Object.entries(configurable)) {
    const row = page.split("\n").find((line) => line.startsWith("|") && line.includes(`\`${name}\``));
    const cells = row?.split("|").map((cell) => cell.trim()) ?? [];
    expect(cells[2], name).toContain(String(limits[name as keyof typeof configurable]));
    expect(cells[3], name).toContain(`${min} to ${max}`);
  }
});

test("every configuration that is shown is one", () => {
  const shown = [...page.matchAll(/```json\n([\s\S]*?)```/g)].map((match) => match[1] as string);
  expect(shown.length).toBeGreaterThan(1);
  const directory = mkdtempSync(join(tmpdir(), "interline-shown-"));
  for (const text of shown) {
    writeFileSync(join(directory, "interline.json"), text);
    expect(loadConfig({}, {}, directory).file).toBeDefined();
  }
  rmSync(directory, { recursive: true });
});

test("every metric is listed", () => {
  const source = readFileSync(join(root, "src", "ops", "metrics.ts"), "utf8");
  const own = [...source.matchAll(/(?:counter|gauge)\(\s*"([a-z_]+)"/g)].map((match) => match[1] as string);
  const others = [...source.matchAll(/name: "(?:interline_)?([a-z_]+)"/g)].map((match) => match[1] as string);
  expect(own.length).toBeGreaterThan(25);
  expect(others.length).toBeGreaterThan(4);
  for (const name of [...own, ...others]) expect(page).toMatch(new RegExp(`\`${name}(\\{[a-z]+\\})?\``));
});

test("every environment variable is listed", () => {
  const sources = ["src/config.ts", "src/cli/device-client.ts", "src/cli/admin-client.ts"].map((file) =>
    readFileSync(join(root, file), "utf8"),
  );
  const names = new Set(sources.join("\n").match(/INTERLINE_[A-Z_]+[A-Z]/g));
  expect(names.size).toBeGreaterThan(7);
  for (const name of names) expect(page).toContain(`\`${name}\``);
});

test("the flags for one core are those that a node asks for", () => {
  expect(page).toContain(`node ${oneCoreFlags.join(" ")} `);
});
