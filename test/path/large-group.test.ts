/**
 * A group of 10,000 devices, half of them away, through the real kernel, path and store: its payload is on disk once
 * however many have yet to get it, and when they all have it nothing of it is left.
 */
import { afterEach, beforeEach, expect, it } from "vitest";
import { type AccountAddress, accountOf, deviceAddress } from "../../src/base/address.js";
import { limits } from "../../src/rules/limits.js";
import { encodeAccount } from "../../src/store/account-rows.js";
import { Batch, Database } from "../../src/store/database.js";
import { accountKey, encodeNumber, metaKeys } from "../../src/store/schema.js";
import { checkDirectory } from "../../src/store/store.js";
import { codes } from "../../src/wire/codes.js";
import { encodeGroupEvent } from "../../src/wire/groups.js";
import { Device, World } from "./harness.js";

const MEMBERS = 10_000;
const PAYLOAD_BYTES = 1_000;
/** What one device that is away may cost on disk, beside the payload. */
const EACH_BYTES_MAX = 64;
const GROUP: AccountAddress = new Uint8Array(18).fill(1);

let world: World;
beforeEach(async () => {
  world = await World.open({ residents: 1 << 14, tailBytes: 32 << 20, build: "release" });
});
afterEach(() => world.remove());

/** Devices that nobody has registered yet, of as many accounts of three brands. */
function somebodies(count: number): Device[] {
  return Array.from({ length: count }, (_, i) => {
    const id = new Uint8Array(16);
    new DataView(id.buffer).setUint32(0, i);
    return new Device(world, deviceAddress({ brand: 1 + (i % 3), account: id, device: 1 }));
  });
}

/** Keys and values of what queues and parts take on disk. */
function onDisk(): { readonly bytes: number; readonly rows: number } {
  const inspected = Database.open(world.directory, { readOnly: true });
  let [bytes, rows] = [0, 0];
  for (const table of ["queues", "shared", "floors"] as const) {
    for (const { key, value } of inspected.rows(table)) {
      bytes += key.length + value.length;
      rows++;
    }
  }
  void inspected.close();
  return { bytes, rows };
}

/** What `interline check` finds of envelopes, after it has found nothing wrong. */
async function left(): Promise<{
  readonly queued: number;
  readonly parts: number;
  readonly references: number;
}> {
  const { findings, queues, shared } = await checkDirectory(world.directory);
  expect(findings).toEqual([]);
  return { queued: queues.rows, parts: shared.parts, references: shared.references };
}

async function spilled(): Promise<void> {
  await world.settle();
  await world.spillAll();
  for (let i = 0; i < 10; i++) await world.store.sweep(world.wallMs, MEMBERS);
}

async function takeAll(devices: readonly Device[], expected: readonly string[]): Promise<void> {
  for (const device of devices) {
    await device.connect();
    expect(device.connection.entries).toEqual(expected);
    device.ack(Math.max(...device.connection.sequences));
  }
  await spilled();
}

it("gets one send, stored once with 64 bytes at most for each device that is away, and gone when they have it", {
  timeout: 120_000,
}, async () => {
  const devices = somebodies(MEMBERS);
  await Promise.all(devices.map(({ address }) => world.store.registerDevice(accountOf(address), 1)));
  const members = devices.map(({ address }, i) => ({
    account: accountOf(address),
    role: i === 0 ? ("admin" as const) : ("member" as const),
  }));
  await world.store.changeGroup({ group: { address: GROUP, version: 1, members }, notices: [] });
  const online = devices.filter((_, i) => i % 2 === 0);
  const away = devices.filter((_, i) => i % 2 === 1);
  for (const device of online) await device.connect();

  const [sender, ...receivers] = online as [Device, ...Device[]];
  const text = "x".repeat(PAYLOAD_BYTES);
  const startedMs = performance.now();
  sender.sendToGroup(1, text, { address: GROUP, version: 1, members: [] });
  world.turn();
  const routedMs = performance.now() - startedMs;
  expect(sender.connection.of("refusal")).toEqual([]);
  for (const { connection } of receivers) expect(connection.entries).toEqual([`${text}+`]);
  for (const receiver of receivers) receiver.ack(receiver.connection.sequences[0] as number);
  await world.settle();
  expect(sender.connection.of("receipt")).toHaveLength(1);

  await spilled();
  const { bytes, rows } = onDisk();
  const eachBytes = (bytes - PAYLOAD_BYTES) / away.length;
  process.stdout.write(
    `group of ${MEMBERS}: routed in ${routedMs.toFixed(0)} ms, ${away.length} away: ${bytes} bytes on disk in ${rows} rows, ` +
      `${eachBytes.toFixed(2)} for each beside the payload of ${PAYLOAD_BYTES}\n`,
  );
  // A row for each, the part, and the count of what refers to it.
  expect(rows).toBe(away.length + 2);
  expect(bytes).toBeLessThanOrEqual(PAYLOAD_BYTES + EACH_BYTES_MAX * away.length);
  expect(await left()).toEqual({ queued: away.length, parts: 1, references: away.length });

  // One that has yet to come is enough to keep it; and a payload for each would be seen.
  const [last, ...others] = away as [Device, ...Device[]];
  await takeAll(others, [`${text}+`]);
  expect(await left()).toEqual({ queued: 1, parts: 1, references: 1 });
  const before = onDisk().bytes;
  const some = others.slice(0, 16);
  for (const device of some) device.leave();
  sender.send(2, text, ...some);
  await spilled();
  expect((onDisk().bytes - before - PAYLOAD_BYTES) / some.length).toBeGreaterThan(EACH_BYTES_MAX);
  await takeAll(some, [text]);

  await takeAll([last], [`${text}+`]);
  expect(await left()).toEqual({ queued: 0, parts: 0, references: 0 });
  expect(onDisk()).toEqual({ bytes: 0, rows: 0 });
});

