/** docs/cli.md is run from top to bottom, by a shell, with the command line as it was built, at a real node. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createNode, type InterlineNode } from "../../src/index.js";
import { builtCommandLine } from "../support/node-process.js";

const page = readFileSync(join(import.meta.dirname, "../../docs/cli.md"), "utf8");
const blocks = [...page.matchAll(/^## (.*)\n|```sh\n([\s\S]*?)```/gm)];

let directory: string;
let node: InterlineNode;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "interline-page-"));
  const webhooks = [{ brand: "whatsapp", url: "http://127.0.0.1:1/", secret: "a secret of the brand" }];
  const dataDirectory = join(directory, "data");
  node = await createNode({ dataDirectory, port: 0, admin: { port: 0 }, push: { webhooks } });
  const wrapper = `#!/bin/sh\nexec '${process.execPath}' '${builtCommandLine()}' "$@"\n`;
  writeFileSync(join(directory, "interline"), wrapper, { mode: 0o755 });
});
afterAll(async () => {
  await node.stop();
  rmSync(directory, { recursive: true });
});

interface Ran {
  readonly out: string;
  readonly err: string;
}

/**
 * One section's commands by one shell, which ends with the first that fails. What is for another terminal runs beside the
 * others from when it listens to when they are through.
 */
async function run(script: string): Promise<Ran & { readonly beside: string }> {
  const [before = "", command, after = ""] = script.split(/^(.*?) +# in another terminal\n/m);
  const first = await shell(before);
  if (command === undefined) return { ...first, beside: "" };
  const beside = start(command);
  await expect.poll(() => beside.err, { timeout: 20_000 }).toContain("listening as");
  const second = await shell(after);
  beside.child.kill("SIGTERM");
  await once(beside.child, "close");
  return { out: first.out + second.out, err: first.err + second.err, beside: beside.out };
}

async function shell(script: string): Promise<Ran> {
  const started = start(script);
  const [code] = await once(started.child, "close");
  expect({ code, err: started.err }).toEqual({ code: 0, err: expect.any(String) });
  return started;
}

function start(script: string): Ran & { readonly child: ChildProcess } {
  const child = spawn("sh", ["-ec", script.includes("\n") ? script : `exec ${script}`], {
    cwd: directory,
    env: {
      PATH: `${directory}:${process.env.PATH}`,
      INTERLINE_URL: node.url,
      INTERLINE_ADMIN_URL: node.adminUrl,
      INTERLINE_DATA_DIRECTORY: join(directory, "data"),
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const started = { child, out: "", err: "" };
  child.stdout.on("data", (chunk) => {
    started.out += chunk;
  });
  child.stderr.on("data", (chunk) => {
    started.err += chunk;
  });
  return started;
}

/** The script below a heading. */
function below(heading: string): string {
  const at = blocks.findIndex((block) => block[1] === heading);
  const next = blocks.findIndex((block, i) => i > at && block[1] !== undefined);
  const scripts = blocks.slice(at + 1, next < 0 ? undefined : next).map((block) => block[2] as string);
  expect(scripts, heading).not.toEqual([]);
  return scripts.join("");
}

/** What each section comes to, in the order of the page. */
const sections: readonly (readonly [string, (ran: Ran & { readonly beside: string }) => void])[] = [
  [
    "Messages",
    ({ out }) => {
      expect(out).toContain("accepted for 2 devices (durability: disk)");
      expect(out.match(/hello/g)).toHaveLength(2);
    },
  ],
  [
    "Groups",
    ({ out }) => {
      expect(out).toContain("accepted for 3 members, version 3 (durability: disk)");
      expect(out).toMatch(/^ +added messenger\/[0-9a-f]{32}$/m);
      expect(out).toContain("  hello, all\n");
      expect(out).toMatch(/version 5\nwhatsapp\/[0-9a-f]{32}\n$/);
    },
  ],
  [
    "Senders whom the node cannot name",
    ({ out }) => {
      expect(out.match(/accepted for 1 device, sealed/g)).toHaveLength(2);
      expect(out).toMatch(/sealed envelopes are taken; the one before.*\nno sealed envelopes are taken\n$/);
    },
  ],
  [
    "Signals and presence",
    ({ out, beside }) => {
      expect(out).toContain("presence: taken back");
      expect(beside).toContain("signal: typing\n");
      expect(beside).toContain("  sealed  guess who\n");
    },
  ],
  [
    "Devices, accounts and names",
    ({ out }) => {
      expect(out).toMatch(
        /instagram\/dora\.d: taken back\n.*version \d+, devices: 1\n.*: device 1 removed\n.*: removed\n$/,
      );
    },
  ],
  ["Keys", ({ out }) => expect(out).toMatch(/^identity 1, 33 bytes:\n {2}\S+$/m)],
  ["Wake-ups", ({ out }) => expect(out).toBe("webhook\nregistered (webhook)\nno wake-ups any more\n")],
];

describe("docs/cli.md", () => {
  it("has no commands that are not run here", () => {
    const withCommands = blocks.flatMap((block, i) =>
      block[1] !== undefined && blocks[i + 1]?.[2] !== undefined ? [block[1]] : [],
    );
    expect(withCommands).toEqual(sections.map(([heading]) => heading));
  });

  it.each(sections)("%s", async (heading, comesTo) => comesTo(await run(below(heading))));
});
