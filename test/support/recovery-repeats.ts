/**
 * Sends that are made again after an open, to a kernel that was given the store's dedup keys as a node gives them: which of
 * them are taken for repeats. One that is has no second delivery; whatever is made of a send, it must get a receipt.
 */
import { accountOf, type DeviceAddress, deviceNumber } from "../../src/base/address.js";
import { toHex } from "../../src/base/bytes.js";
import { Kernel, statuses } from "../../src/kernel/kernel.js";
import type { AccountRecord, Store } from "../../src/store/store.js";
import { encodeClientFrame, type SendAccount } from "../../src/wire/client-frames.js";
import { decodeServerMessage } from "../../src/wire/server-frames.js";
import { bytesOf, worldAccounts } from "./recovery-operations.js";

const NOW_MS = 1_000;
const WINDOW = { floor: 0, windowEntries: 100, windowBytes: 1 << 20 };
const SIZES = {
  inboxBytes: 1 << 16,
  tailBytes: 1 << 20,
  accounts: 32,
  devices: 64,
  dedupKeys: 1 << 13,
  dedupMs: 2 ** 40,
  uncommittedBytes: 1 << 19,
  groups: 1,
  groupMembers: 1,
  brands: [1, 2],
};

/** The id of a send of this number, which is never used twice. */
export function sendId(number: number): Uint8Array {
  const id = Buffer.alloc(16);
  id.writeBigUInt64BE(BigInt(number), 8);
  return new Uint8Array(id);
}

/** Of sends, each `<device> <ordinal> <number>`, those whose device is still there: whether it is taken for a repeat. */
export function repeatsIn(store: Store, sends: readonly string[]): Record<string, boolean> {
  if (sends.length === 0) return {};
  const kernel = new Kernel(SIZES, { epoch: 1, firstPart: 1 });
  for (const from of [0, 1]) for (const to of [0, 1]) kernel.setCrossing(from, to, "open");
  for (const keys of store.recoveredDedupKeys()) kernel.restoreDedup(keys, NOW_MS);
  const records = worldAccounts.map(
    (address) =>
      store.readAccount(bytesOf(address)) ?? { address: bytesOf(address), version: 0, devices: [] },
  );
  for (const record of records) kernel.loadAccount(record);
  const found: Record<string, boolean> = {};
  const positions = new Map<number, number>();
  for (const send of sends) {
    const [name = "", ordinal, number] = send.split(" ");
    const device: DeviceAddress = bytesOf(name);
    const own = records.find(({ address }) => toHex(address) === toHex(accountOf(device))) as AccountRecord;
    const entry = own.devices.find((one) => one.number === deviceNumber(device));
    const slot = kernel.findDevice(device);
    if (entry?.ordinal !== Number(ordinal) || slot === undefined) continue;
    if (!positions.has(slot)) kernel.attach(slot, slot + 1, WINDOW);
    positions.set(slot, (positions.get(slot) ?? 0) + 1);
    const other = records.find((record) => record !== own) as AccountRecord;
    const accounts = [listOf(other), listOf(own, device)].filter(
      ({ devices }, i) => i === 0 || devices.length > 0,
    );
    const frame = encodeClientFrame({ kind: "send", id: sendId(Number(number)), accounts });
    found[send] = isRepeat(kernel, { slot, frame });
  }
  receiveReceipts(kernel, positions);
  return found;
}

/** Every device of the account but the given one. */
function listOf({ address, version, devices }: AccountRecord, but?: DeviceAddress): SendAccount {
  const numbers = devices.map(({ number }) => number);
  const others = but === undefined ? numbers : numbers.filter((number) => number !== deviceNumber(but));
  const payload = new Uint8Array(1);
  return { account: address, version, devices: others.map((device) => ({ device, payload })) };
}

function isRepeat(
  kernel: Kernel,
  { slot, frame }: { readonly slot: number; readonly frame: Uint8Array },
): boolean {
  const before = kernel.counters();
  kernel.push(slot, slot + 1, frame);
  const status = kernel.tick(NOW_MS, NOW_MS);
  kernel.clearInbox();
  kernel.clearSends();
  const after = kernel.counters();
  const repeats = after.duplicates - before.duplicates;
  if (status !== statuses.done || kernel.outcomeCount > 0)
    throw new Error("a send that is right was refused");
  if (repeats > 0 && after.entries > before.entries) throw new Error("a repeat was delivered");
  return repeats > 0;
}

/** Once it is committed, what was sent is receipted: repeats like everything else. */
function receiveReceipts(kernel: Kernel, positions: ReadonlyMap<number, number>): void {
  const batch = kernel.seal(NOW_MS, NOW_MS);
  if (batch !== undefined) kernel.committed(batch, NOW_MS);
  const told = new Map<number, number>();
  kernel.collectReceipts(NOW_MS, 0, SIZES.devices);
  for (let i = 0; i < kernel.sendCount; i++) {
    for (const frame of decodeServerMessage(kernel.sendBytes(i).slice()))
      if (frame.kind === "receipt") told.set(kernel.sendSlot(i), frame.position);
  }
  for (const [slot, position] of positions)
    if (told.get(slot) !== position) throw new Error("a send was not receipted");
}
