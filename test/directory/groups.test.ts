/** Accounts and the groups they are in, through the SDK and the admin API: lists, their bound, and what a removal brings. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type AccountAddress, accountOf } from "../../src/base/address.js";
import { concatBytes, toHex } from "../../src/base/bytes.js";
import { systemClock } from "../../src/base/clock.js";
import type { Client, GroupEvent } from "../../src/client/client.js";
import { createNode, type InterlineNode } from "../../src/index.js";
import { limits } from "../../src/rules/limits.js";
import { Batch, Database } from "../../src/store/database.js";
import { accountKey, seal } from "../../src/store/schema.js";
import { checkDirectory, openStore } from "../../src/store/store.js";
import { until } from "../support/until.js";

let directory: string;
let node: InterlineNode;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "interline-groups-"));
  await start();
});

afterEach(async () => {
  await node.stop();
  rmSync(directory, { recursive: true });
});

async function start(): Promise<void> {
  node = await createNode({
    dataDirectory: directory,
    listen: false,
    admin: { port: 0 },
    hooks: { signInService: async () => ({ brand: 1, scopes: ["accounts"] }) },
  });
}

interface Person {
  readonly client: Client;
  readonly account: AccountAddress;
  /** Of groups, what was told and sent. */
  readonly log: string[];
}

/** People of brand 1, so that one back end may remove them. */
async function enter(name: string): Promise<Person> {
  const client = node.attach({ brand: "whatsapp", account: name, device: 1 });
  const log: string[] = [];
  client.on("group", ({ event, version, by, promoted }: GroupEvent) => {
    log.push(`${event} ${version} by ${nameOf(by)}${promoted ? `, ${nameOf(promoted)} promoted` : ""}`);
  });
  client.on("envelope", ({ payload }) => void log.push(Buffer.from(payload).toString()));
  const { device } = await client.connect();
  names.set(toHex(accountOf(device)), name);
  return { client, account: accountOf(device), log };
}

const names = new Map<string, string>();
const nameOf = (account: AccountAddress): string => names.get(toHex(account)) ?? "somebody";

async function remove({ account }: Person): Promise<void> {
  const url = `${node.adminUrl}/v1/accounts/${toHex(account.subarray(2))}`;
  const { status } = await fetch(url, { method: "DELETE", headers: { authorization: "Bearer x" } });
  expect(status).toBe(204);
}

async function membersOf({ client }: Person, group: Uint8Array): Promise<string[]> {
  const { version, members } = await client.groups.get(group);
  return [`${version}`, ...members.map(({ account, role }) => `${nameOf(account)} ${role}`)];
}

async function expectSound(): Promise<void> {
  await node.stop();
  expect(await checkDirectory(directory)).toMatchObject({ findings: [], groups: { leaving: 0 } });
}

test("an account lists the groups that it is in, in the order in which it joined", async () => {
  const [ada, ben] = [await enter("ada"), await enter("ben")];
  expect(await ada.client.groups.list()).toEqual([]);
  const first = await ben.client.groups.create([ada.account]);
  const second = await ada.client.groups.create([]);
  const third = await ben.client.groups.create([]);
  await ben.client.groups.add({ ...third, accounts: [ada.account] });
  expect(await ada.client.groups.list()).toEqual([first.group, second.group, third.group]);
  await ada.client.groups.leave(first.group);
  await ada.client.groups.leave(second.group);
  expect(await ada.client.groups.list()).toEqual([third.group]);
  expect(await ben.client.groups.list()).toEqual([first.group, third.group]);
  await expectSound();
});

test("nobody is brought into more groups than an account may be in", async () => {
  const [ada, ben] = [await enter("ada"), await enter("ben")];
  await node.stop();
  const database = Database.open(directory, { readOnly: false });
  const key = accountKey(ben.account);
  const groups = Array.from({ length: limits.groupsPerAccountMax - 1 }, (_, i) => {
    const address = new Uint8Array(18).fill(9);
    new DataView(address.buffer).setUint32(2, i);
    return address;
  });
  const batch = new Batch();
  batch.put("memberships", key, seal(key, concatBytes([new Uint8Array(4), ...groups])));
  await database.write(batch);
  await database.close();
  await start();
  const again = await enter("ada");
  const refused = { code: "tooManyGroups" };
  const empty = await again.client.groups.create([]);
  await again.client.groups.create([ben.account]);
  await expect(again.client.groups.create([ben.account])).rejects.toMatchObject(refused);
  await expect(
    again.client.groups.add({ ...empty, accounts: [ada.account, ben.account].slice(1) }),
  ).rejects.toMatchObject(refused);
  expect(await membersOf(again, empty.group)).toEqual(["1", "ada admin"]);
});

