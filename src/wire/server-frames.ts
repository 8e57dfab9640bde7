/**
 * Frames from server to client (drawn in protocol.ts) as the client reads them; server-frame-writer.ts writes them.
 *
 * Invariants. Bad bytes make a decoder throw CodedError `badFrame` and nothing
 * else. A frame of an unknown kind comes as `unknown` and is stepped over, so
 * that a later server may add kinds. Addresses, ids and payloads are views of
 * the input: they stay good as long as nobody writes to the input, and keeping
 * one keeps the whole message in memory.
 */
import {
  ACCOUNT_ADDRESS_BYTES,
  type AccountAddress,
  DEVICE_ADDRESS_BYTES,
  type DeviceAddress,
  ENVELOPE_ID_BYTES,
  type EnvelopeId,
} from "../base/address.js";
import { type RefusalDetail, readDetail, readWelcome } from "./bodies.js";
import { readAccounts } from "./groups.js";
import { badFrame, DETAIL_ITEMS_MAX, MsgpackReader } from "./msgpack.js";
import type { MsgpackMap } from "./msgpack-value.js";
import { durabilities, gapReasons, kinds, type WelcomeBody } from "./protocol.js";

const DEVICE_NUMBER_MAX = 0xffff;
const UINT32_MAX = 0xffff_ffff;
const MESSAGE_BYTES_MAX = 1024;

export interface WelcomeFrame {
  readonly kind: "welcome";
  readonly body: WelcomeBody;
}

export interface DeliverFrame {
  readonly kind: "deliver";
  readonly sequence: number;
  readonly sender: DeviceAddress;
  readonly id: EnvelopeId;
  /** When the node accepted the envelope. */
  readonly timeMs: number;
  readonly payload: Uint8Array;
}

/** An entry of a shared send: what everybody got, and this device's own block. */
export interface SharedDeliverFrame {
  readonly kind: "sharedDeliver";
  readonly sequence: number;
  readonly sender: DeviceAddress;
  readonly id: EnvelopeId;
  readonly timeMs: number;
  readonly block: Uint8Array;
  readonly shared: Uint8Array;
}

/** An entry of a group send. */
export interface GroupDeliverFrame {
  readonly kind: "groupDeliver";
  readonly sequence: number;
  readonly sender: DeviceAddress;
  readonly id: EnvelopeId;
  readonly timeMs: number;
  readonly group: AccountAddress;
  /** Of the group's roster, as the sender named it. */
  readonly version: number;
  readonly block: Uint8Array;
  readonly shared: Uint8Array;
}

/** From another device of the own account, to this one alone. */
export interface OwnDeliverFrame extends Omit<DeliverFrame, "kind"> {
  readonly kind: "ownDeliver";
}

export interface ReceiptFrame {
  readonly kind: "receipt";
  readonly position: number;
  /** A number of `durabilities`, or a newer one. */
  readonly durability: number;
}

export interface RefusalFrame {
  readonly kind: "refusal";
  readonly position: number;
  /** A number of the code registry, or a newer one. */
  readonly code: number;
  readonly retryAfterMs: number;
  readonly detail: RefusalDetail;
}

export interface GapFrame {
  readonly kind: "gap";
  /** The last of the removed entries. */
  readonly sequence: number;
  readonly count: number;
  /** A number of `gapReasons`, or a newer one. */
  readonly reason: number;
}

export interface LiveFrame {
  readonly kind: "live";
  readonly sequence: number;
}

export interface SignalFrame {
  readonly kind: "signal";
  readonly sender: DeviceAddress;
  readonly payload: Uint8Array;
}

/** From a device of another member, or another device of the own account. */
export interface GroupSignalFrame {
  readonly kind: "groupSignal";
  readonly sender: DeviceAddress;
  readonly group: AccountAddress;
  readonly payload: Uint8Array;
}

