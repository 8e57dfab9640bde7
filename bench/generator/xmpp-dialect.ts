/**
 * XMPP over plain TCP. Every device is a user of its own that has signed in, bound
 * a resource, said that it is present and turned stream management on. A send is a
 * `<message>` to the target's full address with the payload as base64; what the
 * server asks for (`<r/>`) is answered with the number of stanzas handled, in the
 * same write as the sends that the read triggered.
 *
 *   slab:  | <a … h='0000000017'/> | message | message | …   filled in beforehand
 *
 * All sends of a run have one length, so only the target's name and 24 characters
 * of base64 are written per envelope. Delivered base64 is decoded where it lies.
 */
import { assert } from "../../src/base/assert.js";
import { DeviceNames, deviceName } from "./device-names.js";
import type { DeviceEvents, RawDialect, Wire } from "./dialect.js";
import {
  BASE64_PAYLOAD_BYTES_MIN,
  Base64Prefix,
  decodePrefixInPlace,
  templateBase64,
} from "./payload-base64.js";
import { elementEnd, findText, standsAt, tagEnd } from "./xml-scanner.js";
import {
  BIND_ID,
  bindRequest,
  HANDLED_DIGITS,
  HANDLED_HEAD,
  HANDLED_TAIL,
  MESSAGE_HEAD,
  MESSAGE_TAIL,
  messageMiddle,
  plainAuth,
  presenceAndManagement,
  streamHeader,
} from "./xmpp-stanzas.js";

/** Whom devices sign in with and as. */
export interface XmppDomain {
  readonly domain: string;
  /** Of every device. */
  readonly password: string;
}

const SLOTS = 128;
const SENDS_OFFSET = HANDLED_HEAD.length + HANDLED_DIGITS + HANDLED_TAIL.length;
const ZERO = 0x30;
const SPACE = 0x20;

const MESSAGE = Buffer.from("<message");
const BODY = Buffer.from("<body>");
const IS_ERROR = Buffer.from("type='error'");
const ACK_REQUEST = Buffer.from("<r ");
const DECLARATION = Buffer.from("<?");
const CLOSING = Buffer.from("</");
const STREAM = Buffer.from("<stream:stream");
const FEATURES = "<stream:features";
const PLAIN = "<mechanism>PLAIN</mechanism>";

export class XmppDialect implements RawDialect {
  readonly framing = "raw";
  readonly givesReceipts = false;
  readonly #events: DeviceEvents;
  readonly #wire: Wire;
  readonly #domain: XmppDomain;
  readonly #names: DeviceNames;
  readonly #prefix = new Base64Prefix();
  readonly #base64Bytes: number;
  readonly #message: Uint8Array;
  readonly #nameOffset: number;
  readonly #base64Offset: number;
  /** Stanzas of each device since stream management was turned on, as the standard counts them. */
  readonly #handled: Uint32Array;
  #isAckWanted = false;
  #slab: Buffer;
  #view: DataView;
  #end = SENDS_OFFSET;

  constructor(options: {
    readonly events: DeviceEvents;
    readonly wire: Wire;
    readonly devices: number;
    readonly payloadBytes: number;
    readonly domain: XmppDomain;
  }) {
    const { devices, payloadBytes, domain } = options;
    assert(payloadBytes >= BASE64_PAYLOAD_BYTES_MIN, "a payload in base64 has 18 bytes or more");
    this.#events = options.events;
    this.#wire = options.wire;
    this.#domain = domain;
    this.#names = new DeviceNames(devices);
    this.#handled = new Uint32Array(devices);
    const base64 = templateBase64(payloadBytes);
    this.#base64Bytes = base64.length;
    const head = MESSAGE_HEAD + deviceName(0) + messageMiddle(domain.domain);
    this.#message = Buffer.from(head + base64 + MESSAGE_TAIL);
    this.#nameOffset = MESSAGE_HEAD.length;
    this.#base64Offset = head.length;
    this.#slab = this.#newSlab();
    this.#view = viewOf(this.#slab);
  }

  opened(device: number): void {
    this.#handled[device] = 0;
    this.#say(device, streamHeader(this.#domain.domain));
  }

