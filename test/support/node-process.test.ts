/**
 * The harness that starts and kills nodes, tried on a stand-in that answers the
 * health question and writes lines: what is tested here is the harness, not the node.
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { freePort, NodeProcess } from "./node-process.js";

const STAND_IN = `
import { createServer } from "node:http";
import { appendFileSync } from "node:fs";
const option = (name) => process.argv[process.argv.indexOf(name) + 1];
console.log("stand-in", process.argv[2], process.env.MODE);
console.error("a warning");
if (process.env.MODE === "fails") process.exit(3);
appendFileSync(option("--data-directory") + "/runs", "run\\n");
if (process.env.MODE === "stuck") process.on("SIGTERM", () => {});
else process.on("SIGTERM", () => process.exit(0));
const readyMs = Date.now() + 100;
createServer((request, response) => {
  if (request.url === "/die") process.exit(7);
  response.statusCode = request.url === "/health/ready" && Date.now() >= readyMs ? 200 : 503;
  response.end();
}).listen(Number(option("--port")), "127.0.0.1");
`;

let directory = "";
let node: NodeProcess;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "node-process-"));
});
afterEach(async () => {
  if (node.pid !== undefined) await node.kill();
  await rm(directory, { recursive: true });
});

async function makeNode(mode: string): Promise<NodeProcess> {
  const script = join(directory, "stand-in.mjs");
  await writeFile(script, STAND_IN);
  node = new NodeProcess({
    dataDirectory: directory,
    outputDirectory: directory,
    port: await freePort(),
    script,
    environment: { MODE: mode },
  });
  return node;
}

const health = () => fetch(`${node.url.replace("ws:", "http:")}/health/ready`);
const isAlive = (pid: number) => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

test("start resolves when the node is ready, and not before", async () => {
  await makeNode("works");
  expect(await node.start()).toBeGreaterThanOrEqual(100);
  expect((await health()).status).toBe(200);
});

test("a killed node is gone at once, starts again on the same port and data, and its output is kept", async () => {
  await makeNode("works");
  await node.start();
  const pid = node.pid as number;
  expect(await node.kill()).toEqual({ code: null, signal: "SIGKILL" });
  expect(isAlive(pid)).toBe(false);
  expect(node.pid).toBeUndefined();
  await expect(health()).rejects.toThrow();
  await node.start();
  expect(node.pid).not.toBe(pid);
  expect(await readFile(join(directory, "runs"), "utf8")).toBe("run\nrun\n");
  expect(await readFile(node.outputFiles[0], "utf8")).toBe("stand-in serve works\n".repeat(2));
  expect(await readFile(node.outputFiles[1], "utf8")).toBe("a warning\n".repeat(2));
});

test("stop asks politely and answers the exit code", async () => {
  await makeNode("works");
  await node.start();
  expect(await node.stop()).toEqual({ code: 0, signal: null });
});

test("stop rejects when the node ignores it", async () => {
  await makeNode("stuck");
  await node.start();
  await expect(node.stop(100)).rejects.toThrow("did not stop");
});

test("a node that fails at start rejects start with what it wrote", async () => {
  await makeNode("fails");
  await expect(node.start()).rejects.toThrow(/exit code 3[\s\S]*a warning/);
});

test("a node killed while it starts rejects start, and can be started again", async () => {
  await makeNode("works");
  const starting = expect(node.start()).rejects.toThrow("before it was ready");
  await node.kill();
  await starting;
  await node.start();
  expect((await health()).status).toBe(200);
});

test("a node that ends by itself later rejects crashed", async () => {
  await makeNode("works");
  await node.start();
  await fetch(`${node.url.replace("ws:", "http:")}/die`).catch(() => {});
  await expect(node.crashed).rejects.toThrow("exit code 7");
});
