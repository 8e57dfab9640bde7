/** Shared and group sends by the SDK, against a node in this process. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Client, Envelope } from "../../src/client/client.js";
import { accountOf, createNode, type InterlineNode } from "../../src/index.js";

let directory: string;
let node: InterlineNode;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "interline-client-fanout-"));
  node = await createNode({ dataDirectory: directory, listen: false });
});

afterAll(async () => {
  await node.stop();
  rmSync(directory, { recursive: true });
});

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (given: Uint8Array | undefined): string | undefined => given && new TextDecoder().decode(given);

class Person {
  readonly client: Client;
  readonly got: Envelope[] = [];

  constructor(
    readonly brand: string,
    readonly account: string,
  ) {
    this.client = node.attach({ brand, account, device: 1 });
    this.client.on("envelope", (envelope) => void this.got.push(envelope));
  }

  get address(): Uint8Array {
    return accountOf(node.address({ brand: this.brand, account: this.account, device: 1 }));
  }

  async gets(count: number): Promise<void> {
    while (this.got.length < count) await this.client.once("envelope");
  }
}

test("the SDK sends to several accounts and to a group, and events say what came how", async () => {
  const alice = new Person("whatsapp", "alice");
  const bob = new Person("instagram", "bob");
  const carol = new Person("messenger", "carol");
  for (const { client } of [alice, bob, carol]) await client.connect();
  const told = alice.client.once("group");
  const created = await alice.client.groups.create([bob.address, carol.address]);
  const { group } = created;
  await told;
  const to = [bob, carol].map(({ address }, i) => ({
    account: address,
    version: 1,
    devices: [{ device: 1, block: bytes(`own ${i}`) }],
  }));
  const shared = alice.client.sendShared({ shared: bytes("to both"), to });
  const blocks = [{ account: carol.address, device: 1, block: bytes("key") }];
  const grouped = alice.client.sendToGroup({ ...created, shared: bytes("to all"), blocks });
  const plain = alice.client.send({
    to: [{ account: bob.address, version: 1, devices: [{ device: 1, payload: bytes("to bob") }] }],
  });
  expect(await Promise.all([shared, grouped, plain])).toMatchObject([
    { durability: "disk" },
    { durability: "disk" },
    { durability: "disk" },
  ]);
  await Promise.all([bob.gets(3), carol.gets(2)]);
  expect(bob.got.map(({ payload, block, group }) => [text(payload), text(block), group?.version])).toEqual([
    ["to both", "own 0", undefined],
    ["to all", "", 1],
    ["to bob", undefined, undefined],
  ]);
  expect(carol.got.map(({ payload, block }) => [text(payload), text(block)])).toEqual([
    ["to both", "own 1"],
    ["to all", "key"],
  ]);
  expect(carol.got[1]?.group?.address).toEqual(group);

  await alice.client.groups.remove({ ...created, accounts: [carol.address] });
  await expect(alice.client.sendToGroup({ ...created, shared: bytes("late") })).rejects.toMatchObject({
    code: "groupStale",
    detail: { group: { version: 2 } },
  });
  await expect(carol.client.sendToGroup({ group, version: 2, shared: bytes("out") })).rejects.toMatchObject({
    code: "groupUnknown",
    retry: "never",
  });
  for (const { client } of [alice, bob, carol]) await client.close();
});

test("what cannot be a shared or group send is refused before it leaves", async () => {
  const { client } = new Person("whatsapp", "dora");
  const bad = { code: "badArgument" };
  await expect(client.sendShared({ shared: bytes("x"), to: [] })).rejects.toMatchObject(bad);
  await expect(client.sendShared({ shared: "x" as never, to: [] })).rejects.toMatchObject(bad);
  await expect(
    client.sendToGroup({ group: new Uint8Array(3), version: 1, shared: bytes("x") }),
  ).rejects.toMatchObject(bad);
  const group = new Uint8Array(18);
  await expect(client.sendToGroup({ group, version: -1, shared: bytes("x") })).rejects.toMatchObject(bad);
  await client.close();
});

test("a send whose roster has changed is made anew for the one of now, under its id, as often as may be", async () => {
  const [erin, frank, gus] = [
    new Person("whatsapp", "erin"),
    new Person("instagram", "frank"),
    new Person("messenger", "gus"),
  ];
  for (const { client } of [erin, frank, gus]) await client.connect();
  const told = frank.client.once("group");
  const { group } = await erin.client.groups.create([frank.address]);
  await told;
  await erin.client.groups.add({ group, version: 1, accounts: [gus.address] });
  const refused: [string, boolean][] = [];
  frank.client.on("refused", ({ error, willRetry }) => void refused.push([error.code, willRetry]));
  const id = new Uint8Array(16).fill(7);
  const stale = { group, version: 1, shared: bytes("for 1"), id };
  const seen: number[] = [];
  const receipt = await frank.client.sendToGroup({
    ...stale,
    blocks: [{ account: erin.address, device: 1, block: bytes("old") }],
    renew: async (roster) => {
      seen.push(roster.version, roster.members.length);
      // Between the answer and the send it changes once more.
      if (roster.version === 2)
        await erin.client.groups.setRole({ group, version: 2, accounts: [frank.address], role: "admin" });
      return { shared: bytes(`for ${roster.version}`) };
    },
  });
  expect(receipt).toMatchObject({ id, durability: "disk" });
  expect(seen).toEqual([2, 3, 3, 3]);
  expect(refused.filter(([code]) => code === "groupStale")).toEqual([
    ["groupStale", true],
    ["groupStale", true],
  ]);
  await Promise.all([erin.gets(1), gus.gets(1)]);
  for (const { got } of [erin, gus])
    expect(got.map(({ payload, block, group: of }) => [text(payload), text(block), of?.version])).toEqual([
      ["for 3", "", 3],
    ]);

  const shared = bytes("never in time");
  await expect(
    frank.client.sendToGroup({ ...stale, id: id.map(() => 8), attemptsMax: 1, renew: () => ({ shared }) }),
  ).rejects.toMatchObject({ code: "groupStale" });
  expect(refused.at(-1)).toEqual(["groupStale", false]);

  const second = node.attach({ brand: "messenger", account: "gus", device: 2 });
  await second.connect();
  const more = second.once("envelope");
  const { id: sent } = await erin.client.send({
    to: [{ account: gus.address, version: 1, devices: [{ device: 1, payload: bytes("one") }] }],
    renew: ([stale]) => [
      {
        account: gus.address,
        version: stale?.version ?? 0,
        devices: [1, ...(stale?.missing ?? [])].map((device) => ({ device, payload: bytes(`to ${device}`) })),
      },
    ],
  });
  expect(await more).toMatchObject({ id: sent, payload: bytes("to 2") });
  await erin.client.groups.remove({ group, version: 3, accounts: [gus.address] });
  await expect(gus.client.sendToGroup({ ...stale, renew: () => ({ shared }) })).rejects.toMatchObject({
    code: "groupUnknown",
  });
  for (const client of [erin.client, frank.client, gus.client, second]) await client.close();
});
