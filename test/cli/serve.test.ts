/** `interline serve` as its own process, as it was built. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { oneCoreFlags } from "../../src/ops/one-core.js";
import { encodeClientFrame } from "../../src/wire/client-frames.js";
import { farewell } from "../edge/stub-node.js";
import { builtCommandLine } from "../support/node-process.js";
import { RawWebSocket } from "../support/raw-web-socket.js";
import { runCli } from "./run-cli.js";

let directory: string;
const children: ChildProcess[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "interline-serve-"));
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill("SIGKILL");
    await once(child, "exit");
  }
  rmSync(directory, { recursive: true });
});

class Served {
  out = "";
  err = "";
  readonly child: ChildProcess;
  readonly code: Promise<number | null>;

  constructor(parameters: readonly string[], nodeFlags: readonly string[] = []) {
    this.child = spawn(process.execPath, [...nodeFlags, builtCommandLine(), "serve", ...parameters], {
      cwd: directory,
      stdio: ["ignore", "pipe", "pipe"],
    });
    children.push(this.child);
    this.child.stdout?.on("data", (chunk) => {
      this.out += chunk;
    });
    this.child.stderr?.on("data", (chunk) => {
      this.err += chunk;
    });
    this.code = new Promise((resolve) => this.child.on("close", resolve));
  }

  async shows(text: string): Promise<void> {
    const end = performance.now() + 15_000;
    while (!this.out.includes(text)) {
      if (performance.now() > end || this.child.exitCode !== null) {
        throw new Error(`"${text}" was not shown, but:\n${this.out}${this.err}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  /** Of one that was started with --json. */
  async ready(): Promise<{ url: string; port: number }> {
    await this.shows("\n");
    return JSON.parse(this.out.split("\n")[0] as string);
  }
}

const serve = (...parameters: string[]) => new Served(["--port", "0", ...parameters]);
const run = (...parameters: string[]) => runCli({ workingDirectory: directory }, ...parameters);

async function join1(port: number, device: number): Promise<RawWebSocket> {
  const { out } = await run("token", "-b", "whatsapp", "-a", "alice", "-n", String(device));
  const socket = await RawWebSocket.open({ port });
  const hello = { kind: "hello", token: out.trim(), resume: 0, windowEntries: 0, windowBytes: 0 } as const;
  socket.send(encodeClientFrame(hello));
  expect(await socket.next()).toBeDefined();
  return socket;
}

describe("a first start", () => {
  test("makes development brands, warns about them, and prints commands that work as they are printed", async () => {
    const served = serve();
    await served.shows("Stop it with Ctrl+C.");
    expect(served.err).toContain("DEVELOPMENT BRANDS");
    const command = (verb: string) => {
      const line = served.out.split("\n").find((text) => text.includes(` ${verb} --`)) as string;
      const words = line.trim().match(/"[^"]*"|\S+/g) as string[];
      expect(words[0]).toBe("node");
      return words.slice(words.indexOf(verb)).map((word) => word.replaceAll('"', ""));
    };
    const listening = run(...command("listen"), "--count", "1", "--timeout", "20s");
    let sent = await run(...command("send"));
    for (let i = 0; i < 100 && sent.code !== 0; i++) sent = await run(...command("send"));
    expect(sent).toMatchObject({ code: 0, out: "accepted for 1 device (durability: disk)\n" });
    expect((await listening).out).toContain("  hello\n");
    expect((await run(...command("token"))).code).toBe(0);
    served.child.kill("SIGTERM");
    expect(await served.code).toBe(0);
  });

  test("with --json is one object, and a log of JSON lines without tokens or keys in it", async () => {
    const served = serve("--json", "--log-level", "debug");
    const { url, port } = await served.ready();
    expect(url).toBe(`ws://127.0.0.1:${port}`);
    const socket = await join1(port, 1);
    socket.destroy();
    const forged = await RawWebSocket.open({ port });
    forged.send(
      encodeClientFrame({
        kind: "hello",
        token: "canary.token.x",
        resume: 0,
        windowEntries: 0,
        windowBytes: 0,
      }),
    );
    await forged.ended;
    served.child.kill("SIGTERM");
    expect(await served.code).toBe(0);
    expect(served.out.trimEnd().split("\n")).toHaveLength(1);
    const lines = served.err.trimEnd().split("\n");
    for (const line of lines)
      expect(JSON.parse(line)).toMatchObject({ level: expect.any(String), msg: expect.any(String) });
    const { brands } = JSON.parse(
      readFileSync(join(directory, "interline-data", "development-brands.json"), "utf8"),
    );
    for (const secret of [
      "canary",
      "eyJ",
      ...brands.map((brand: { privateKey: { d: string } }) => brand.privateKey.d),
    ]) {
      expect(served.err).not.toContain(secret);
    }
  });
});

test("the flags for one core are flags that Node takes", async () => {
  const served = new Served(["--port", "0", "--json"], oneCoreFlags);
  const { port } = await served.ready();
  (await join1(port, 1)).destroy();
  served.child.kill("SIGTERM");
  expect(await served.code).toBe(0);
});

describe("stopping", () => {
  test.each(["SIGTERM", "SIGINT"] as const)(
    "%s drains: devices are told to come back later, the exit code is 0",
    async (signal) => {
      const served = serve("--json");
      const { port } = await served.ready();
      const sockets = [await join1(port, 1), await join1(port, 2)];
      served.child.kill(signal);
      for (const socket of sockets) {
        const end = await farewell(socket);
        expect(end).toMatchObject({ error: "draining", closeCode: 4502 });
        expect(end.retryAfterMs).toBeGreaterThan(0);
      }
      expect(await served.code).toBe(0);
    },
  );

  test("a second signal ends it at once, before the drain is through", async () => {
    const served = serve("--json");
    const { port } = await served.ready();
    await join1(port, 1);
    served.child.kill("SIGSTOP");
    served.child.kill("SIGTERM");
    served.child.kill("SIGINT");
    served.child.kill("SIGCONT");
    expect(await served.code).toBe(1);
  });
});

describe("what cannot be started ends with a sentence", () => {
  test("a data directory that another node has open", async () => {
    const first = serve("--json");
    await first.ready();
    const second = serve("--json");
    expect(await second.code).toBe(1);
    expect(JSON.parse(second.out)).toMatchObject({ ok: false, error: { code: "directoryInUse" } });
    expect(second.err).not.toContain("    at ");
  });

  test("a port that is taken", async () => {
    const first = serve("--json");
    const { port } = await first.ready();
    const second = new Served(["--port", String(port), "--data-directory", "other"]);
    expect(await second.code).toBe(1);
    expect(second.err).toContain(`127.0.0.1 port ${port}`);
  });

  test("a configuration with faults, each named", async () => {
    writeFileSync(join(directory, "interline.json"), JSON.stringify({ prot: 1, host: 5 }));
    const served = new Served([]);
    expect(await served.code).toBe(2);
    expect(served.err).toContain("prot: no such setting");
    expect(served.err).toContain("host: expected a text");
  });

  test("keys that cannot be read", async () => {
    const keys = { file: "nowhere.json" };
    const brands = [{ number: 1, name: "red", issuer: "red", keys }];
    writeFileSync(join(directory, "interline.json"), JSON.stringify({ brands }));
    const served = serve();
    expect(await served.code).toBe(2);
    expect(served.err).toContain("brand red");
    expect(served.err).toContain("nowhere.json");
  });
});