it("takes a bounded number of looks at its members for one connection in a turn, whoever else sends to it", async () => {
  const [alice, bob] = [await world.device(1, 1).connect(), await world.device(1, 2).connect()];
  const group = world.group(1, 1, [alice, bob, ...somebodies(MEMBERS - 2)]);
  const refusals = (device: Device): number[] => device.connection.of("refusal").map(({ code }) => code);
  for (let i = 0; i < 80; i++) alice.sendToGroup(i, "a", group);
  bob.sendToGroup(1, "b", group);
  world.turn();
  // 500,000 looks are 50 sends; the first one looked again each time that members had to be loaded for it.
  expect(refusals(alice).length).toBeGreaterThanOrEqual(30);
  expect(refusals(alice).length).toBeLessThanOrEqual(40);
  expect(new Set(refusals(alice))).toEqual(new Set([codes.overloaded.code]));
  expect(refusals(bob)).toEqual([]);
  const before = refusals(alice).length;
  alice.sendToGroup(100, "again", group);
  await world.settle();
  expect(refusals(alice)).toHaveLength(before);
  expect(bob.connection.entries.at(-1)).toBe("again+");
});

it("reads a bounded number of members' rosters for what one connection names in a turn, group by group", async () => {
  const alice = await world.device(1, 1).connect();
  const members = somebodies(640);
  // Alice is in none of them: asking costs the same, and nothing else is looked at.
  const groups = Array.from({ length: 200 }, (_, i) => world.group(2 + i, 1, members));
  world.groupReads = 0;
  groups.forEach((group, i) => {
    alice.sendToGroup(i, "hello", group);
  });
  world.turn();
  // One of 640 members counts for 1 and 640 / 64 more.
  const each = 1 + 640 / 64;
  expect(world.groupReads).toBe(Math.ceil(limits.accountLoadsPerTurnMax / each));
  const told = alice.connection.of("refusal").map(({ code }) => code);
  expect(told.filter((code) => code === codes.groupUnknown.code)).toHaveLength(world.groupReads);
  expect(told.filter((code) => code === codes.overloaded.code)).toHaveLength(200 - world.groupReads);
  // The next turn has its own.
  world.groupReads = 0;
  alice.sendToGroup(300, "hello", groups.at(-1) as (typeof groups)[number]);
  world.turn();
  expect(world.groupReads).toBe(1);
});

/** All devices of these accounts at once, as if they had come one by one and everybody had been told. */
async function registerAll(firsts: readonly Device[], devicesEach: number): Promise<void> {
  const { directory } = world;
  await world.close();
  const database = Database.open(directory, { readOnly: false });
  const batch = new Batch();
  firsts.forEach(({ address }, i) => {
    const devices = Array.from({ length: devicesEach }, (_, n) => ({
      number: n + 1,
      ordinal: 1 + devicesEach * i + n,
    }));
    const key = accountKey(accountOf(address));
    batch.put("accounts", key, encodeAccount(key, { version: devicesEach, devices }));
  });
  const nextOrdinal = 1 + devicesEach * firsts.length;
  batch.put("meta", metaKeys.ordinal, encodeNumber(metaKeys.ordinal, nextOrdinal));
  await database.write(batch);
  await database.close();
  world = await World.open({ directory, residents: 1 << 17, tailBytes: 96 << 20, build: "release" });
}

/** Until nothing is owed because of the group's last change, a bounded number of turns. */
async function untilTold(): Promise<void> {
  for (let i = 0; i < 20 && world.store.settledGroup(GROUP) !== undefined; i++) await world.settle();
  expect(world.store.settledGroup(GROUP)).toBeUndefined();
}

/** A change that the store makes, and what is to be told of it. */
async function change(event: "created" | "removed", version: number, members: readonly Device[]) {
  const accounts = members.map(({ address }) => accountOf(address));
  const by = accounts[0] as AccountAddress;
  const payload = encodeGroupEvent({ group: GROUP, version, event, by, accounts: [] });
  await world.store.changeGroup({
    group: { address: GROUP, version, members: accounts.map((account) => ({ account, role: "admin" })) },
    notices: [{ recipients: [], payload, group: { address: GROUP, version } }],
  });
}

it("with more devices than one envelope reaches is told of its changes, and its sends are refused with a code", {
  timeout: 120_000,
}, async () => {
  const [devicesEach, membersMax] = [limits.devicesPerAccountMax, 65_536 / limits.devicesPerAccountMax];
  await registerAll(somebodies(membersMax + 104), devicesEach);
  const firsts = somebodies(membersMax + 104);
  // Of the first, of the last that fits, and of the last of all.
  const some = [0, membersMax - 1, firsts.length - 1].map((i) => firsts[i] as Device);
  for (const device of some) await device.connect();
  const [sender, fitting, last] = some as [Device, Device, Device];

  await change("created", 1, firsts);
  await untilTold();
  for (const { connection } of some) expect(connection.groupLog).toEqual(["created 1"]);
  sender.sendToGroup(1, "too many", { address: GROUP, version: 1, members: [] });
  await world.settle();
  expect(sender.connection.of("refusal").map(({ code }) => code)).toEqual([codes.tooManyRecipients.code]);

  // 65,536 of them, the sender among them, are not too many.
  await change("removed", 2, firsts.slice(0, membersMax));
  await untilTold();
  sender.sendToGroup(2, "fits", { address: GROUP, version: 2, members: [] });
  await world.settle();
  expect(sender.connection.of("refusal")).toHaveLength(1);
  expect(fitting.connection.groupLog).toEqual(["created 1", "removed 2", "fits"]);
  expect(last.connection.groupLog).toEqual(["created 1"]);
});
