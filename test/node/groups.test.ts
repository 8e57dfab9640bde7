/** Groups across three brands, over sockets: who may do what, what everybody is told, and in which order with messages. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { toHex } from "../../src/base/bytes.js";
import { type Client, createClient } from "../../src/client/client.js";
import { nodeTransport } from "../../src/client/node-transport.js";
import { accountOf, createNode, type InterlineNode } from "../../src/index.js";
import { checkDirectory } from "../../src/store/store.js";
import { freshAccount } from "../client/contract.js";
import { until } from "../support/until.js";

let directory: string;
let node: InterlineNode;
const people: Person[] = [];

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "interline-groups-"));
  node = await createNode({ dataDirectory: directory, port: 0 });
});
afterEach(async () => {
  await Promise.all(people.splice(0).map(({ client }) => client.close()));
});
afterAll(async () => {
  await node.stop();
  const report = await checkDirectory(directory);
  rmSync(directory, { recursive: true });
  expect(report.findings).toEqual([]);
  expect(report.groups.groups).toBeGreaterThan(5);
  expect(report.outbox.notices).toBe(0);
});

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A device, with what it was told and given, in order. */
class Person {
  readonly client: Client;
  readonly account: Uint8Array;
  /** `event version` and texts of envelopes. */
  readonly log: string[] = [];
  readonly promoted: (string | undefined)[] = [];

  constructor(name: { brand: string; account: string; device: number }) {
    this.account = accountOf(node.address(name));
    const token = () => node.mintToken(name);
    this.client = createClient({ url: node.url as string, token, transport: nodeTransport() });
    this.client.on("group", ({ event, version, promoted }) => {
      this.log.push(`${event} ${version}`);
      this.promoted.push(promoted && toHex(promoted));
    });
    this.client.on("envelope", ({ payload }) => void this.log.push(new TextDecoder().decode(payload)));
    people.push(this);
  }

  /** Waits until the last thing is this one. */
  async has(...log: string[]): Promise<void> {
    await until(`the log is ${log}`, () => this.log.length >= log.length, 5_000).catch(() => {});
    expect(this.log).toEqual(log);
  }

  write(group: Uint8Array, version: number, text: string) {
    return this.client.sendToGroup({ group, version, shared: bytes(text) });
  }
}

async function join_(brand: "whatsapp" | "instagram" | "messenger", of?: Person): Promise<Person> {
  const fresh = freshAccount(brand);
  const account = of === undefined ? fresh.account : toHex(of.account.subarray(2));
  const person = new Person({ brand, account, device: of === undefined ? 1 : 2 });
  const live = person.client.once("live");
  await person.client.connect();
  await live;
  return person;
}

/** One of each brand. */
async function three(): Promise<[Person, Person, Person]> {
  return [await join_("whatsapp"), await join_("instagram"), await join_("messenger")];
}

