/** Every command, found by asking for help as a person would: what it says of itself is there, whole, and fits. */
import { beforeAll, describe, expect, test } from "vitest";
import { runCli } from "./run-cli.js";

const setting = { workingDirectory: import.meta.dirname };
/** Verbs of the benchmark, which tell of themselves in its own way. */
const ofTheBenchmark = new Set(["bench", "load"]);

interface Page {
  readonly path: string;
  readonly help: string;
  readonly isNoun: boolean;
}

const pages: Page[] = [];

async function walk(path: readonly string[]): Promise<void> {
  const { code, out: help, err } = await runCli(setting, ...path, "--help");
  expect({ code, err }).toEqual({ code: 0, err: "" });
  const [, list = ""] = /^Commands:\n((?: {2}.*\n?)+)/m.exec(help) ?? [];
  const names = [...list.matchAll(/^ {2}([a-z][a-z-]*)(?= |$)/gm)].map((match) => match[1] as string);
  const below = names.filter((name) => name !== "help" && !(path.length === 0 && ofTheBenchmark.has(name)));
  pages.push({ path: path.join(" "), help, isNoun: below.length > 0 });
  for (const name of below) await walk([...path, name]);
}

beforeAll(() => walk([]));

describe("help", () => {
  test("is there for every command", () => {
    const verbs = pages.filter(({ isNoun }) => !isNoun).map(({ path }) => path);
    expect(verbs.length).toBeGreaterThan(35);
    for (const verb of ["send", "group create", "delivery-token rotate", "keys claim", "account unname"])
      expect(verbs).toContain(verb);
  });

  test("of a verb shows examples of it, whose options it has, and --json", () => {
    for (const { path, help, isNoun } of pages) {
      if (isNoun) continue;
      const [options = "", shown = ""] = help.split("\nExamples:\n");
      const examples = shown.trimEnd().split("\n");
      for (const example of examples) {
        expect(example.startsWith(`  interline ${path}`), `${path}: ${example}`).toBe(true);
        for (const option of example.match(/(?<=\s)--?[a-z][a-z-]*/g) ?? [])
          expect(options, example).toContain(option);
      }
      expect(help, path).toContain("--json");
    }
  });

  test("fits 100 columns", () => {
    const wide = pages.flatMap(({ help }) => help.split("\n").filter((line) => line.length > 100));
    expect(wide).toEqual([]);
  });

  test("names options alike wherever they are", () => {
    const meanings = new Map<string, Set<string>>();
    for (const { help } of pages) {
      for (const [, short = "", long = ""] of help.matchAll(/^ {2}(-[a-zA-Z]), (--[a-z-]+)/gm)) {
        meanings.set(short, (meanings.get(short) ?? new Set()).add(long));
      }
    }
    const several = [...meanings].filter(([, longs]) => longs.size > 1);
    expect(several.map(([short, longs]) => `${short}: ${[...longs].join(" ")}`)).toEqual([]);
  });
});
