/**
 * The model of the gather: at a batch's end each recipient device gets a run of its frames in the tail, in the order
 * of the devices' first items, and the same frames at once on its connection where the device has room for them all.
 */
import { inFlight } from "./connections.js";
import type { Receipts } from "./receipts.js";
import type { ModelDevice } from "./residents.js";
import { entryOf, frameOf, type Part, partBytes, type Run, runBytes, type Tail } from "./tail.js";

const RUN_HEADER_BYTES = 64;
const PADDING_BYTES_MAX = 8;
/** Right before the frames. */
const RIDE_AT = RUN_HEADER_BYTES - 8;
const FRAME_HEADER_BYTES = 65;
const REFERENCE_BYTES = 24;
/** What is composed for one send, at most, when it is more than one frame. */
const COMPOSED_BYTES_MAX = 1024 * 1024;
/** The largest header of a shared part, and its payload's. */
const PART_HEADER_BYTES = 32 + 74 + 5;

export interface ModelSend {
  readonly slot: number;
  bytes: Uint8Array;
  /** Of a send of frames: their device, and their run as it lies in the tail. */
  readonly run?: { readonly device: ModelDevice; readonly bytes: Uint8Array; readonly isComposed: boolean };
}

/** What a shared part may take in the tail. */
export function partBytesMax(payload: Uint8Array): number {
  return Math.ceil((PART_HEADER_BYTES + payload.length) / 8) * 8;
}

export class Gather {
  readonly sends: ModelSend[] = [];
  entries = 0;
  delivered = 0;
  /** Of this batch. */
  itemCount = 0;
  /** An upper bound of what the items of this batch take in the tail. */
  bytes = 0;
  /** Devices with items of this batch, in the order of their first one. */
  private touched: ModelDevice[] = [];
  /** Of this batch, with what their frames say of the send. */
  parts: { readonly part: Part; readonly sender: Uint8Array; readonly id: Uint8Array }[] = [];
  /** Told of every entry when it is laid out. */
  onEntry: (device: ModelDevice, sequence: number, frame: Uint8Array) => void = () => {};

  constructor(
    private readonly tail: Tail,
    private readonly receipts: Receipts,
    private readonly callAttention: (device: ModelDevice) => void,
  ) {}

  /** Gives the ciphertext the device's next sequence. */
  add(
    device: ModelDevice,
    sender: Uint8Array,
    id: Uint8Array,
    payload: Uint8Array,
    part: Part | undefined,
    isOwn: boolean,
  ): void {
    if (device.items.length === 0) {
      this.touched.push(device);
      this.bytes += RUN_HEADER_BYTES + PADDING_BYTES_MAX;
    }
    device.last++;
    device.items.push({ sender, id, payload, sequence: device.last, isOwn, ...(part && { part }) });
    this.bytes += (part === undefined ? FRAME_HEADER_BYTES : REFERENCE_BYTES) + payload.length;
    this.itemCount++;
  }

  addPart(part: Part, sender: Uint8Array, id: Uint8Array): void {
    this.parts.push({ part, sender, id });
    this.bytes += partBytesMax(part.payload);
  }

  finish(timeMs: number): void {
    if (this.touched.length > 0) this.tail.prepare(this.bytes, timeMs);
    for (const { part, sender, id } of this.parts) this.tail.addPart(partBytes(part, { sender, id }, timeMs));
    this.parts = [];
    for (const device of this.touched) this.layRun(device, timeMs);
    this.touched = [];
    this.bytes = 0;
    this.itemCount = 0;
  }

  private layRun(device: ModelDevice, timeMs: number): void {
    const frames = device.items.map((item) => frameOf(item, timeMs));
    const entries = device.items.map((item) => entryOf(item, timeMs));
    const hasReferences = device.items.some(({ part }) => part !== undefined);
    const first = device.items[0]?.sequence as number;
    const run: Run = { device, first, frames, entries, hasReferences, isScanned: false };
    device.items = [];
    device.runs.push(run);
    this.entries += frames.length;
    frames.forEach((frame, i) => {
      this.onEntry(device, first + i, frame);
    });
    const inTail = runBytes(run);
    this.tail.addRun(run, inTail);
    if (device.isLive) this.send(device, run, inTail);
  }

  private send(device: ModelDevice, run: Run, inTail: Uint8Array): void {
    const entries = run.frames.length;
    const bytes = run.frames.reduce((sum, frame) => sum + frame.length, 0);
    const isComposable = !run.hasReferences || bytes <= COMPOSED_BYTES_MAX || entries === 1;
    if (!isComposable || !hasWindowFor(device, entries, bytes)) {
      device.isLive = false;
      this.callAttention(device);
      return;
    }
    device.cursor = run.first + entries - 1;
    device.inFlightBytes += bytes;
    this.delivered += entries;
    const sent = Buffer.concat(run.frames);
    this.sends.push({
      slot: device.slot,
      bytes: sent,
      run: { device, bytes: inTail, isComposed: run.hasReferences },
    });
  }

  /**
   * Puts before the frames of each send the receipt that its device is due: where they are sent as they lie, in the room
   * that their run has for one.
   */
  ride(): void {
    for (const send of this.sends) {
      const receipt = send.run && this.receipts.ride(send.run.device);
      if (receipt === undefined) continue;
      send.bytes = Buffer.concat([receipt, send.bytes]);
      if (!send.run?.isComposed) send.run?.bytes.set(receipt, RIDE_AT);
    }
  }
}

/** One frame alone always fits the bytes, however small they are, when nothing else is in flight. */
function hasWindowFor(device: ModelDevice, entries: number, bytes: number): boolean {
  const isAlone = device.inFlightBytes === 0 && entries === 1;
  const bytesFit = device.inFlightBytes + bytes <= device.windowBytes || isAlone;
  return inFlight(device) + entries <= device.windowEntries && bytesFit;
}
