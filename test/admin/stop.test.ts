/** A node that stops while somebody holds connections to its admin API. */
import { mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { createNode, type InterlineNode } from "../../src/index.js";
import { limits } from "../../src/rules/limits.js";

let directory: string;
let node: InterlineNode;
let sockets: Socket[];
beforeEach(async () => {
  sockets = [];
  directory = mkdtempSync(join(tmpdir(), "interline-admin-stop-"));
  node = await createNode({ dataDirectory: directory, listen: false, admin: { port: 0 } });
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await node.stop();
  rmSync(directory, { recursive: true, force: true });
});

async function connected(): Promise<Socket> {
  const socket = connect(Number(new URL(node.adminUrl as string).port), "127.0.0.1");
  sockets.push(socket);
  await new Promise((resolve) => socket.once("connect", resolve));
  return socket;
}

it.each([
  ["says nothing", ""],
  ["has not sent all of its request", "GET /v1/accounts HTTP/1.1\r\nhost: node\r\n"],
])("waits for no peer that %s", async (_what, bytes) => {
  const socket = await connected();
  socket.write(bytes);
  await new Promise((resolve) => setTimeout(resolve, 50));
  const closed = new Promise((resolve) => socket.once("close", resolve));
  const late = new Promise((resolve) => setTimeout(() => resolve("late"), 2 * limits.endingMs));
  expect(await Promise.race([node.stop(), late])).toBe(undefined);
  await closed;
});
