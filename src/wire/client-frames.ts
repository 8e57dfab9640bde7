/**
 * Frames from client to server (drawn in protocol.ts): written by the client,
 * read by the node's cold path (`decodeClientFrame`: requests, signals, and
 * sends the kernel refused). The kernel parses hot frames itself and never comes
 * here; the first frame of a connection is read by hello.ts.
 *
 * Invariants. Bad bytes make a decoder throw CodedError and nothing else: the
 * code is `badFrame`, or for a well-formed send over a bound `payloadTooLarge`,
 * `tooManyRecipients` or `repeatedRecipient`. Addresses, ids and payloads come
 * as views of the input.
 */
import {
  ACCOUNT_ADDRESS_BYTES,
  type AccountAddress,
  ENVELOPE_ID_BYTES,
  type EnvelopeId,
} from "../base/address.js";
import { toHex } from "../base/bytes.js";
import { CodedError } from "./coded-error.js";
import { type HelloFrame, readHello } from "./hello.js";
import { badFrame, MsgpackReader } from "./msgpack.js";
import { MsgpackWriter } from "./msgpack-writer.js";
import { GROUP_SIGNAL_BYTES_MAX, kinds, METHOD_BYTES_MAX, REQUEST_BYTES_MAX } from "./protocol.js";
import {
  type DeviceBlock,
  type DevicePayload,
  type Party,
  ROSTER_VERSION_MAX,
  readAccounts,
  readBlocks,
  readBounded,
  readDeviceNumber,
  readDevices,
  readParties,
  type SendBounds,
  writeBlocks,
  writeDevices,
  writeParties,
} from "./recipients.js";

export type SendAccount = Party<readonly DevicePayload[]>;

export interface SendFrame {
  readonly kind: "send";
  readonly id: EnvelopeId;
  readonly accounts: readonly SendAccount[];
}

export type SharedAccount = Party<readonly DeviceBlock[]>;

export interface SharedSendFrame {
  readonly kind: "sharedSend";
  readonly id: EnvelopeId;
  readonly shared: Uint8Array;
  readonly accounts: readonly SharedAccount[];
}

export interface GroupBlock extends DeviceBlock {
  readonly account: AccountAddress;
}

export interface GroupSendFrame {
  readonly kind: "groupSend";
  readonly id: EnvelopeId;
  /** Like an account's: the brand of its creator and 16 bytes. */
  readonly group: AccountAddress;
  /** The version of the group's roster that it was encrypted for. */
  readonly version: number;
  readonly shared: Uint8Array;
  readonly blocks: readonly GroupBlock[];
}

/** A ciphertext for one other device of the sender's own account. */
export interface OwnSendFrame extends DevicePayload {
  readonly kind: "ownSend";
  readonly id: EnvelopeId;
}

export interface AckFrame {
  readonly kind: "ack";
  readonly sequence: number;
}

export interface EphemeralAccount {
  readonly account: AccountAddress;
  readonly devices: readonly DevicePayload[];
}

export interface EphemeralFrame {
  readonly kind: "ephemeral";
  readonly accounts: readonly EphemeralAccount[];
}

/** To all of a group who are there. */
export interface GroupEphemeralFrame {
  readonly kind: "groupEphemeral";
  readonly group: AccountAddress;
  readonly payload: Uint8Array;
}

export interface PingFrame {
  readonly kind: "ping";
  readonly nonce: number;
}

export interface RosterQueryFrame {
  readonly kind: "rosterQuery";
  readonly request: number;
  readonly account: AccountAddress;
}

export interface RequestFrame {
  readonly kind: "request";
  readonly request: number;
  readonly method: string;
  /** A map as msgpack, not yet looked into: what is wrong with it is the answer's matter. */
  readonly body: Uint8Array;
}

export type ClientFrame =
  | HelloFrame
  | SendFrame
  | SharedSendFrame
  | GroupSendFrame
  | OwnSendFrame
  | AckFrame
  | EphemeralFrame
  | GroupEphemeralFrame
  | PingFrame
  | RosterQueryFrame
  | RequestFrame;

