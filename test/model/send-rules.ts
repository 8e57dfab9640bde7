/**
 * The model of the rules of a send, in their order of precedence, each in the words of the protocol:
 *
 *   shape ▸ room for its receipt ▸ duplicate ▸ disk low ▸ room ▸ brands ▸ recipients named twice ▸ rosters
 *
 * and of a group send, after the same beginning:
 *
 *   room for its shared part ▸ member, or the node ▸ version ▸ held ▸ brands ▸ blocks ▸ room for all
 *
 * and of an own send: … ▸ room ▸ brands ▸ the device
 *
 * A send that names accounts or a group which are not resident cannot be judged yet.
 */
import { type ByteReader, Unreadable } from "./byte-reader.js";
import type { Groups } from "./groups.js";
import type { ModelAccount, ModelDevice, Residents } from "./residents.js";

export const codes = {
  badFrame: 101,
  payloadTooLarge: 103,
  tooManyRecipients: 104,
  rosterStale: 301,
  brandsClosed: 302,
  repeatedRecipient: 303,
  groupUnknown: 310,
  groupStale: 311,
  blockSurplus: 312,
  overloaded: 401,
  diskLow: 402,
  brandQuota: 403,
  positionAhead: 602,
  deviceNotOwn: 640,
} as const;

const PAYLOAD_BYTES_MAX = 96 * 1024;
const ACCOUNTS_MAX = 16;
const SHARED_ACCOUNTS_MAX = 256;
const BLOCK_BYTES_MAX = 4096;
const DEVICES_MAX = 16;
const NEEDED_MAX = 4096;
/** What an entry may take in the tail besides its payload or block: a run's header and padding, and its own header. */
const FRAME_BYTES_MAX = 64 + 8 + 65;
const REFERENCE_BYTES_MAX = 64 + 8 + 24;

interface Party {
  readonly address: Uint8Array;
  readonly version: number;
  readonly devices: readonly { readonly number: number; readonly payload: Uint8Array }[];
}

export interface Send {
  readonly id: Uint8Array;
  readonly parties: readonly Party[];
  /** Of a multi-recipient send, whose payloads are blocks. */
  readonly shared?: Uint8Array;
}

export interface GroupSend {
  readonly id: Uint8Array;
  readonly group: Uint8Array;
  readonly version: number;
  readonly shared: Uint8Array;
  readonly blocks: readonly {
    readonly address: Uint8Array;
    readonly number: number;
    readonly block: Uint8Array;
  }[];
}

/** To one other device of the sender's account. */
export interface OwnSend {
  readonly id: Uint8Array;
  readonly own: { readonly number: number; readonly payload: Uint8Array };
  readonly shared?: undefined;
}

export type AnySend = Send | GroupSend | OwnSend;

class TooMuch extends Error {
  constructor(readonly code: number) {
    super();
  }
}

/** The send that begins here, after its kind; a code for one that is over a bound; throws Unreadable. */
export function readAnySend(reader: ByteReader, kind: number): AnySend | number {
  if (kind === 9) return readGroupSend(reader);
  return kind === 10 ? readOwnSend(reader) : readSend(reader, kind === 8);
}

function readSend(reader: ByteReader, isShared: boolean): Send | number {
  return boundedBy(() => {
    const id = binOf(reader, 16);
    const shared = isShared ? payloadOf(reader, PAYLOAD_BYTES_MAX) : undefined;
    const count = reader.array();
    if (count === 0) throw new Unreadable();
    if (count > (isShared ? SHARED_ACCOUNTS_MAX : ACCOUNTS_MAX)) throw new TooMuch(codes.tooManyRecipients);
    const payloadMax = isShared ? BLOCK_BYTES_MAX : PAYLOAD_BYTES_MAX;
    const parties = Array.from({ length: count }, () => readParty(reader, payloadMax));
    return { id, parties, ...(shared && { shared }) };
  });
}

function readGroupSend(reader: ByteReader): GroupSend | number {
  return boundedBy(() => {
    const id = binOf(reader, 16);
    const group = binOf(reader, 18);
    const version = versionOf(reader);
    const shared = payloadOf(reader, PAYLOAD_BYTES_MAX);
    const blocks = Array.from({ length: reader.array() }, () => {
      arrayOf(reader, 3);
      const address = binOf(reader, 18);
      const number = reader.uint();
      const block = reader.bin();
      if (number === 0 || number > 0xffff) throw new Unreadable();
      if (block.length > BLOCK_BYTES_MAX) throw new TooMuch(codes.payloadTooLarge);
      return { address, number, block };
    });
    return { id, group, version, shared, blocks };
  });
}

function readOwnSend(reader: ByteReader): OwnSend | number {
  return boundedBy(() => ({ id: binOf(reader, 16), own: readEntry(reader, PAYLOAD_BYTES_MAX) }));
}

