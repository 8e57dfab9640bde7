/**
 * Interline's bytes (src/wire/protocol.ts). What a read triggers leaves as one
 * WebSocket message: an ack of everything delivered, then the sends.
 *
 *   slab:  | room for a header 14 | ack 11 | send | send | …   filled in beforehand
 *
 *   send:  93 02 c4 10 id16 91 93 c4 12 account18 version 91 92 device payload
 *
 * All sends of a run have one length, so only id, account, version and sixteen
 * bytes of the payload are written per envelope. The header goes right in front
 * of what is sent: of the ack, or of the first send when there is nothing to ack.
 */
import { ACCOUNT_ADDRESS_BYTES } from "../../src/base/address.js";
import { assert } from "../../src/base/assert.js";
import { encodeClientFrame } from "../../src/wire/client-frames.js";
import { codeName, codes } from "../../src/wire/codes.js";
import { kinds, SUBPROTOCOL } from "../../src/wire/protocol.js";
import type { RefusalFrame, RosterFrame, ServerFrame } from "../../src/wire/server-frames.js";
import type { DeviceEvents, WebSocketDialect, Wire } from "./dialect.js";
import { MASKED_HEADER_BYTES_MAX, maskedMessage, writeMaskedHeader } from "./masked.js";
import { COUNTER_OFFSET, fillPayload, SENDER_OFFSET, STAMP_OFFSET, TARGET_OFFSET } from "./payload.js";
import { readRareFrame } from "./rare-frames.js";
import { opcodes } from "./scanner.js";
import type { SizedSends } from "./sized-sends.js";

/** How a device signs in, as the harness hands it to the generator. */
export interface SignIn {
  readonly token: string;
  /** The account's address in hex. */
  readonly account: string;
  readonly device: number;
}

/** What only some runs ask of the devices. */
export interface InterlineManners {
  /** Ready is when the node has said that the queue is empty, not when it has said welcome. */
  readonly readyWhenLive?: boolean;
  /** What the upgrade asks for; default "/". */
  readonly path?: string;
}

export interface Windows {
  readonly entries: number;
  readonly bytes: number;
}

const SLOTS = 512;
const ACK_BYTES = 11;
const ACK_HEAD = 0x9200 | kinds.ack;
const UINT64_HEAD = 0xcf;
const ACK_OFFSET = MASKED_HEADER_BYTES_MAX;
const SENDS_OFFSET = ACK_OFFSET + ACK_BYTES;

const ID_OFFSET = 4;
const ACCOUNT_OFFSET = 24;
const VERSION_OFFSET = ACCOUNT_OFFSET + ACCOUNT_ADDRESS_BYTES;
const DEVICE_OFFSET = VERSION_OFFSET + 3;

/** `96 21 cf` and `99 2d cf`, the heads of every deliver and group deliver: of fixed shape up to the payload, where there is no block. */
const DELIVER_HEAD = 0x9621;
const GROUP_DELIVER_HEAD = 0x9900 | kinds.groupDeliver;
const DELIVER_SEQUENCE_OFFSET = 3;
const DELIVER_HEADER_BYTES = 65;
const GROUP_DELIVER_HEADER_BYTES = 93;
/** At the end of either header. */
const LENGTH_BYTES = 4;
const RECEIPT_HEAD = 0x9300 | kinds.receipt;
const RECEIPT_BYTES_MAX = 12;
/** Rosters have been seen at this version and no higher: it keeps one byte on the wire. */
const VERSION_MAX = 0x7f;
/** The same of device numbers. */
const DEVICE_NUMBER_MAX = 0x7f;

export class InterlineDialect implements WebSocketDialect {
  readonly framing = "websocket";
  readonly subprotocol = SUBPROTOCOL;
  readonly givesReceipts = true;
  readonly #events: DeviceEvents;
  readonly #wire: Wire;
  readonly #view: DataView;
  readonly #windows: Windows;
  readonly #tokens: readonly string[];
  readonly #accounts: Uint8Array;
  readonly #accountView: DataView;
  readonly #deviceNumbers: Uint8Array;
  readonly #versions: Uint8Array;
  readonly #positions: Uint32Array;
  readonly #runId = crypto.getRandomValues(new Uint32Array(2));
  readonly #payloadBytes: number;
  readonly #manners: InterlineManners;
  readonly #sendBytes: number;
  /** Sends of a mix, and those that the next flush writes. */
  readonly #sized: SizedSends | undefined;
  #sizedFrames: Uint8Array[] = [];
  #slab: DataView;
  #bytes: Uint8Array;
  #end = SENDS_OFFSET;
  /** The highest sequence delivered since the last flush; -1 for none. */
  #ackHigh = -1;
  #ackLow = 0;
  /** Per device, a sequence that is acked by its next flush; 0 for none. */
  readonly #heldAcks: Float64Array;
  /** Per device, the highest sequence it has taken: what a new connection resumes from. */
  readonly #taken: Float64Array;

