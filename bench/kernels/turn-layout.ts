/**
 * Lays out each device's frames contiguously, in JavaScript, as assembly/gather.ts does: items are linked per device
 * as they come, then written device by device. Inbox and layout share one buffer, so that a payload is moved within
 * it by one call that allocates nothing.
 */
import { DELIVER_HEADER_BYTES, FIRST_SEQUENCE, type TurnSizes } from "./turn-contestant.js";

/** Item: device, payload's offset, payload's bytes, id's offset, sender, next item + 1. */
export const ITEM_WORDS = 8;
export const ITEM_DEVICE = 0;
export const ITEM_PAYLOAD = 1;
export const ITEM_PAYLOAD_BYTES = 2;
const ITEM_ID = 3;
const ITEM_SENDER = 4;
const ITEM_NEXT = 5;
const ITEMS_MAX = 65_536;

/** Device: its first and last item + 1, their number, the bytes of their frames. */
const DEVICE_WORDS = 4;
const HEAD = 0;
const TAIL = 1;
const COUNT = 2;
const BYTES = 3;
const ADDRESS_WORDS = 5;

/** Send: device, offset, length. */
const SEND_WORDS = 4;

export class Layout {
  readonly items = new Int32Array((ITEMS_MAX + 256) * ITEM_WORDS);
  itemCount = 0;
  sendCount = 0;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #from: number;
  #to: number;
  readonly #devices: Int32Array;
  readonly #last: Float64Array;
  readonly #addresses: Uint32Array;
  readonly #touched: Int32Array;
  #touchedCount = 0;
  readonly #sends: Int32Array;

  constructor(bytes: Uint8Array, view: DataView, { inboxBytes, devices }: TurnSizes) {
    this.#bytes = bytes;
    this.#view = view;
    this.#from = inboxBytes;
    this.#to = inboxBytes;
    this.#devices = new Int32Array(devices * DEVICE_WORDS);
    this.#last = new Float64Array(devices).fill(FIRST_SEQUENCE);
    this.#addresses = new Uint32Array(devices * ADDRESS_WORDS);
    this.#touched = new Int32Array(devices);
    this.#sends = new Int32Array(ITEMS_MAX * SEND_WORDS);
  }

  addDevice(device: number, address: Uint8Array): void {
    const view = new DataView(address.buffer, address.byteOffset, address.length);
    for (let word = 0; word < ADDRESS_WORDS; word++) {
      this.#addresses[device * ADDRESS_WORDS + word] = view.getUint32(4 * word, true);
    }
  }

  /** Counts in the item behind the last one, whose device and payload are there, and gives it the next sequence. */
  addItem(sender: number, idAt: number): void {
    const { items } = this;
    const devices = this.#devices;
    const item = this.itemCount * ITEM_WORDS;
    const index = items[item + ITEM_DEVICE]!;
    const device = index * DEVICE_WORDS;
    const number = ++this.itemCount;
    const bytes = DELIVER_HEADER_BYTES + items[item + ITEM_PAYLOAD_BYTES]!;
    items[item + ITEM_ID] = idAt;
    items[item + ITEM_SENDER] = sender;
    items[item + ITEM_NEXT] = 0;
    if (devices[device + COUNT] === 0) {
      devices[device + HEAD] = number;
      devices[device + BYTES] = bytes;
      this.#touched[this.#touchedCount++] = index;
    } else {
      items[(devices[device + TAIL]! - 1) * ITEM_WORDS + ITEM_NEXT] = number;
      devices[device + BYTES]! += bytes;
    }
    devices[device + TAIL] = number;
    devices[device + COUNT]! += 1;
    this.#last[index]! += 1;
  }

  gather(nowMs: number): void {
    const devices = this.#devices;
    const sends = this.#sends;
    for (let i = 0; i < this.#touchedCount; i++) {
      const index = this.#touched[i]!;
      const device = index * DEVICE_WORDS;
      const send = this.sendCount++ * SEND_WORDS;
      sends[send] = index;
      sends[send + 1] = this.#to;
      sends[send + 2] = devices[device + BYTES]!;
      const first = this.#last[index]! - devices[device + COUNT]! + 1;
      this.#layFrames(devices[device + HEAD]!, first, nowMs);
      devices[device + COUNT] = 0;
    }
    this.itemCount = 0;
    this.#touchedCount = 0;
  }

  #layFrames(head: number, first: number, nowMs: number): void {
    const { items } = this;
    const view = this.#view;
    const addresses = this.#addresses;
    const timeHigh = Math.floor(nowMs / 2 ** 32);
    const timeLow = nowMs >>> 0;
    let to = this.#to;
    let sequence = first;
    for (let next = head; next !== 0; sequence++) {
      const item = (next - 1) * ITEM_WORDS;
      const sender = items[item + ITEM_SENDER]! * ADDRESS_WORDS;
      const id = items[item + ITEM_ID]!;
      const payload = items[item + ITEM_PAYLOAD]!;
      const bytes = items[item + ITEM_PAYLOAD_BYTES]!;
      view.setUint16(to, 0x9621);
      view.setUint8(to + 2, 0xcf);
      view.setUint32(to + 3, Math.floor(sequence / 2 ** 32));
      view.setUint32(to + 7, sequence >>> 0);
      view.setUint16(to + 11, 0xc414);
      view.setUint32(to + 13, addresses[sender]!, true);
      view.setUint32(to + 17, addresses[sender + 1]!, true);
      view.setUint32(to + 21, addresses[sender + 2]!, true);
      view.setUint32(to + 25, addresses[sender + 3]!, true);
      view.setUint32(to + 29, addresses[sender + 4]!, true);
      view.setUint16(to + 33, 0xc410);
      view.setUint32(to + 35, view.getUint32(id));
      view.setUint32(to + 39, view.getUint32(id + 4));
      view.setUint32(to + 43, view.getUint32(id + 8));
      view.setUint32(to + 47, view.getUint32(id + 12));
      view.setUint8(to + 51, 0xcf);
      view.setUint32(to + 52, timeHigh);
      view.setUint32(to + 56, timeLow);
      view.setUint8(to + 60, 0xc6);
      view.setUint32(to + 61, bytes);
      to += DELIVER_HEADER_BYTES;
      this.#bytes.copyWithin(to, payload, payload + bytes);
      to += bytes;
      next = items[item + ITEM_NEXT]!;
    }
    this.#to = to;
  }

  sends(): { device: number; bytes: Uint8Array }[] {
    return Array.from({ length: this.sendCount }, (_, i) => {
      const [device = 0, from = 0, length = 0] = this.#sends.subarray(i * SEND_WORDS, (i + 1) * SEND_WORDS);
      return { device, bytes: this.#bytes.slice(from, from + length) };
    });
  }

  /** What was laid out is sent. */
  clear(): void {
    this.#to = this.#from;
    this.sendCount = 0;
  }
}