/** Reads the frame that begins at `offset`; `next` is where the one after it would begin. */
export function decodeClientFrame(
  bytes: Uint8Array,
  offset: number,
  bounds: SendBounds,
): { readonly frame: ClientFrame; readonly next: number } {
  const reader = new MsgpackReader(bytes, offset);
  const frame = readClientFrame(reader, bounds);
  return { frame, next: reader.offset };
}

/** All frames of one message, one at a time; throws at the first bad one. */
export function* decodeClientMessage(bytes: Uint8Array, bounds: SendBounds): Generator<ClientFrame, void> {
  const reader = new MsgpackReader(bytes);
  while (!reader.atEnd) yield readClientFrame(reader, bounds);
}

function readClientFrame(reader: MsgpackReader, bounds: SendBounds): ClientFrame {
  const count = reader.array();
  if (count === 0) throw badFrame("a frame begins with its kind");
  const kind = reader.uint();
  const fields = count - 1;
  if (kind === kinds.send && fields === 2) return readSend(reader, bounds);
  if (kind === kinds.sharedSend && fields === 3) return readSharedSend(reader, bounds);
  if (kind === kinds.groupSend && fields === 5) return readGroupSend(reader, bounds);
  if (kind === kinds.ownSend && fields === 3) return readOwnSend(reader, bounds);
  if (kind === kinds.ack && fields === 1) return { kind: "ack", sequence: reader.uint() };
  if (kind === kinds.ephemeral && fields === 1) return readEphemeral(reader, bounds);
  if (kind === kinds.groupEphemeral && fields === 2) return readGroupEphemeral(reader);
  if (kind === kinds.ping && fields === 1) return { kind: "ping", nonce: reader.uint() };
  if (kind === kinds.rosterQuery && fields === 2) {
    return {
      kind: "rosterQuery",
      request: reader.uint(),
      account: reader.binOf(ACCOUNT_ADDRESS_BYTES),
    };
  }
  if (kind === kinds.request && fields === 3) return readRequest(reader);
  if (kind === kinds.hello && fields === 4) return readHello(reader);
  throw badFrame("no frame of this kind and length is known");
}

function readRequest(reader: MsgpackReader): RequestFrame {
  const request = reader.uint();
  const method = reader.str(METHOD_BYTES_MAX);
  const from = reader.offset;
  reader.skip();
  const body = reader.bytes.subarray(from, reader.offset);
  if (body.length > REQUEST_BYTES_MAX) throw badFrame("a request is larger than allowed");
  return { kind: "request", request, method, body };
}

function readGroupEphemeral(reader: MsgpackReader): GroupEphemeralFrame {
  const group = reader.binOf(ACCOUNT_ADDRESS_BYTES);
  const payload = reader.bin();
  if (payload.length > GROUP_SIGNAL_BYTES_MAX) throw badFrame("a signal to a group is larger than allowed");
  return { kind: "groupEphemeral", group, payload };
}

function readSend(reader: MsgpackReader, bounds: SendBounds): SendFrame {
  const id = reader.binOf(ENVELOPE_ID_BYTES);
  const accounts = readParties(reader, bounds.accountsPerSendMax, () => readDevices(reader, bounds));
  return { kind: "send", id, accounts };
}

function readSharedSend(reader: MsgpackReader, bounds: SendBounds): SharedSendFrame {
  const id = reader.binOf(ENVELOPE_ID_BYTES);
  const shared = readBounded(reader, bounds.payloadBytesMax);
  const accounts = readParties(reader, bounds.accountsPerSharedSendMax, () => readBlocks(reader, bounds));
  return { kind: "sharedSend", id, shared, accounts };
}

function readGroupSend(reader: MsgpackReader, bounds: SendBounds): GroupSendFrame {
  const id = reader.binOf(ENVELOPE_ID_BYTES);
  const group = reader.binOf(ACCOUNT_ADDRESS_BYTES);
  const version = reader.uint(ROSTER_VERSION_MAX);
  const shared = readBounded(reader, bounds.payloadBytesMax);
  const blocks: GroupBlock[] = [];
  const seen = new Set<string>();
  const count = reader.array();
  for (let i = 0; i < count; i++) {
    reader.arrayOf(3);
    const account = reader.binOf(ACCOUNT_ADDRESS_BYTES);
    const device = readDeviceNumber(reader);
    blocks.push({ account, device, block: readBounded(reader, bounds.blockBytesMax) });
    seen.add(`${toHex(account)}/${device}`);
  }
  if (seen.size !== count) throw new CodedError("repeatedRecipient");
  return { kind: "groupSend", id, group, version, shared, blocks };
}

