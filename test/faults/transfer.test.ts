/**
 * A transfer between two devices while everything dies: the node, the device that sends and the device that receives,
 * each a process of its own that is killed at random moments. The file arrives whole, and what it says is nowhere on the
 * node's disk. Full form: INTERLINE_FAULTS=full.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createNode } from "../../src/index.js";
import { builtCommandLine, freePort, NodeProcess } from "../support/node-process.js";
import { amount, seededRandom, tell } from "../support/scale.js";
import { until } from "../support/until.js";

const KILLS = amount({ short: 6, full: 200 });
const BYTES = amount({ short: 16, full: 400 }) * 1024 * 1024;

let directory = "";
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "interline-transfer-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** One side: a command that is started again whenever it has ended before it was done. */
class Side {
  out = "";
  err = "";
  starts = 0;
  isDone = false;
  #child: ChildProcess | undefined;

  constructor(
    readonly name: string,
    readonly parameters: readonly string[],
  ) {}

  start(): void {
    this.starts++;
    const child = spawn(process.execPath, [builtCommandLine(), "transfer", ...this.parameters, "--json"]);
    this.#child = child;
    const killWithParent = () => child.kill("SIGKILL");
    process.once("exit", killWithParent);
    child.stdout?.on("data", (bytes) => {
      this.out += bytes;
    });
    child.stderr?.on("data", (bytes) => {
      this.err += bytes;
    });
    child.once("exit", (code) => {
      process.off("exit", killWithParent);
      if (code === 0) this.isDone = true;
      else if (this.#child === child) setTimeout(() => this.#child === child && this.start(), 50);
    });
  }

  kill(): void {
    this.#child?.kill("SIGKILL");
  }

  end(): void {
    const child = this.#child;
    this.#child = undefined;
    child?.kill("SIGKILL");
  }
}

/** Every line says the canary, and where it is. */
function historyOf(canary: string): Buffer {
  const lines: string[] = [];
  for (let bytes = 0; bytes < BYTES; bytes += lines.at(-1)?.length ?? 0) {
    lines.push(`${lines.length} ${canary} ${createHash("sha1").update(`${lines.length}`).digest("hex")}\n`);
  }
  return Buffer.from(lines.join(""));
}

function filesWith(text: string, under: string): string[] {
  return readdirSync(under, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => readFileSync(path).includes(text));
}

test("a transfer arrives whole and unread while node and both devices are killed", async () => {
  const random = seededRandom("transfer");
  const canary = randomBytes(16).toString("hex");
  const dataDirectory = join(directory, "data");
  const [source, target] = [join(directory, "history"), join(directory, "arrived")];
  const whole = historyOf(canary);
  writeFileSync(source, whole);
  const node = new NodeProcess({ dataDirectory, outputDirectory: directory, port: await freePort() });
  await node.start();
  const who = ["-b", "whatsapp", "-a", "alice", "-d", dataDirectory, "-u", node.url];
  const newSide = new Side("new device", [...who, "-n", "2", "--into", target]);
  let oldSide: Side | undefined;
  const kills: string[] = [];
  try {
    newSide.start();
    await until("an invitation", () => newSide.out.includes("\n"), 20_000);
    const { invitation } = JSON.parse(newSide.out.split("\n")[0] as string);
    oldSide = new Side("old device", [...who, "-n", "1", "--from", source, "--invitation", invitation]);
    oldSide.start();
    const partBytes = () => statSync(`${target}.part`, { throwIfNoEntry: false })?.size ?? 0;
    for (let i = 1; i <= KILLS; i++) {
      // Spread over all of it, at any moment of what a chunk goes through.
      await until(`kill ${i}`, () => partBytes() >= (i * BYTES) / (KILLS + 2));
      await delay(random.between(0, 50));
      const victim = ["node", "old", "new"][i % 3] as string;
      kills.push(victim);
      if (victim === "old") oldSide.kill();
      else if (victim === "new") newSide.kill();
      else {
        await node.kill();
        await node.start();
      }
    }
    await until("both are done", () => newSide.isDone && oldSide?.isDone === true, 120_000);
    expect(readFileSync(target).equals(whole)).toBe(true);
    const results = [newSide, oldSide].map(({ out }) =>
      JSON.parse(out.trimEnd().split("\n").at(-1) as string),
    );
    expect(results[0]).toMatchObject({ ok: true, bytes: whole.length, digest: results[1].digest });
    expect(kills.length).toBe(KILLS);
    await node.stop();
    expect(filesWith(canary, dataDirectory)).toEqual([]);
    const starts = `${newSide.starts} and ${oldSide.starts} starts`;
    tell(`${whole.length} bytes, ${kills.length} kills, ${starts}, nothing of it on the node's disk`);
  } catch (error) {
    throw new Error(`${kills}; ${newSide.err.slice(-500)}; ${oldSide?.err.slice(-500)}`, { cause: error });
  } finally {
    newSide.end();
    oldSide?.end();
    if (node.pid !== undefined) await node.kill();
  }
});

test("control: what is sent unsealed is found on the node's disk", async () => {
  const canary = randomBytes(16).toString("hex");
  const dataDirectory = join(directory, "control");
  const node = await createNode({ dataDirectory, listen: false });
  const [from, to] = [1, 2].map((device) => node.attach({ brand: "whatsapp", account: "alice", device }));
  await to?.connect();
  await to?.close();
  await from?.connect();
  await from?.sendToOwn({ device: 2, payload: Buffer.from(canary) });
  await from?.close();
  await node.stop();
  expect(filesWith(canary, dataDirectory)).not.toEqual([]);
});