  send(sender: number, target: number, counter: number, stamp: number): void {
    if (this.#end === this.#slab.length) this.flush(sender);
    const at = this.#end;
    this.#end = at + this.#message.length;
    this.#names.write(this.#view, at + this.#nameOffset, target);
    this.#prefix.write(this.#slab, at + this.#base64Offset, target, sender, counter, stamp);
  }

  flush(device: number): void {
    const begin = this.#isAckWanted ? 0 : SENDS_OFFSET;
    if (begin === this.#end) return;
    if (this.#isAckWanted) this.#writeHandled(this.#handled[device]!);
    this.#isAckWanted = false;
    const taken = this.#wire.write(device, this.#slab.subarray(begin, this.#end));
    this.#end = SENDS_OFFSET;
    if (taken) return;
    this.#slab = this.#newSlab();
    this.#view = viewOf(this.#slab);
  }

  /** The server closes nobody for being silent. */
  ping(): void {}

  read(device: number, bytes: Uint8Array, from: number, end: number): number {
    let at = from;
    for (;;) {
      // Line feeds between stanzas keep a connection alive.
      while (at < end && bytes[at]! <= SPACE) at += 1;
      const tag = tagEnd(bytes, at, end);
      if (tag < 0) return at;
      if (standsAt(bytes, CLOSING, at)) {
        this.#events.broken(device, "the server closed the stream");
        at = tag;
      } else if (standsAt(bytes, DECLARATION, at) || standsAt(bytes, STREAM, at)) at = tag;
      else {
        const next = elementEnd(bytes, at, tag, end);
        if (next < 0) return at;
        this.#take(device, bytes, at, tag, next);
        at = next;
      }
    }
  }

  /** One whole element in [at, end), whose first tag ends at `tag`. */
  #take(device: number, bytes: Uint8Array, at: number, tag: number, end: number): void {
    if (standsAt(bytes, MESSAGE, at)) {
      this.#handled[device]! += 1;
      this.#takeMessage(device, bytes, at, tag, end);
    } else if (standsAt(bytes, ACK_REQUEST, at)) this.#isAckWanted = true;
    else this.#takeRare(device, Buffer.from(bytes.subarray(at, end)).toString("utf8"));
  }

  #takeMessage(device: number, bytes: Uint8Array, at: number, tag: number, end: number): void {
    const body = findText(bytes, BODY, tag, end);
    if (body < 0 || findText(bytes, IS_ERROR, at, tag) >= 0) {
      const text = Buffer.from(bytes.subarray(at, end)).toString("utf8");
      this.#events.broken(device, `not a message that anybody sent: ${text}`);
      return;
    }
    const payload = body + BODY.length;
    assert(standsAt(bytes, CLOSING, payload + this.#base64Bytes), "a body has the length it was sent with");
    decodePrefixInPlace(bytes, payload);
    this.#events.delivered(device, payload);
  }

  /** Sign-in, and what is no message. */
  #takeRare(device: number, text: string): void {
    const { domain, password } = this.#domain;
    if (text.startsWith(FEATURES)) {
      if (text.includes(PLAIN)) this.#say(device, plainAuth(deviceName(device), password));
      else this.#say(device, bindRequest());
    } else if (text.startsWith("<success")) this.#say(device, streamHeader(domain));
    else if (text.startsWith("<iq")) {
      this.#handled[device]! += 1;
      const isBound = text.includes("type='result'") && text.includes(`id='${BIND_ID}'`);
      if (isBound) this.#say(device, presenceAndManagement());
      else this.#events.broken(device, `an unexpected request: ${text}`);
    } else if (text.startsWith("<enabled")) {
      this.#handled[device] = 0;
      this.#events.ready(device);
    } else if (text.startsWith("<presence")) this.#handled[device]! += 1;
    else this.#events.broken(device, `the server said: ${text}`);
  }

  #say(device: number, text: string): void {
    this.#wire.write(device, Buffer.from(text));
  }

  #writeHandled(handled: number): void {
    let rest = handled;
    for (let at = HANDLED_HEAD.length + HANDLED_DIGITS - 1; at >= HANDLED_HEAD.length; at--) {
      this.#slab[at] = ZERO + (rest % 10);
      rest = Math.floor(rest / 10);
    }
  }

  #newSlab(): Buffer {
    const handled = Buffer.from(HANDLED_HEAD + "0".repeat(HANDLED_DIGITS) + HANDLED_TAIL);
    return Buffer.concat([handled, ...new Array<Uint8Array>(SLOTS).fill(this.#message)]);
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
