/**
 * `interline load` against a real node: several processes, one judgement. The
 * generators are those of dist, which `npm test` builds first.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { freePort } from "../../bench/process/program.js";
import { parseResults } from "../../bench/report/schema.js";
import { DevelopmentBrands } from "../../src/directory/development-brands.js";
import { NodeProcess } from "../support/node-process.js";
import { until } from "../support/until.js";
import { inProcess } from "./in-process.js";
import { MeddlingProxy } from "./meddling-proxy.js";

const CLI = "dist/src/cli/main.js";
const directory = mkdtempSync(join(tmpdir(), "interline-load-test-"));
const data = join(directory, "data");
const json = join(directory, "load.json");
let node: NodeProcess;
let port = 0;

beforeAll(async () => {
  port = await freePort();
  node = new NodeProcess({ dataDirectory: data, outputDirectory: directory, port });
  await node.start();
});
afterAll(async () => {
  await node.stop();
  rmSync(directory, { recursive: true, force: true });
});

/** What is given last counts. */
function argumentsOf(url: string, more: readonly string[]): string[] {
  return ["load", "--smoke", "--url", url, "--data-directory", data, "--json", json, ...more];
}

/** Within this process, which saves the verb a start. */
function load(url: string, ...more: readonly string[]) {
  return inProcess(argumentsOf(url, more), "interline");
}

function resultOf() {
  const content = readFileSync(json, "utf8");
  const file = parseResults(json, content);
  expect(file, "the schema describes every field").toEqual(JSON.parse(content));
  return file.load!;
}

const clean = { lost: 0, duplicated: 0, reordered: 0, misdelivered: 0, unreceipted: 0 };
const figures = expect.any(Number);

/** What the endpoint says once it says this. */
async function scraped(progressPort: number, pattern: RegExp): Promise<string> {
  for (;;) {
    const text = await fetch(`http://127.0.0.1:${progressPort}/metrics`).then(
      (response) => response.text(),
      () => "",
    );
    if (pattern.test(text)) return text;
    await sleep(20);
  }
}

