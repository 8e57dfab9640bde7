/**
 * The model of the rules of a send, in their order of precedence, each in the words of the protocol:
 *
 *   shape ▸ room for its receipt ▸ duplicate ▸ disk low ▸ room ▸ brands ▸ recipients named twice ▸ rosters
 *
 * A send that names an account which is not resident cannot be judged yet.
 */
import { type ByteReader, Unreadable } from "./byte-reader.js";
import type { ModelAccount, ModelDevice, Residents } from "./residents.js";

export const codes = {
  badFrame: 101,
  payloadTooLarge: 103,
  tooManyRecipients: 104,
  rosterStale: 301,
  brandsClosed: 302,
  repeatedRecipient: 303,
  overloaded: 401,
  diskLow: 402,
  brandQuota: 403,
  positionAhead: 602,
} as const;

const PAYLOAD_BYTES_MAX = 96 * 1024;
const ACCOUNTS_MAX = 16;
const DEVICES_MAX = 16;

interface Party {
  readonly address: Uint8Array;
  readonly version: number;
  readonly devices: readonly { readonly number: number; readonly payload: Uint8Array }[];
}

export interface Send {
  readonly id: Uint8Array;
  readonly parties: readonly Party[];
}

class TooMuch extends Error {
  constructor(readonly code: number) {
    super();
  }
}

/** The send that begins here, after its kind; a code for one that is over a bound; throws Unreadable. */
export function readSend(reader: ByteReader): Send | number {
  try {
    const id = binOf(reader, 16);
    const count = reader.array();
    if (count === 0) throw new Unreadable();
    if (count > ACCOUNTS_MAX) return codes.tooManyRecipients;
    return { id, parties: Array.from({ length: count }, () => readParty(reader)) };
  } catch (error) {
    if (error instanceof TooMuch) return error.code;
    throw error;
  }
}

function binOf(reader: ByteReader, length: number): Uint8Array {
  const bytes = reader.bin();
  if (bytes.length !== length) throw new Unreadable();
  return bytes;
}

function arrayOf(reader: ByteReader, count: number): void {
  if (reader.array() !== count) throw new Unreadable();
}

function readParty(reader: ByteReader): Party {
  arrayOf(reader, 3);
  const address = binOf(reader, 18);
  const version = reader.uint();
  if (version > 0xffff_ffff) throw new Unreadable();
  const count = reader.array();
  if (count > DEVICES_MAX) throw new TooMuch(codes.tooManyRecipients);
  const devices = Array.from({ length: count }, () => {
    arrayOf(reader, 2);
    const number = reader.uint();
    const payload = reader.bin();
    if (number === 0 || number > 0xffff) throw new Unreadable();
    if (payload.length > PAYLOAD_BYTES_MAX) throw new TooMuch(codes.payloadTooLarge);
    return { number, payload };
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
  readonly hasRoom: boolean;
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
  | { readonly kind: "missing"; readonly account: Uint8Array };

export function judgeSend(send: Send, context: SendContext): Verdict {
  if (!context.hasReceiptRoom) return refused(codes.overloaded);
  if (context.isDuplicate) return { kind: "duplicate" };
  if (context.isDiskLow) return refused(codes.diskLow);
  if (!context.hasRoom) return refused(codes.overloaded);
  const crossings = send.parties.map((party) =>
    context.crossing(brandOf(context.sender.address), brandOf(party.address)),
  );
  if (crossings.includes("closed")) return refused(codes.brandsClosed);
  if (crossings.includes("full")) return refused(codes.brandQuota);
  return judgeRosters(send, context);
}

function refused(code: number): Verdict {
  return { kind: "refused", code };
}

function brandOf(address: Uint8Array): number {
  return (address[0] as number) * 256 + (address[1] as number);
}

function judgeRosters(send: Send, { sender, residents }: SendContext): Verdict {
  const recipients: Recipient[] = [];
  const listed = new Set<ModelAccount>();
  let isStale = false;
  for (const party of send.parties) {
    const account = residents.account(party.address);
    if (account === undefined) return { kind: "missing", account: party.address };
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