function readOwnSend(reader: MsgpackReader, bounds: SendBounds): OwnSendFrame {
  return {
    kind: "ownSend",
    id: reader.binOf(ENVELOPE_ID_BYTES),
    device: readDeviceNumber(reader),
    payload: readBounded(reader, bounds.payloadBytesMax),
  };
}

/** The group of a group send that the kernel has read: its blocks, which may be many, are left alone. */
export function groupOfSend(frame: Uint8Array): AccountAddress {
  const reader = new MsgpackReader(frame);
  reader.arrayOf(6);
  reader.uint();
  reader.binOf(ENVELOPE_ID_BYTES);
  return reader.binOf(ACCOUNT_ADDRESS_BYTES);
}

function readEphemeral(reader: MsgpackReader, bounds: SendBounds): EphemeralFrame {
  const accounts = readAccounts(reader, bounds.accountsPerSendMax, () => {
    reader.arrayOf(2);
    return { account: reader.binOf(ACCOUNT_ADDRESS_BYTES), devices: readDevices(reader, bounds) };
  });
  return { kind: "ephemeral", accounts };
}

/** Appends one frame; several frames may share a message, except that hello is alone. */
function writeClientFrame(writer: MsgpackWriter, frame: ClientFrame): void {
  switch (frame.kind) {
    case "hello":
      writeHead(writer, 5, kinds.hello);
      writer.str(frame.token);
      writer.uint(frame.resume);
      writer.uint(frame.windowEntries);
      writer.uint(frame.windowBytes);
      return;
    case "send":
      writeHead(writer, 3, kinds.send);
      writer.bin(frame.id);
      writeParties(writer, frame.accounts, writeDevices);
      return;
    case "sharedSend":
      writeHead(writer, 4, kinds.sharedSend);
      writer.bin(frame.id);
      writer.bin(frame.shared);
      writeParties(writer, frame.accounts, writeBlocks);
      return;
    case "groupSend":
      writeHead(writer, 6, kinds.groupSend);
      writer.bin(frame.id);
      writer.bin(frame.group);
      writer.uint(frame.version);
      writer.bin(frame.shared);
      writer.array(frame.blocks.length);
      for (const { account, device, block } of frame.blocks) {
        writer.array(3);
        writer.bin(account);
        writer.uint(device);
        writer.bin(block);
      }
      return;
    case "ownSend":
      writeHead(writer, 4, kinds.ownSend);
      writer.bin(frame.id);
      writer.uint(frame.device);
      writer.bin(frame.payload);
      return;
    case "ack":
      writeHead(writer, 2, kinds.ack);
      writer.uint(frame.sequence);
      return;
    case "ephemeral":
      writeHead(writer, 2, kinds.ephemeral);
      writer.array(frame.accounts.length);
      for (const { account, devices } of frame.accounts) {
        writer.array(2);
        writer.bin(account);
        writeDevices(writer, devices);
      }
      return;
    case "groupEphemeral":
      writeHead(writer, 3, kinds.groupEphemeral);
      writer.bin(frame.group);
      writer.bin(frame.payload);
      return;
    case "ping":
      writeHead(writer, 2, kinds.ping);
      writer.uint(frame.nonce);
      return;
    case "rosterQuery":
      writeHead(writer, 3, kinds.rosterQuery);
      writer.uint(frame.request);
      writer.bin(frame.account);
      return;
    case "request":
      writeHead(writer, 4, kinds.request);
      writer.uint(frame.request);
      writer.str(frame.method);
      writer.raw(frame.body);
      return;
  }
}

function writeHead(writer: MsgpackWriter, count: number, kind: number): void {
  writer.array(count);
  writer.uint(kind);
}

/** One frame as bytes of its own. */
export function encodeClientFrame(frame: ClientFrame): Uint8Array {
  const writer = new MsgpackWriter();
  writeClientFrame(writer, frame);
  return writer.take();
}