export interface PresenceFrame {
  readonly kind: "presence";
  /** Accounts that are here now, and such as are not. */
  readonly online: readonly AccountAddress[];
  readonly offline: readonly AccountAddress[];
}

export interface PongFrame {
  readonly kind: "pong";
  readonly nonce: number;
  readonly timeMs: number;
}

export interface RosterFrame {
  readonly kind: "roster";
  readonly request: number;
  readonly account: AccountAddress;
  readonly version: number;
  readonly devices: readonly number[];
}

export interface ErrorFrame {
  readonly kind: "error";
  readonly code: number;
  readonly retryAfterMs: number;
  readonly message: string;
}

export interface AnswerFrame {
  readonly kind: "answer";
  readonly request: number;
  /** 0: done. */
  readonly code: number;
  readonly retryAfterMs: number;
  readonly body: MsgpackMap;
}

/** A frame of a later protocol: stepped over. */
export interface UnknownFrame {
  readonly kind: "unknown";
  readonly number: number;
}

/** What server-frame-writer.ts writes; `welcome` and refusals with a detail need control.ts. */
export type PlainServerFrame =
  | DeliverFrame
  | OwnDeliverFrame
  | SharedDeliverFrame
  | GroupDeliverFrame
  | ReceiptFrame
  | GapFrame
  | LiveFrame
  | SignalFrame
  | GroupSignalFrame
  | PresenceFrame
  | PongFrame
  | RosterFrame
  | ErrorFrame
  | AnswerFrame;

export type ServerFrame = PlainServerFrame | WelcomeFrame | RefusalFrame | UnknownFrame;

/** Reads the frame at the reader's offset. */
export function readServerFrame(reader: MsgpackReader): ServerFrame {
  const count = reader.array();
  if (count === 0) throw badFrame("a frame begins with its kind");
  const kind = reader.uint();
  const read = readers[kind];
  if (read === undefined) {
    for (let i = 1; i < count; i++) reader.skip();
    return { kind: "unknown", number: kind };
  }
  if (count !== read.count) throw badFrame("a frame has the wrong number of elements");
  return read.fields(reader);
}

/** All frames of one message, one at a time; throws at the first bad one. */
export function* decodeServerMessage(bytes: Uint8Array): Generator<ServerFrame, void> {
  const reader = new MsgpackReader(bytes);
  while (!reader.atEnd) yield readServerFrame(reader);
}

/** Per kind: how many elements the array has, and what follows the kind. */
const readers: Readonly<
  Record<number, { readonly count: number; readonly fields: (reader: MsgpackReader) => ServerFrame }>
> = {
  [kinds.welcome]: { count: 2, fields: (reader) => ({ kind: "welcome", body: readWelcome(reader.body()) }) },
  [kinds.deliver]: { count: 6, fields: (reader) => ({ kind: "deliver", ...readDeliver(reader) }) },
  [kinds.ownDeliver]: { count: 6, fields: (reader) => ({ kind: "ownDeliver", ...readDeliver(reader) }) },
  [kinds.sharedDeliver]: { count: 7, fields: readSharedDeliver },
  [kinds.groupDeliver]: { count: 9, fields: readGroupDeliver },
  [kinds.receipt]: {
    count: 3,
    fields: (reader) => ({ kind: "receipt", position: reader.uint(), durability: reader.uint() }),
  },
  [kinds.refusal]: { count: 5, fields: readRefusal },
  [kinds.gap]: {
    count: 4,
    fields: (reader) => ({
      kind: "gap",
      sequence: reader.uint(),
      count: reader.uint(),
      reason: reader.uint(),
    }),
  },
  [kinds.live]: { count: 2, fields: (reader) => ({ kind: "live", sequence: reader.uint() }) },
  [kinds.signal]: {
    count: 3,
    fields: (reader) => ({
      kind: "signal",
      sender: reader.binOf(DEVICE_ADDRESS_BYTES),
      payload: reader.bin(),
    }),
  },
  [kinds.groupSignal]: {
    count: 4,
    fields: (reader) => ({
      kind: "groupSignal",
      sender: reader.binOf(DEVICE_ADDRESS_BYTES),
      group: reader.binOf(ACCOUNT_ADDRESS_BYTES),
      payload: reader.bin(),
    }),
  },
  [kinds.presence]: {
    count: 3,
    fields: (reader) => ({ kind: "presence", online: readList(reader), offline: readList(reader) }),
  },
  [kinds.pong]: {
    count: 3,
    fields: (reader) => ({ kind: "pong", nonce: reader.uint(), timeMs: reader.uint() }),
  },
  [kinds.roster]: { count: 5, fields: readRoster },
  [kinds.error]: {
    count: 4,
    fields: (reader) => ({
      kind: "error",
      code: reader.uint(),
      retryAfterMs: reader.uint(),
      message: reader.str(MESSAGE_BYTES_MAX),
    }),
  },
  [kinds.answer]: {
    count: 5,
    fields: (reader) => ({
      kind: "answer",
      request: reader.uint(),
      code: reader.uint(),
      retryAfterMs: reader.uint(),
      body: reader.body(),
    }),
  },
};

