/** A device that signs in as the node stops: it may be registered by then, but it is attached to nothing. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { createNode, type InterlineNode } from "../../src/index.js";
import { LmdbStore } from "../../src/store/lmdb-store.js";
import { until } from "../support/until.js";

let directory: string;
let node: InterlineNode;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "interline-entering-"));
  node = await createNode({ dataDirectory: directory, listen: false });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await node.stop();
  rmSync(directory, { recursive: true, force: true });
});

it("is told to come back, and never welcomed", async () => {
  const { registerDevice } = LmdbStore.prototype;
  vi.spyOn(LmdbStore.prototype, "registerDevice").mockImplementation(async function (
    this: LmdbStore,
    ...device
  ) {
    const record = await registerDevice.apply(this, device);
    void node.stop();
    return record;
  });
  const client = node.attach({ brand: "whatsapp", account: "ann", device: 1 });
  const heard: string[] = [];
  client.on("welcome", () => heard.push("welcome"));
  client.on("disconnected", ({ error }) => heard.push(error.code));
  const connecting = client.connect().catch(() => undefined);
  await until("it hears something", () => heard.length > 0);
  expect(heard).toEqual(["draining"]);
  await client.close();
  await connecting;
});