function readEntry(reader: ByteReader, payloadMax: number): { number: number; payload: Uint8Array } {
  const number = reader.uint();
  const payload = reader.bin();
  if (number === 0 || number > 0xffff) throw new Unreadable();
  if (payload.length > payloadMax) throw new TooMuch(codes.payloadTooLarge);
  return { number, payload };
}

function boundedBy<T>(read: () => T): T | number {
  try {
    return read();
  } catch (error) {
    if (error instanceof TooMuch) return error.code;
    throw error;
  }
}

function payloadOf(reader: ByteReader, bytesMax: number): Uint8Array {
  const payload = reader.bin();
  if (payload.length > bytesMax) throw new TooMuch(codes.payloadTooLarge);
  return payload;
}

function versionOf(reader: ByteReader): number {
  const version = reader.uint();
  if (version > 0xffff_ffff) throw new Unreadable();
  return version;
}

function binOf(reader: ByteReader, length: number): Uint8Array {
  const bytes = reader.bin();
  if (bytes.length !== length) throw new Unreadable();
  return bytes;
}

function arrayOf(reader: ByteReader, count: number): void {
  if (reader.array() !== count) throw new Unreadable();
}

function readParty(reader: ByteReader, payloadMax: number): Party {
  arrayOf(reader, 3);
  const address = binOf(reader, 18);
  const version = versionOf(reader);
  const count = reader.array();
  if (count > DEVICES_MAX) throw new TooMuch(codes.tooManyRecipients);
  const devices = Array.from({ length: count }, () => {
    arrayOf(reader, 2);
    return readEntry(reader, payloadMax);
  });
  return { address, version, devices };
}

export type Crossing = "closed" | "open" | "full";

/** What the rules ask of the rest of the model. */
export interface SendContext {
  readonly sender: ModelDevice;
  readonly residents: Residents;
  readonly hasReceiptRoom: boolean;
  readonly isDuplicate: boolean;
  readonly isDiskLow: boolean;
  /** Whether the tail takes so many bytes for entries, besides a shared part. */
  hasRoom(entriesBytes: number): boolean;
  readonly isDedupLogFull: boolean;
  readonly groups: Groups;
  /** Items that a batch still takes, and takes when it is empty. */
  readonly itemsLeft: number;
  readonly itemsMax: number;
  crossing(fromBrand: number, toBrand: number): Crossing;
}

export interface Recipient {
  readonly device: ModelDevice;
  readonly payload: Uint8Array;
}

export type Verdict =
  | { readonly kind: "accepted"; readonly recipients: readonly Recipient[] }
  | { readonly kind: "duplicate" }
  | { readonly kind: "refused"; readonly code: number }
  /** Accounts to load. */
  | { readonly kind: "missing"; readonly accounts: readonly Uint8Array[] }
  /** The group to load. */
  | { readonly kind: "unknownGroup" }
  /** There is room for it only in the next batch. */
  | { readonly kind: "batchFull" };

export function judgeAnySend(send: AnySend, context: SendContext): Verdict {
  if ("group" in send) return judgeGroupSend(send, context);
  return "own" in send ? judgeOwnSend(send, context) : judgeSend(send, context);
}

function judgeSend(send: Send, context: SendContext): Verdict {
  const early = judgeAny(context);
  if (early !== undefined) return early;
  const payloads = send.parties.flatMap((party) => party.devices.map((entry) => entry.payload));
  const header = send.shared === undefined ? FRAME_BYTES_MAX : REFERENCE_BYTES_MAX;
  const room = payloads.reduce((sum, payload) => sum + header + payload.length, 0);
  if (!context.hasRoom(room)) return refused(codes.overloaded);
  const addresses = send.parties.map((party) => party.address);
  return judgeBrands(addresses, context) ?? judgeRosters(send, context);
}

/** No roster has a say in it: nobody is left out who is not meant. */
function judgeOwnSend(send: OwnSend, context: SendContext): Verdict {
  const early = judgeAny(context);
  if (early !== undefined) return early;
  const { number, payload } = send.own;
  if (!context.hasRoom(FRAME_BYTES_MAX + payload.length)) return refused(codes.overloaded);
  const { sender } = context;
  const brands = judgeBrands([sender.address], context);
  if (brands !== undefined) return brands;
  const device = sender.account.devices.find((candidate) => candidate.number === number);
  if (device === undefined || device === sender) return refused(codes.deviceNotOwn);
  return { kind: "accepted", recipients: [{ device, payload }] };
}

/** What holds for every kind of send. */
function judgeAny(context: SendContext): Verdict | undefined {
  if (!context.hasReceiptRoom) return refused(codes.overloaded);
  if (context.isDuplicate) return { kind: "duplicate" };
  if (context.isDiskLow) return refused(codes.diskLow);
  return context.isDedupLogFull ? refused(codes.overloaded) : undefined;
}

