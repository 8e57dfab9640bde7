/** Whatever a document shows as a command exists, takes the options shown, and where it can be run here, is run. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createNode, type InterlineNode } from "../../src/index.js";
import { startCli } from "../cli/run-cli.js";

const root = resolve(import.meta.dirname, "../..");
const pages = [
  ...["README.md", "docs/cli.md", "docs/operations.md", "docs/protocol.md", "docs/transfer.md"],
  "bench/README.md",
];
/** Commands that have verbs of their own. */
const nouns = /^(group|contact|delivery-token|device|keys|push|account)$/;

/** The lines of a page's sh blocks, without comments, split at &&, and what a variable is set to. */
function commandsOf(page: string): string[] {
  const text = readFileSync(join(root, page), "utf8");
  return [...text.matchAll(/```sh\n([\s\S]*?)```/g)]
    .flatMap((match) => (match[1] as string).replaceAll("\\\n", " ").split("\n"))
    .flatMap((line) => line.replace(/\s+#.*$/, "").split("&&"))
    .map((command) => command.trim().replace(/^[A-Z]+=\$\((.*)\)$/, "$1"))
    .filter((command) => command !== "" && !command.startsWith("#"));
}

const shown = pages.flatMap((page) => commandsOf(page).map((command) => ({ page, command })));

/** Commands that are not ours: only that they are these is held. */
const foreign = /^(npm ci|cp |curl |head -c |systemctl |ulimit |cd |kill |npx vitest run |openssl |strace )/;

let directory: string;
let node: InterlineNode;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "interline-docs-"));
  node = await createNode({ dataDirectory: directory, port: 0 });
});
afterAll(async () => {
  await node.stop();
  rmSync(directory, { recursive: true, force: true });
});

describe("commands in documents", () => {
  it("are found at all", () => {
    expect(shown.length).toBeGreaterThan(8);
  });

  it.each(shown)("$page: $command", async ({ command }) => {
    const script = /^npm (?:run )?(start|test|demo|bench|test:faults|build|lint)\b/.exec(command)?.[1];
    if (script !== undefined) {
      const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
      expect(Object.keys(scripts)).toContain(script);
      return;
    }
    const ours =
      /^(?:npx |node (?:--\S+ )+)?(?:interline|"\$\(command -v interline\)") ([\w-]+)(?: ([\w-]+))?(.*)$/.exec(
        command,
      );
    if (ours === null) {
      expect(command).toMatch(foreign);
      return;
    }
    const [, first = "", second = "", rest = ""] = ours;
    const path = nouns.test(first) ? [first, second] : [first];
    const help = await startCli({ workingDirectory: directory }, ...path, "--help").outcome;
    expect(help.code).toBe(0);
    expect(help.out).toMatch(new RegExp(`^Usage: interline ${path.join(" ")}\\b`));
    for (const option of rest.match(/(?<=\s)--[a-z-]+/g) ?? []) expect(help.out).toContain(option);
  });

  it("the README's first conversation happens as it says", async () => {
    const [listen = "", send = ""] = commandsOf("README.md").filter((command) =>
      command.startsWith("npx interline"),
    );
    const words = (command: string): string[] => command.split(/\s+/).slice(2);
    const here = { workingDirectory: directory, environment: { INTERLINE_DATA_DIRECTORY: directory } };
    const listening = startCli(here, ...words(listen), "--url", node.url as string, "--count", "1");
    await expect.poll(() => node.stats().connections, { timeout: 10_000 }).toBe(1);
    const sent = await startCli(here, ...words(send), "--url", node.url as string).outcome;
    expect(sent.out).toContain("disk");
    expect((await listening.outcome).out).toContain("hello");
  });
});