test("an account that is removed leaves its groups, and its members hear of it as of any other leaving", async () => {
  const [ada, ben, cleo] = [await enter("ada"), await enter("ben"), await enter("cleo")];
  const { group } = await ada.client.groups.create([ben.account, cleo.account]);
  const alone = await ada.client.groups.create([]);
  const other = await cleo.client.groups.create([ada.account]);
  await remove(ada);
  await until("both groups are left", () => ben.log.length === 2 && cleo.log.length === 4);
  expect(ben.log).toEqual(["created 1 by ada", "left 2 by ada, ben promoted"]);
  expect(await membersOf(ben, group)).toEqual(["2", "ben admin", "cleo member"]);
  expect(await membersOf(cleo, other.group)).toEqual(["2", "cleo admin"]);
  const shared = Buffer.from("after");
  await expect(ben.client.sendToGroup({ group, version: 1, shared, attemptsMax: 1 })).rejects.toMatchObject({
    code: "groupStale",
  });
  await ben.client.sendToGroup({ group, version: 2, shared });
  await until("it has come", () => cleo.log.includes("after"));
  await expect(cleo.client.groups.get(alone.group)).rejects.toMatchObject({ code: "notFound" });
  await expectSound();
});

test("a crash right after a removal is made good by the next start", async () => {
  const [ada, ben] = [await enter("ada"), await enter("ben")];
  const { group } = await ada.client.groups.create([ben.account]);
  await until("everybody knows", () => ben.log.length === 1);
  await node.stop();
  const store = await openStore({ directory, clock: systemClock });
  await store.removeAccount(ada.account, Date.now());
  await store.close();
  expect(await checkDirectory(directory)).toMatchObject({ findings: [], groups: { members: 2, leaving: 1 } });
  await start();
  const again = await enter("ben");
  await until("the group is left", () => again.log.includes("left 2 by ada, ben promoted"));
  expect(await membersOf(again, group)).toEqual(["2", "ben admin"]);
  await expectSound();
});

test("a removed account that is added to a group leaves it again", async () => {
  const [ada, ben] = [await enter("ada"), await enter("ben")];
  const { group } = await ada.client.groups.create([]);
  await remove(ben);
  await ada.client.groups.add({ group, version: 1, accounts: [ben.account] });
  await until("the group is left", () => ada.log.length === 3);
  expect(ada.log).toEqual(["created 1 by ada", "added 2 by ada", "left 3 by ben"]);
  expect(await membersOf(ada, group)).toEqual(["3", "ada admin"]);
  await expectSound();
});

test("what accounts list and what groups have is compared by a check", async () => {
  const [ada, ben] = [await enter("ada"), await enter("ben")];
  await ada.client.groups.create([ben.account]);
  await node.stop();
  const damage = async (put: (batch: Batch) => void): Promise<object> => {
    const database = Database.open(directory, { readOnly: false });
    const batch = new Batch();
    put(batch);
    await database.write(batch);
    await database.close();
    return (await checkDirectory(directory)).findings.map(({ table, kind }) => `${table} ${kind}`);
  };
  const list = (account: AccountAddress, ...groups: AccountAddress[]) =>
    seal(accountKey(account), concatBytes([new Uint8Array(4), ...groups]));
  const [mine, bens] = [accountKey(ada.account), accountKey(ben.account)];
  const { group } = await groupOf(mine);
  expect(await damage((batch) => batch.put("leaving", mine, list(ada.account, ben.account)))).toEqual([
    "memberships totals",
  ]);
  expect(await damage((batch) => batch.put("leaving", mine, Uint8Array.of(1, 2, 3)))).toEqual([
    "leaving damaged",
  ]);
  expect(
    await damage((batch) => {
      batch.remove("leaving", mine);
      batch.remove("memberships", bens);
    }),
  ).toEqual(["groups reference"]);
  expect(await damage((batch) => batch.put("leaving", bens, list(ben.account, group)))).toEqual([]);
  await start();
  await until(
    "whoever was to leave has left",
    async () => (await checkDirectory(directory)).groups.members === 1,
  );
});

/** The only group that a list names. */
async function groupOf(key: Uint8Array): Promise<{ readonly group: AccountAddress }> {
  const database = Database.open(directory, { readOnly: true });
  const row = database.get("memberships", key);
  const group = Uint8Array.from(row?.subarray(4) ?? []);
  await database.close();
  return { group };
}