describe("interline load", () => {
  it("drives a node from two processes, whose results are one, and tells its progress meanwhile", async () => {
    const progressPort = await freePort();
    const more = ["--progress-port", String(progressPort), "--server-pid", String(node.pid)];
    const page = join(directory, "load.html");
    const thresholds = ["--threshold", "load:lost==0", "--threshold", "delivery_p50_ms<10000"];
    const args = argumentsOf(node.url, [...more, "--html", page, ...thresholds]);
    const [text, { stdout }] = await Promise.all([
      scraped(progressPort, /phase="measuring"} 1/),
      promisify(execFile)(process.execPath, [CLI, ...args]),
    ]);
    const result = resultOf();
    expect(text).toMatch(/^interline_load_sent_total [1-9]\d+$/m);
    expect(text).toMatch(/^interline_load_delivered_total [1-9]\d+$/m);
    expect(text).toMatch(/^interline_load_receipted_total [1-9]\d*$/m);
    expect(text).toMatch(/^interline_load_refused_total 0$/m);
    expect(text).toMatch(/^interline_load_sent_per_second \d+/m);
    expect(text).toMatch(/^interline_load_delivery_p99_seconds 0\.\d+/m);
    expect(text).toMatch(/^interline_load_generator_lag_p99_seconds \d/m);
    expect(text).toMatch(/^interline_load_remaining_seconds 0\.\d+/m);
    const expected = { processes: 2, devices: 40, peers: 10, ratePerSec: 1000, inFlight: 0, stale: 0 };
    expect(result).toMatchObject({ ...expected, ...clean, durability: "disk", url: node.url });
    expect(result.scheduleHash).toMatch(/^[0-9a-f]{16}$/);
    // 700 ms at 1,000 a second, give or take what a busy machine does to it.
    expect(result.sent).toBeGreaterThan(300);
    expect(result).toMatchObject({
      serverCpuUsPerMsg: figures,
      serverBusy: figures,
      generatorLagP99Ms: figures,
    });
    expect(result.timeline.length).toBeGreaterThan(1);
    expect(stdout).toContain(result.scheduleHash);
    expect(stdout).toMatch(/load:lost==0 .* ok\n/);
    expect(readFileSync(page, "utf8")).toContain("<h2>Load</h2>");
  });

  it("loops with messages in flight, and signs in with tokens from a file", async () => {
    const tokens = join(directory, "tokens.txt");
    const brands = DevelopmentBrands.open(data);
    const mint = (i: number) =>
      brands.mint({ brand: "messenger", account: `somebody ${i}`, device: 1 + i, ttlMs: 60_000 });
    const minted = await Promise.all([0, 1, 2, 3, 4, 5].map(mint));
    writeFileSync(tokens, minted.join("\n"));
    const size = ["--devices", "6", "--processes", "3", "--in-flight", "2"];
    expect(await load(node.url, "--tokens", tokens, ...size)).toMatchObject({ code: 0 });
    const result = resultOf();
    expect(result).toMatchObject({ processes: 3, devices: 6, peers: 5, inFlight: 2, ...clean });
    expect(result).toMatchObject({ ratePerSec: null, scheduleHash: null, generatorLagP99Ms: null });
    expect(result).toMatchObject({ serverCpuUsPerMsg: null, deliveredPerSec: figures });
    expect(result.sent).toBeGreaterThan(12);
  });

  it("reports a message that was lost on the way, and one that came twice", async () => {
    const proxy = await MeddlingProxy.start(port, (message, count) => {
      if (count === 20) return [];
      return count === 40 ? [message, message] : [message];
    });
    try {
      const { code, stdout } = await load(proxy.url);
      expect(code).toBe(4);
      expect(stdout).toMatch(/WRONG: 1 lost, 1 dup/);
      expect(resultOf()).toMatchObject({ ...clean, lost: 1, duplicated: 1 });
      expect(proxy.count).toBeGreaterThan(40);
    } finally {
      proxy.stop();
    }
  });

  it("that was killed leaves messages to its devices, which the next one does not judge", async () => {
    const long = ["--account-prefix", "left behind", "--seconds", "30", "--rate", "4000"];
    const progressPort = await freePort();
    const args = argumentsOf(node.url, [...long, "--progress-port", String(progressPort)]);
    const killed: ChildProcess = spawn(process.execPath, [CLI, ...args], { stdio: "ignore" });
    await scraped(progressPort, /phase="measuring"} 1/);
    killed.kill("SIGKILL");
    await once(killed, "exit");
    const { stdout, code } = await load(node.url, "--account-prefix", "left behind");
    expect(code).toBe(0);
    const result = resultOf();
    expect(result).toMatchObject(clean);
    expect(result.stale).toBeGreaterThan(0);
    expect(stdout).toContain("from before this run");
  });

  it("speaks TLS, and looks at the certificate", async () => {
    const [certFile, keyFile] = [join(directory, "cert.pem"), join(directory, "key.pem")];
    const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"];
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    execFileSync("openssl", ["req", "-x509", ...key, "-keyout", keyFile, "-out", certFile, ...subject], {
      stdio: "ignore",
    });
    const tlsPort = await freePort();
    const url = `wss://localhost:${tlsPort}`;
    const own = ["--data-directory", join(directory, "tls")];
    const serve = ["serve", "--port", String(tlsPort), "--tls-cert", certFile, "--tls-key", keyFile, ...own];
    const secure = spawn(process.execPath, [CLI, ...serve], { stdio: ["ignore", "pipe", "ignore"] });
    const exited = once(secure, "exit");
    let told = "";
    secure.stdout.setEncoding("utf8").on("data", (text: string) => {
      told += text;
    });
    try {
      await until("the node serves", () => told.includes("serves at wss"), 20_000);
      const distrusted = await load(url, ...own);
      expect(distrusted).toMatchObject({ code: 1, stderr: expect.stringMatching(/self.signed certificate/) });
      vi.stubEnv("NODE_EXTRA_CA_CERTS", certFile);
      expect(await load(url, ...own)).toMatchObject({ code: 0 });
      expect(resultOf()).toMatchObject({ ...clean, url });
    } finally {
      vi.unstubAllEnvs();
      secure.kill();
      await exited;
    }
  });

  it.each([
    ["a node that is not there", 1, ["--url", "ws://127.0.0.1:1"], /ECONNREFUSED/],
    ["an address that is none", 2, ["--url", "http://127.0.0.1"], /expected ws:/],
    ["two paces", 2, ["--rate", "5", "--in-flight", "1"], /give one of them/],
    ["keys that are not there", 1, ["--data-directory", "/nowhere"], /--tokens/],
    ["tokens that are not there", 1, ["--tokens", "/nowhere"], /cannot be read/],
    [
      "addresses that do not lead there",
      2,
      ["--url", "ws://192.0.2.1", "--source-addresses", "2"],
      /loopback/,
    ],
    ["more devices than a process can have", 2, ["--devices", "40000"], /--processes/],
    ["a process that is not there", 1, ["--server-pid", "999999999"], /no process/],
  ])("says what is wrong with %s, without a stack", async (_, exitCode, more, message) => {
    const { code, stderr } = await load(node.url, ...more);
    expect(code).toBe(exitCode);
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/\n\s+at /);
  });

  it("does not take two tokens of one account for two devices", async () => {
    const tokens = join(directory, "twice.txt");
    const mint = (device: number) =>
      DevelopmentBrands.open(data).mint({ brand: "whatsapp", account: "twice", device, ttlMs: 60_000 });
    writeFileSync(tokens, `${await mint(1)}\n${await mint(2)}\n`);
    const { code, stderr } = await load(node.url, "--tokens", tokens, "--devices", "2", "--processes", "1");
    expect(code).toBe(1);
    expect(stderr).toMatch(/two tokens are of one account/);
  });
});
