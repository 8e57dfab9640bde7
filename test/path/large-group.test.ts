/**
 * A group of 10,000 devices, half of them away, through the real kernel, path and store: its payload is on disk once
 * however many have yet to get it, and when they all have it nothing of it is left.
 */
import { afterEach, beforeEach, expect, it } from "vitest";
import { type AccountAddress, accountOf, deviceAddress } from "../../src/base/address.js";
import { Database } from "../../src/store/database.js";
import { checkDirectory } from "../../src/store/store.js";
import { codes } from "../../src/wire/codes.js";
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
