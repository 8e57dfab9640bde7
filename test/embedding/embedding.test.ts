import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createClient } from "../../src/client/client.js";
import { accountOf, CodedError, createNode, type InterlineNode, parseAddress } from "../../src/index.js";
import { example } from "./example.js";

let directory: string;
let node: InterlineNode | undefined;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "interline-embedding-"));
});
afterEach(async () => {
  await node?.stop();
  node = undefined;
  rmSync(directory, { recursive: true, force: true });
});

const alice = { brand: "whatsapp", account: "alice", device: 1 };
const bob = { brand: "messenger", account: "bob", device: 1 };

async function sendText(from: ReturnType<InterlineNode["attach"]>, to: typeof bob, text: string) {
  const account = accountOf((node as InterlineNode).address(to));
  const { version, devices } = await from.roster(account);
  return from.send({
    to: [{ account, version, devices: devices.map((device) => ({ device, payload: Buffer.from(text) })) }],
  });
}

describe("options that cannot be meant", () => {
  it.each<[string, object, string]>([
    ["no directory", {}, "dataDirectory"],
    [
      "an option that there is not",
      { dataDirectory: "x", prot: 1 },
      "no option prot: there are dataDirectory,",
    ],
    [
      "a limit that there is not",
      { dataDirectory: "x", limits: { tokenByteMax: 1 } },
      "no limit tokenByteMax",
    ],
    [
      "a limit that is no number",
      { dataDirectory: "x", limits: { tokenBytesMax: "1" } },
      "tokenBytesMax is a number",
    ],
  ])("%s", async (_, options, detail) => {
    const starting = createNode(options as Parameters<typeof createNode>[0]);
    await expect(starting).rejects.toMatchObject({ code: "badConfiguration" });
    await expect(starting).rejects.toThrow(detail);
  });
});

describe("a node inside another process", () => {
  it("runs the documented example", async () => {
    expect((await example(directory)).sort()).toEqual([
      "a device connected",
      "a device connected",
      "alice has a receipt: disk",
      "bob received 32 bytes",
    ]);
  });

  it("keeps what it accepted across stop and start in the same process", async () => {
    node = await createNode({ dataDirectory: directory, listen: false });
    const sender = node.attach(alice);
    const receiver = node.attach(bob);
    await receiver.connect();
    await receiver.close();
    await sender.connect();
    await sendText(sender, bob, "kept");
    await node.stop();

    node = await createNode({ dataDirectory: directory, listen: false });
    const again = node.attach(bob);
    const received = new Promise<string>((resolve) => {
      again.on("envelope", ({ payload }) => resolve(Buffer.from(payload).toString()));
    });
    await again.connect();
    expect(await received).toBe("kept");
    await again.close();
  });

  it("lets devices with and without a socket talk to one another", async () => {
    node = await createNode({ dataDirectory: directory, port: 0 });
    const inside = node.attach(alice);
    const token = await node.mintToken(bob);
    const outside = createClient({ url: node.url as string, token: () => token });
    const received = new Promise<string>((resolve) => {
      outside.on("envelope", ({ payload }) => resolve(Buffer.from(payload).toString()));
    });
    await Promise.all([inside.connect(), outside.connect()]);
    expect((await sendText(inside, bob, "through the wall")).durability).toBe("disk");
    expect(await received).toBe("through the wall");
    await Promise.all([inside.close(), outside.close()]);
  });

  it("asks the application's own sign-in and policy", async () => {
    const device = parseAddress(`1/${"ab".repeat(16)}/1`) as Uint8Array;
    node = await createNode({
      dataDirectory: directory,
      port: 0,
      hooks: {
        signIn: async (token) => {
          if (token !== "open sesame") throw new CodedError("tokenInvalid");
          return { device };
        },
        mayCross: () => false,
      },
    });
    const client = createClient({ url: node.url as string, token: () => "open sesame" });
    const welcome = await client.connect();
    expect(Buffer.from(welcome.device).toString("hex")).toBe(Buffer.from(device).toString("hex"));
    await expect(
      client.send({ to: [{ account: accountOf(node.address(bob)), version: 0, devices: [] }] }),
    ).rejects.toMatchObject({ code: "brandsClosed" });
    await client.close();
    const stranger = createClient({ url: node.url as string, token: () => "wrong" });
    const refused = new Promise((resolve) => stranger.on("disconnected", resolve));
    stranger.connect().catch(() => {});
    expect(await refused).toMatchObject({ error: { code: "tokenInvalid" } });
    await stranger.close();
  });

  it("refuses a second node on the same data directory, and leaves the first alone", async () => {
    node = await createNode({ dataDirectory: directory, listen: false });
    await expect(createNode({ dataDirectory: directory, listen: false })).rejects.toMatchObject({
      code: "directoryInUse",
    });
    const client = node.attach(alice);
    await client.connect();
    await client.close();
  });

  it("replaces a device's older connection", async () => {
    node = await createNode({ dataDirectory: directory, listen: false });
    const first = node.attach(alice);
    await first.connect();
    const closed = new Promise((resolve) => first.on("closed", resolve));
    const second = node.attach(alice);
    await second.connect();
    expect(await closed).toMatchObject({ error: { code: "replaced" } });
    await second.close();
  });
});