function judgeBrands(addresses: readonly Uint8Array[], context: SendContext): Verdict | undefined {
  const from = brandOf(context.sender.address);
  const crossings = addresses.map((address) => context.crossing(from, brandOf(address)));
  if (crossings.includes("closed")) return refused(codes.brandsClosed);
  if (crossings.includes("full")) return refused(codes.brandQuota);
  return undefined;
}

/** The group's members say who gets it: for whoever is not among them there is no such group. */
function judgeGroupSend(send: GroupSend, context: SendContext): Verdict {
  const early = judgeAny(context);
  if (early !== undefined) return early;
  if (!context.hasRoom(0)) return refused(codes.overloaded);
  const group = context.groups.find(send.group);
  if (group === undefined) return { kind: "unknownGroup" };
  const { sender, residents } = context;
  const members = group.members.map((address) => residents.account(address));
  const isNode = sender.ordinal === 0;
  if (!isNode && !members.includes(sender.account)) return refused(codes.groupUnknown);
  if (send.version !== group.version) return refused(codes.groupStale);
  if (group.isHeld && !isNode) return refused(codes.overloaded);
  const brands = judgeBrands(group.members, context);
  if (brands !== undefined) return brands;
  const devices = members.reduce((sum, account) => sum + (account?.devices.length ?? 0), 0);
  if (devices - (isNode ? 0 : 1) > context.itemsMax) return refused(codes.tooManyRecipients);
  const missing = group.members.filter((_, i) => members[i] === undefined);
  if (missing.length > 0) return { kind: "missing", accounts: missing.slice(0, NEEDED_MAX) };
  return judgeBlocks(send, members as ModelAccount[], context);
}

function judgeBlocks(send: GroupSend, members: readonly ModelAccount[], context: SendContext): Verdict {
  const { sender, residents } = context;
  const blocks = new Map<ModelDevice, Uint8Array>();
  for (const { address, number, block } of send.blocks) {
    const device = residents.account(address)?.devices.find((candidate) => candidate.number === number);
    if (device === undefined) return refused(codes.blockSurplus);
    if (blocks.has(device)) return refused(codes.repeatedRecipient);
    blocks.set(device, block);
  }
  for (const account of members) account.isRecent = true;
  const devices = members.flatMap((account) => account.devices).filter((device) => device !== sender);
  if (devices.length > context.itemsLeft) return { kind: "batchFull" };
  if ([...blocks.keys()].some((device) => !devices.includes(device))) return refused(codes.blockSurplus);
  const recipients = devices.map((device) => ({ device, payload: blocks.get(device) ?? new Uint8Array(0) }));
  const room = recipients.reduce((sum, { payload }) => sum + REFERENCE_BYTES_MAX + payload.length, 0);
  return context.hasRoom(room) ? { kind: "accepted", recipients } : refused(codes.overloaded);
}

function refused(code: number): Verdict {
  return { kind: "refused", code };
}

function brandOf(address: Uint8Array): number {
  return (address[0] as number) * 256 + (address[1] as number);
}

function judgeRosters(send: Send, { sender, residents }: SendContext): Verdict {
  const addresses = send.parties.map((party) => party.address);
  const missing = addresses.filter((address) => residents.account(address) === undefined);
  if (missing.length > 0) return { kind: "missing", accounts: missing };
  const recipients: Recipient[] = [];
  const listed = new Set<ModelAccount>();
  let isStale = false;
  for (const party of send.parties) {
    const account = residents.account(party.address) as ModelAccount;
    const numbers = party.devices.map((device) => device.number);
    const isOwn = account === sender.account;
    if (listed.has(account)) return refused(codes.repeatedRecipient);
    if (new Set(numbers).size < numbers.length) return refused(codes.repeatedRecipient);
    if (isOwn && numbers.includes(sender.number)) return refused(codes.repeatedRecipient);
    listed.add(account);
    account.isRecent = true;
    const due = account.devices.filter((device) => device !== sender);
    const isCovered = due.length === numbers.length && due.every((device) => numbers.includes(device.number));
    // The node's own device, which has no ordinal, may name whom it likes; who is gone is passed over.
    if ((party.version !== account.version || !isCovered) && sender.ordinal !== 0) isStale = true;
    for (const { number, payload } of party.devices) {
      const device = due.find((candidate) => candidate.number === number);
      if (device !== undefined) recipients.push({ device, payload });
    }
  }
  const hasOtherDevices = sender.account.devices.length > 1;
  if (isStale || (hasOtherDevices && !listed.has(sender.account))) return refused(codes.rosterStale);
  return { kind: "accepted", recipients };
}