function readDeliver(reader: MsgpackReader): Omit<DeliverFrame, "kind"> {
  return {
    sequence: reader.uint(),
    sender: reader.binOf(DEVICE_ADDRESS_BYTES),
    id: reader.binOf(ENVELOPE_ID_BYTES),
    timeMs: reader.uint(),
    payload: reader.bin(),
  };
}

function readSharedDeliver(reader: MsgpackReader): SharedDeliverFrame {
  return {
    kind: "sharedDeliver",
    sequence: reader.uint(),
    sender: reader.binOf(DEVICE_ADDRESS_BYTES),
    id: reader.binOf(ENVELOPE_ID_BYTES),
    timeMs: reader.uint(),
    block: reader.bin(),
    shared: reader.bin(),
  };
}

function readGroupDeliver(reader: MsgpackReader): GroupDeliverFrame {
  return {
    kind: "groupDeliver",
    sequence: reader.uint(),
    sender: reader.binOf(DEVICE_ADDRESS_BYTES),
    id: reader.binOf(ENVELOPE_ID_BYTES),
    timeMs: reader.uint(),
    group: reader.binOf(ACCOUNT_ADDRESS_BYTES),
    version: reader.uint(UINT32_MAX),
    block: reader.bin(),
    shared: reader.bin(),
  };
}

function readList(reader: MsgpackReader): AccountAddress[] {
  const accounts = readAccounts(reader.bin());
  if (accounts === undefined) throw badFrame("accounts are 18 bytes each");
  return accounts;
}

function readRefusal(reader: MsgpackReader): RefusalFrame {
  return {
    kind: "refusal",
    position: reader.uint(),
    code: reader.uint(),
    retryAfterMs: reader.uint(),
    detail: readDetail(reader.body(DETAIL_ITEMS_MAX)),
  };
}

function readRoster(reader: MsgpackReader): RosterFrame {
  const request = reader.uint();
  const account = reader.binOf(ACCOUNT_ADDRESS_BYTES);
  const version = reader.uint(UINT32_MAX);
  const count = reader.array();
  const devices: number[] = [];
  for (let i = 0; i < count; i++) devices.push(reader.uint(DEVICE_NUMBER_MAX));
  return { kind: "roster", request, account, version, devices };
}

/** The registry's name of a durability's number; undefined for a newer one. */
export function durabilityName(number: number): keyof typeof durabilities | undefined {
  return nameIn(durabilities, number);
}

/** The registry's name of a gap reason's number; undefined for a newer one. */
export function gapReasonName(number: number): keyof typeof gapReasons | undefined {
  return nameIn(gapReasons, number);
}

function nameIn<T extends Readonly<Record<string, number>>>(
  registry: T,
  number: number,
): keyof T | undefined {
  return Object.keys(registry).find((name) => registry[name] === number);
}