describe("a group", () => {
  it("is made of people of three brands, who all read the same, in the same order", async () => {
    const [ada, ben, cleo] = await three();
    const phone = await join_("whatsapp", ada);
    const { group, version } = await ada.client.groups.create([ben.account, cleo.account]);
    expect(version).toBe(1);
    expect(group.length).toBe(18);
    await ada.write(group, 1, "one");
    await ben.write(group, 1, "two");
    await phone.has("created 1", "one", "two");
    await cleo.has("created 1", "one", "two");
    await ada.has("created 1", "two");
    expect(await cleo.client.groups.get(group)).toEqual({
      group,
      version: 1,
      members: [
        { account: ada.account, role: "admin" },
        { account: ben.account, role: "member" },
        { account: cleo.account, role: "member" },
      ],
    });
  });

  it("takes somebody in: from the event on they read, and the old version is refused", async () => {
    const [ada, ben, cleo] = await three();
    const { group } = await ada.client.groups.create([ben.account]);
    await ben.write(group, 1, "before");
    expect(await ada.client.groups.add({ group, version: 1, accounts: [cleo.account] })).toEqual({
      group,
      version: 2,
    });
    await cleo.has("added 2");
    await expect(ben.write(group, 1, "late")).rejects.toMatchObject({
      code: "groupStale",
      detail: { group: { version: 2 } },
    });
    await cleo.write(group, 2, "hello");
    await ben.has("created 1", "added 2", "hello");
    await ada.has("created 1", "before", "added 2", "hello");
  });

  it("removes somebody, who is told, and gets and sends nothing any more", async () => {
    const [ada, ben, cleo] = await three();
    const { group } = await ada.client.groups.create([ben.account, cleo.account]);
    await ada.write(group, 1, "before");
    await ada.client.groups.remove({ group, version: 1, accounts: [ben.account] });
    await ada.write(group, 2, "after");
    await cleo.has("created 1", "before", "removed 2", "after");
    await ben.has("created 1", "before", "removed 2");
    await expect(ben.write(group, 2, "me too")).rejects.toMatchObject({ code: "groupUnknown" });
    await expect(ben.client.groups.get(group)).rejects.toMatchObject({ code: "notFound" });
    await expect(ben.client.groups.leave(group)).rejects.toMatchObject({ code: "notFound" });
  });

  it("keeps what a member misses, events and messages in order, until he comes back", async () => {
    const [ada, ben, cleo] = await three();
    const name = { brand: "messenger", account: toHex(cleo.account.subarray(2)), device: 1 };
    const { group } = await ada.client.groups.create([cleo.account]);
    await cleo.has("created 1");
    await cleo.client.close();
    await ada.write(group, 1, "one");
    await ada.client.groups.add({ group, version: 1, accounts: [ben.account] });
    await ada.write(group, 2, "two");
    await ada.client.groups.setRole({ group, version: 2, accounts: [ben.account], role: "admin" });
    await ben.write(group, 3, "three");
    const back = new Person(name);
    await back.client.connect();
    await back.has("one", "added 2", "two", "role 3", "three");
  });

  it("gets another admin when the last one leaves, and is gone with the last member", async () => {
    const [ada, ben, cleo] = await three();
    const { group } = await ada.client.groups.create([ben.account, cleo.account]);
    expect((await ada.client.groups.leave(group)).version).toBe(2);
    await ada.has("created 1", "left 2");
    await cleo.has("created 1", "left 2");
    expect(cleo.promoted).toEqual([undefined, toHex(ben.account)]);
    expect((await cleo.client.groups.get(group)).members).toEqual([
      { account: ben.account, role: "admin" },
      { account: cleo.account, role: "member" },
    ]);
    await ben.client.groups.remove({ group, version: 2, accounts: [cleo.account] });
    await ben.client.groups.leave(group);
    await ben.has("created 1", "left 2", "removed 3", "left 4");
    await expect(ben.write(group, 4, "anybody?")).rejects.toMatchObject({ code: "groupUnknown" });
    await expect(ben.client.groups.get(group)).rejects.toMatchObject({ code: "notFound" });
  });

  it("obeys its rules, and tells strangers nothing", async () => {
    const [ada, ben, cleo] = await three();
    const { group } = await ada.client.groups.create([ben.account]);
    const named = { group, version: 1, accounts: [cleo.account] };
    await expect(ben.client.groups.add(named)).rejects.toMatchObject({ code: "notAllowed" });
    await expect(ada.client.groups.remove(named)).rejects.toMatchObject({ code: "memberUnknown" });
    await expect(ada.client.groups.add({ ...named, version: 7 })).rejects.toMatchObject({
      code: "groupStale",
      body: { version: 1 },
    });
    const own = { group, version: 1, accounts: [ada.account] };
    await expect(ada.client.groups.setRole({ ...own, role: "member" })).rejects.toMatchObject({
      code: "lastAdmin",
    });
    await expect(ada.client.groups.add({ group, version: 1, accounts: [] })).rejects.toMatchObject({
      code: "badRequest",
    });
    await expect(ada.client.groups.create([ada.account])).rejects.toMatchObject({ code: "memberAlready" });
    await expect(ada.client.groups.create([new Uint8Array(18)])).rejects.toMatchObject({
      code: "brandsClosed",
    });
    const none = { ...named, group: new Uint8Array(18).fill(1) };
    const answers = await Promise.allSettled([
      cleo.client.groups.add(named),
      cleo.client.groups.add(none),
      cleo.client.groups.get(group),
      cleo.client.groups.get(none.group),
    ]);
    for (const answer of answers)
      expect(answer).toMatchObject({ status: "rejected", reason: { code: "notFound", body: {} } });
    await cleo.has();
  });

  it("makes changes that are asked for at once one after the other: one wins, the others are told so", async () => {
    const [ada, ben, cleo] = await three();
    const { group } = await ada.client.groups.create([ben.account, cleo.account]);
    const accounts = Array.from({ length: 6 }, () =>
      accountOf(node.address({ ...freshAccount("whatsapp"), device: 1 })),
    );
    const answers = await Promise.allSettled(
      accounts.map((account) => ada.client.groups.add({ group, version: 1, accounts: [account] })),
    );
    expect(answers.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect(
      answers.filter((answer) => answer.status === "rejected" && answer.reason.code === "groupStale"),
    ).toHaveLength(5);
    await Promise.all([ada.client.groups.leave(group), ben.client.groups.leave(group)]);
    await cleo.has("created 1", "added 2", "left 3", "left 4");
  });

  it("may have ten thousand members", { timeout: 60_000 }, async () => {
    const [ada, ben, cleo] = await three();
    const strangers = Array.from({ length: 9_997 }, (_, i) => {
      const address = Uint8Array.from(ada.account);
      new DataView(address.buffer).setUint32(2, i);
      return address;
    });
    const { group } = await ada.client.groups.create([...strangers, ben.account, cleo.account]);
    await ben.has("created 1");
    await ben.write(group, 1, "all of you");
    await cleo.has("created 1", "all of you");
    expect((await cleo.client.groups.get(group)).members).toHaveLength(10_000);
    const more = {
      group,
      version: 1,
      accounts: [accountOf(node.address({ ...freshAccount("whatsapp"), device: 1 }))],
    };
    await expect(ada.client.groups.add(more)).rejects.toMatchObject({ code: "groupFull" });
    await ada.client.groups.remove({ group, version: 1, accounts: strangers.slice(0, 512) });
    await cleo.has("created 1", "all of you", "removed 2");
  });
});