  constructor(options: {
    readonly events: DeviceEvents;
    readonly wire: Wire;
    /** The scanner's memory, in which offsets of `delivered` lie. */
    readonly view: DataView;
    readonly payloadBytes: number;
    readonly signIns: readonly SignIn[];
    readonly windows: Windows;
    readonly manners?: InterlineManners;
    /** Sends are of a mix. */
    readonly sized?: SizedSends;
  }) {
    const { signIns, manners = {} } = options;
    this.#manners = manners;
    this.#sized = options.sized;
    this.#events = options.events;
    this.#wire = options.wire;
    this.#view = options.view;
    this.#windows = options.windows;
    this.#payloadBytes = options.payloadBytes;
    this.#tokens = signIns.map(({ token }) => token);
    this.#accounts = new Uint8Array(signIns.length * ACCOUNT_ADDRESS_BYTES);
    signIns.forEach(({ account }, i) => {
      this.#accounts.set(Buffer.from(account, "hex"), i * ACCOUNT_ADDRESS_BYTES);
    });
    this.#accountView = new DataView(this.#accounts.buffer);
    this.#deviceNumbers = Uint8Array.from(signIns, ({ device }) => device);
    this.#versions = new Uint8Array(signIns.length);
    this.#positions = new Uint32Array(signIns.length);
    this.#heldAcks = new Float64Array(signIns.length);
    this.#taken = new Float64Array(signIns.length);
    this.#sendBytes = this.#templateSend().length;
    this.#slab = this.#newSlab();
    this.#bytes = new Uint8Array(this.#slab.buffer);
  }

  path(): string {
    return this.#manners.path ?? "/";
  }

