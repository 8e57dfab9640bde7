/** What a person who mistypes is told, and how soon. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createNode, type InterlineNode } from "../../src/index.js";
import { makeKey } from "../directory/issuer.js";
import { runCli, startCli } from "./run-cli.js";

let directory: string;
let node: InterlineNode;
let silent: Server;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "interline-mistakes-"));
  node = await createNode({ dataDirectory: join(directory, "interline-data"), port: 0 });
  const jwks = { keys: [makeKey("one").publicJwk] };
  const red = { number: 1, name: "red", issuer: "https://red.example", keys: { jwks } };
  writeFileSync(join(directory, "brands.json"), JSON.stringify({ brands: [red] }));
  silent = createServer(() => undefined);
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
});
afterAll(async () => {
  silent.close();
  await node.stop();
  rmSync(directory, { recursive: true });
});

const run = (...parameters: string[]) => runCli({ workingDirectory: directory }, ...parameters);
const listen = (...more: string[]) => run("listen", "-b", "whatsapp", "-a", "alice", ...more);
const silentUrl = () => `ws://127.0.0.1:${(silent.address() as AddressInfo).port}`;

describe("an address", () => {
  test.each(["http://127.0.0.1:7400", "127.0.0.1:7400", "ws://", "node"])(
    "that is none is a wrong command: %s",
    async (url) => {
      const { code, err } = await listen("--url", url);
      expect(code).toBe(2);
      expect(err).toContain(`"${url}" is no node's address`);
    },
  );

  test("at which nobody answers is given up within --timeout", async () => {
    const startedMs = performance.now();
    const { code, err } = await listen("--url", silentUrl(), "--timeout", "700ms");
    expect(code).toBe(1);
    expect(err).toContain("no node answers");
    expect(performance.now() - startedMs).toBeLessThan(5_000);
  });

  test("of another protocol is told in one line", async () => {
    const { code, err } = await listen("--url", (node.url as string).replace("ws:", "wss:"));
    expect(code).toBe(1);
    expect(err.trimEnd().split("\n")).toHaveLength(1);
  });
});

test("what is wrong with a token is told once", async () => {
  const { err } = await run("listen", "--token", "not.a.token", "--url", node.url as string);
  expect(err).toContain("interline: the token was not accepted\n");
});

describe("a data directory", () => {
  test("without development brands gets none from `token`, whose keys no running node would know", async () => {
    const elsewhere = join(directory, "elsewhere");
    const { code, out, err } = await run("token", "-b", "whatsapp", "-a", "alice", "-d", elsewhere);
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toContain("start the node first");
    expect(existsSync(elsewhere)).toBe(false);
  });

  test("that is a file is said to be no directory", async () => {
    writeFileSync(join(directory, "file"), "");
    const { code, err } = await run("serve", "--port", "0", "-d", "file");
    expect(code).toBe(2);
    expect(err).toContain("not a directory");
  });

  test.runIf(process.platform === "linux").each(["/proc/interline", "/proc/interline/data"])(
    "that the system has no place for is told too: %s",
    async (path) => {
      // In a process of its own, which can be ended: Node.js 20 would try for ever.
      const main = new URL("../../dist/src/cli/main.js", import.meta.url);
      const args = [fileURLToPath(main), "serve", "--port", "0", "-d", path];
      const { status, stderr } = spawnSync(process.execPath, args, {
        encoding: "utf8",
        timeout: 20_000,
        killSignal: "SIGKILL",
      });
      expect(stderr).toContain("the data directory cannot be used: ENOENT");
      expect(status).toBe(2);
    },
  );

  describe.each([
    ["the development brands", []],
    ["brands of one's own", ["--config", "brands.json"]],
  ])("with %s", (_, more) => {
    test("that cannot be made is a wrong configuration, told in a sentence", async () => {
      symlinkSync("/nowhere/at/all", join(directory, "volume"));
      try {
        const { code, err } = await run("serve", "--port", "0", "-d", "volume/data", ...more);
        expect(err).toMatch(/the data directory cannot be used: ENOENT.*volume\/data/);
        expect(err).not.toMatch(/\n +at /);
        expect(code).toBe(2);
      } finally {
        rmSync(join(directory, "volume"));
      }
    });

    test("whose journal cannot be opened is told in a sentence", async () => {
      const data = join(directory, "no-journal");
      mkdirSync(join(data, "journal.dat"), { recursive: true });
      try {
        const { code, err } = await run("serve", "--port", "0", "-d", data, ...more);
        expect(err).toMatch(/the data directory cannot be opened: .*journal\.dat/);
        expect(err).not.toMatch(/\n +at /);
        expect(code).toBe(1);
      } finally {
        rmSync(data, { recursive: true });
      }
    });
  });
});

test("a key file that is not there is told in one sentence", async () => {
  const brand = { number: 1, name: "red", issuer: "red", keys: { file: "nowhere.json" } };
  writeFileSync(join(directory, "keys.json"), JSON.stringify({ brands: [brand], dataDirectory: "red" }));
  const { code, err } = await run("serve", "--port", "0", "-c", "keys.json");
  expect(code).toBe(2);
  expect(err.match(/the configuration cannot be used/g)).toHaveLength(1);
  expect(err).toContain("brand red: ENOENT");
});

test.each([
  ["an option that there is not", ["check", "--jsn", "--json"], "unknown option '--jsn'"],
  ["a command that there is not", ["fly", "--json"], "unknown command 'fly'"],
  ["a noun without a verb", ["group", "--json"], "unknown option '--json'"],
  ["an argument that is missing", ["group", "show", "--json"], "missing required argument 'group'"],
  ["a value that is none", ["send", "--json", "-n", "0"], "Expected a whole number"],
  ["an option of bench", ["bench", "pairs", "--jsn", "--json", "results.json"], "unknown option '--jsn'"],
  ["a verb of bench", ["bench", "paris", "--json=results.json"], "unknown command 'paris'"],
  ["a value of load", ["load", "--json", "results.json", "--devices", "no"], "whole number above zero"],
  ["two options of load", ["load", "--rate", "1", "--in-flight", "1", "--json", "r.json"], "one of them"],
])("with --json a wrong command is told as an object too: %s", async (_, parameters, message) => {
  const before = process.exitCode;
  const { code, err, json } = await run(...parameters);
  process.exitCode = before;
  expect(code).toBe(2);
  expect(err).toContain(message);
  expect(json()).toEqual([
    { ok: false, error: { code: "failed", message: expect.stringContaining(message) } },
  ]);
  expect(json()[0]).not.toHaveProperty(["error", "message"], expect.stringMatching(/^error/));
});

describe("times", () => {
  test("of nothing are refused", async () => {
    expect(await run("token", "-b", "whatsapp", "-a", "alice", "--ttl", "0s")).toMatchObject({ code: 2 });
  });

  test("longer than a timer can be do not end at once", async () => {
    const where = ["-b", "whatsapp", "-a", "alice", "--url", node.url as string];
    const listening = startCli({ workingDirectory: directory }, "listen", ...where, "--timeout", "60d");
    await expect.poll(() => node.stats().connections).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(node.stats().connections).toBe(1);
    listening.interrupt();
    expect(await listening.outcome).toMatchObject({ code: 0 });
  });
});