  /** Where sign-ins are tokens and nothing else: whose devices they are is learned from the node. */
  learnAddress(device: number, address: Uint8Array): void {
    const number = (address[ACCOUNT_ADDRESS_BYTES]! << 8) | address[ACCOUNT_ADDRESS_BYTES + 1]!;
    if (number > DEVICE_NUMBER_MAX) {
      this.#events.broken(
        device,
        `its device number is ${number}: at most ${DEVICE_NUMBER_MAX} will do here`,
      );
    }
    this.#accounts.set(address.subarray(0, ACCOUNT_ADDRESS_BYTES), device * ACCOUNT_ADDRESS_BYTES);
    this.#deviceNumbers[device] = number;
  }

  /** As it was learned, in hex. */
  addressOf(device: number): string {
    const number = this.#deviceNumbers[device]!.toString(16).padStart(4, "0");
    return Buffer.from(this.#account(device)).toString("hex") + number;
  }

  opened(device: number): void {
    this.#positions[device] = 0;
    this.#heldAcks[device] = 0;
    const hello = encodeClientFrame({
      kind: "hello",
      token: this.#tokens[device]!,
      resume: this.#taken[device]!,
      windowEntries: this.#windows.entries,
      windowBytes: this.#windows.bytes,
    });
    this.#wire.write(device, maskedMessage(hello));
  }

  /** Asks for the roster version of every account from `from` to `to`, in one message of `asker`. */
  askRosters(asker: number, from: number, to: number): void {
    const queries: Uint8Array[] = [];
    for (let target = from; target < to; target++) {
      const account = this.#account(target);
      queries.push(encodeClientFrame({ kind: "rosterQuery", request: target, account }));
    }
    this.#wire.write(asker, maskedMessage(Buffer.concat(queries)));
  }

  /** Accounts from `from` to `to` whose roster version is not known yet. */
  rostersUnknown(from: number, to: number): number {
    return this.#versions.subarray(from, to).filter((version) => version === 0).length;
  }

  ping(device: number): void {
    this.#wire.write(device, maskedMessage(encodeClientFrame({ kind: "ping", nonce: 0 })));
  }

  send(sender: number, target: number, counter: number, stamp: number): void {
    const position = this.#positions[sender]! + 1;
    this.#positions[sender] = position;
    if (this.#sized === undefined) this.#add(sender, target, counter, stamp, position);
    else this.#addSized(this.#sized, { sender, target, counter, stamp }, position);
  }

  repeat(sender: number, target: number, counter: number, stamp: number, position: number): void {
    this.#positions[sender]! += 1;
    this.#add(sender, target, counter, stamp, position);
  }

  /** `named`: the position that is part of the id. */
  #add(sender: number, target: number, counter: number, stamp: number, named: number): void {
    if (this.#end === this.#slab.byteLength) this.flush(sender);
    const slab = this.#slab;
    const at = this.#end;
    slab.setUint32(at + ID_OFFSET, this.#runId[0]!);
    slab.setUint32(at + ID_OFFSET + 4, this.#runId[1]!);
    slab.setUint32(at + ID_OFFSET + 8, sender);
    slab.setUint32(at + ID_OFFSET + 12, named);
    this.#writeAccount(at + ACCOUNT_OFFSET, target);
    slab.setUint8(at + VERSION_OFFSET, this.#versions[target]!);
    slab.setUint8(at + DEVICE_OFFSET, this.#deviceNumbers[target]!);
    this.#end = at + this.#sendBytes;
    const payload = this.#end - this.#payloadBytes;
    slab.setUint32(payload + TARGET_OFFSET, target, true);
    slab.setUint32(payload + SENDER_OFFSET, sender, true);
    slab.setUint32(payload + COUNTER_OFFSET, counter, true);
    slab.setUint32(payload + STAMP_OFFSET, stamp, true);
  }

  #addSized(
    sized: SizedSends,
    send: {
      readonly sender: number;
      readonly target: number;
      readonly counter: number;
      readonly stamp: number;
    },
    named: number,
  ): void {
    const id = new Uint8Array(Uint32Array.of(...this.#runId, send.sender, named).buffer);
    const frame = sized.frame({ ...send, id }, (target) => ({
      account: this.#account(target),
      version: this.#versions[target]!,
      device: this.#deviceNumbers[target]!,
    }));
    this.#sizedFrames.push(frame);
  }

  flush(device: number): void {
    if (this.#sizedFrames.length > 0) {
      const frames = this.#sizedFrames;
      this.#sizedFrames = [];
      // What it acks leaves in a message of its own, in front.
      this.flush(device);
      this.#wire.write(device, maskedMessage(Buffer.concat(frames)));
      return;
    }
    let begin = SENDS_OFFSET;
    if (this.#heldAcks[device]! > 0) this.#takeHeldAck(device);
    if (this.#ackHigh >= 0) {
      begin = ACK_OFFSET;
      this.#taken[device] = this.#ackHigh * 0x1_0000_0000 + this.#ackLow;
      // Again each time: the header of a message without an ack lies over it.
      this.#slab.setUint16(ACK_OFFSET, ACK_HEAD);
      this.#slab.setUint8(ACK_OFFSET + 2, UINT64_HEAD);
      this.#slab.setUint32(ACK_OFFSET + 3, this.#ackHigh);
      this.#slab.setUint32(ACK_OFFSET + 7, this.#ackLow);
      this.#ackHigh = -1;
    }
    if (begin === this.#end) return;
    const from = writeMaskedHeader(this.#slab, begin, this.#end - begin);
    const taken = this.#wire.write(device, this.#bytes.subarray(from, this.#end));
    this.#end = SENDS_OFFSET;
    if (taken) return;
    this.#slab = this.#newSlab();
    this.#bytes = new Uint8Array(this.#slab.buffer);
  }

  holdAck(device: number): void {
    if (this.#ackHigh < 0) return;
    const taken = this.#ackHigh * 0x1_0000_0000 + this.#ackLow;
    this.#heldAcks[device] = taken;
    this.#taken[device] = taken;
    this.#ackHigh = -1;
  }

  /** Unless something newer was delivered in this read. */
  #takeHeldAck(device: number): void {
    const held = this.#heldAcks[device]!;
    this.#heldAcks[device] = 0;
    if (this.#ackHigh >= 0) return;
    this.#ackHigh = Math.floor(held / 0x1_0000_0000);
    this.#ackLow = held >>> 0;
  }

  payload(device: number, bytes: Uint8Array, from: number, end: number, last: boolean): number {
    const view = this.#view;
    let at = from;
    while (end - at >= 2) {
      const head = view.getUint16(at);
      if (head === DELIVER_HEAD || head === GROUP_DELIVER_HEAD) {
        const header = head === DELIVER_HEAD ? DELIVER_HEADER_BYTES : GROUP_DELIVER_HEADER_BYTES;
        if (end - at < header) return at;
        const next = at + header + view.getUint32(at + header - LENGTH_BYTES);
        if (next > end) return at;
        this.#ackHigh = view.getUint32(at + DELIVER_SEQUENCE_OFFSET);
        this.#ackLow = view.getUint32(at + DELIVER_SEQUENCE_OFFSET + 4);
        this.#events.delivered(device, at + header);
        at = next;
      } else if (head === RECEIPT_HEAD && (last || end - at >= RECEIPT_BYTES_MAX)) {
        at = this.#readReceipt(device, at);
      } else {
        const next = this.#readRare(device, bytes, at, end, last);
        if (next === at) return at;
        at = next;
      }
    }
    return at;
  }

  control(device: number, opcode: number, bytes: Uint8Array, at: number, end: number): void {
    if (opcode === opcodes.ping) this.#wire.write(device, maskedMessage(bytes.slice(at, end), opcodes.pong));
    if (opcode !== opcodes.close) return;
    const code = end - at >= 2 ? this.#view.getUint16(at) : 0;
    this.#events.broken(device, `the node closed the connection: ${codeName(code - 4000) ?? code}`);
  }

  /** `93 22 position durability`: both in any width of unsigned integer. */
  #readReceipt(device: number, from: number): number {
    const view = this.#view;
    let at = from + 2;
    const first = view.getUint8(at);
    let position = first;
    at += 1;
    if (first >= 0x80) {
      if (first === 0xcc) position = view.getUint8(at);
      else if (first === 0xcd) position = view.getUint16(at);
      else if (first === 0xce) position = view.getUint32(at);
      else position = view.getUint32(at) * 0x1_0000_0000 + view.getUint32(at + 4);
      at += 1 << (first - 0xcc);
    }
    this.#events.receipted(device, position, view.getUint8(at));
    return at + 1;
  }

  /** Any other frame; `at` when it is not all there. */
  #readRare(device: number, bytes: Uint8Array, at: number, end: number, last: boolean): number {
    const found = readRareFrame(bytes, { at, end, isLast: last });
    if (found === undefined) return at;
    this.#takeRare(device, found.frame);
    return found.next;
  }

  #takeRare(device: number, frame: ServerFrame): void {
    switch (frame.kind) {
      case "welcome":
        this.learnAddress(device, frame.body.device);
        if (this.#manners.readyWhenLive !== true) this.#events.ready(device);
        return;
      case "live":
        if (this.#manners.readyWhenLive === true) this.#events.ready(device);
        return;
      case "roster":
        this.#takeRoster(device, frame);
        return;
      case "pong":
        return;
      case "refusal":
        this.#takeRefusal(device, frame);
        return;
      case "error":
        this.#events.broken(device, `the node ended the connection: ${codeName(frame.code) ?? frame.code}`);
        return;
      default:
        this.#events.broken(device, `an unexpected frame: ${frame.kind}`);
    }
  }

  #takeRoster(device: number, { request, version, devices }: RosterFrame): void {
    if (devices.length !== 1 || version > VERSION_MAX) {
      const found = `${devices.length} devices, roster version ${version}`;
      this.#events.broken(request, `an account must have one device and few changes behind it, not ${found}`);
    } else if (devices[0] !== this.#deviceNumbers[request]) {
      this.#events.broken(device, "the node lists another device for an account than has signed in");
    } else this.#versions[request] = version;
  }

  #takeRefusal(device: number, { position, code, retryAfterMs }: RefusalFrame): void {
    const name = codeName(code);
    if (name !== undefined && codes[name].retry === "later") {
      this.#events.refused(device, position, retryAfterMs);
    } else this.#events.broken(device, `the node refused a send: ${name ?? code}`);
  }

  #account(target: number): Uint8Array {
    return this.#accounts.subarray(target * ACCOUNT_ADDRESS_BYTES, (target + 1) * ACCOUNT_ADDRESS_BYTES);
  }

  #writeAccount(at: number, target: number): void {
    const from = target * ACCOUNT_ADDRESS_BYTES;
    const accounts = this.#accountView;
    const slab = this.#slab;
    slab.setUint32(at, accounts.getUint32(from));
    slab.setUint32(at + 4, accounts.getUint32(from + 4));
    slab.setUint32(at + 8, accounts.getUint32(from + 8));
    slab.setUint32(at + 12, accounts.getUint32(from + 12));
    slab.setUint16(at + 16, accounts.getUint16(from + 16));
  }

  #templateSend(): Uint8Array {
    const payload = new Uint8Array(this.#payloadBytes);
    fillPayload(payload);
    const account = this.#account(0);
    const template = encodeClientFrame({
      kind: "send",
      id: new Uint8Array(16),
      accounts: [{ account, version: 1, devices: [{ device: 1, payload }] }],
    });
    assert(template[ACCOUNT_OFFSET - 1] === ACCOUNT_ADDRESS_BYTES, "the account is where it is written");
    assert(template[VERSION_OFFSET] === 1, "the version is where it is written");
    assert(template[DEVICE_OFFSET] === 1, "the device's number is where it is written");
    return template;
  }

  #newSlab(): DataView {
    const template = this.#templateSend();
    const bytes = new Uint8Array(SENDS_OFFSET + SLOTS * template.length);
    for (let at = SENDS_OFFSET; at < bytes.length; at += template.length) bytes.set(template, at);
    return new DataView(bytes.buffer);
  }
}
