/**
 * Builds deliver frames, runs and journal records as the kernel lays them out
 * (src/store/journal.ts draws them), without the kernel.
 */
import { type DeviceAddress, deviceAddress } from "../../src/base/address.js";
import { concatBytes } from "../../src/base/bytes.js";
import type { Ack, SpillRun } from "../../src/store/journal-record.js";

export interface TestEntry {
  readonly sequence: number;
  readonly payload: Uint8Array;
}

/** A device of brand 1 unless told otherwise; small numbers make different accounts. */
export function testDevice(account: number, device = 1, brand = 1): DeviceAddress {
  const id = new Uint8Array(16);
  new DataView(id.buffer).setUint32(0, Math.imul(account, 0x9e3779b1) >>> 0);
  new DataView(id.buffer).setUint32(12, account);
  return deviceAddress({ brand, account: id, device });
}

/** A payload that only this sequence has. */
export function testPayload(sequence: number, bytes: number): Uint8Array {
  const payload = new Uint8Array(bytes);
  let state = (sequence % 0xffffffff) | 1;
  for (let i = 0; i < bytes; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    payload[i] = state >>> 24;
  }
  return payload;
}

export function deliverFrame({ sequence, payload }: TestEntry): Uint8Array {
  const frame = new Uint8Array(65 + payload.length);
  const view = new DataView(frame.buffer);
  frame.set([0x96, 0x21, 0xcf]);
  view.setBigUint64(3, BigInt(sequence));
  frame.set([0xc4, 0x14], 11);
  frame.set([0xc4, 0x10], 33);
  view.setBigUint64(35, BigInt(sequence));
  frame[51] = 0xcf;
  view.setBigUint64(52, 1_700_000_000_000n);
  frame[60] = 0xc6;
  view.setUint32(61, payload.length);
  frame.set(payload, 65);
  return frame;
}

export function testRun(device: DeviceAddress, entries: readonly TestEntry[]): SpillRun {
  return {
    device,
    firstSequence: entries[0]?.sequence ?? 0,
    lastSequence: entries.at(-1)?.sequence ?? 0,
    entryCount: entries.length,
    frames: concatBytes(entries.map(deliverFrame)),
    hasReferences: false,
  };
}

/** A run of `count` entries with consecutive sequences. */
export function numberedRun(
  device: DeviceAddress,
  first: number,
  count: number,
  payloadBytes = 256,
): SpillRun {
  const entries = Array.from({ length: count }, (_, i) => ({
    sequence: first + i,
    payload: testPayload(first + i, payloadBytes),
  }));
  return testRun(device, entries);
}

/** A shared part of a multi-recipient send, as it lies in a record. */
export function testPart(number: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(Math.ceil((32 + 49 + 5 + payload.length) / 8) * 8);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint32(4, payload.length, true);
  view.setUint32(12, 2, true);
  view.setBigUint64(16, BigInt(number), true);
  bytes.set([44, 49], 24);
  bytes.set([0xc4, 0x14], 32);
  bytes.set([0xc4, 0x10], 54);
  bytes[72] = 0xcf;
  view.setBigUint64(73, 1_700_000_000_000n);
  bytes[81] = 0xc6;
  view.setUint32(82, payload.length);
  bytes.set(payload, 86);
  return bytes;
}

/** A run of one entry that refers to a part with so large a payload. */
export function referenceRun(
  device: DeviceAddress,
  sequence: number,
  part: { readonly number: number; readonly payloadBytes: number; readonly block: Uint8Array },
): SpillRun {
  const { number, payloadBytes, block } = part;
  const frames = new Uint8Array(24 + block.length);
  const view = new DataView(frames.buffer);
  frames.set([0xc1, 44]);
  view.setBigUint64(3, BigInt(sequence));
  view.setBigUint64(12, (BigInt(number) << 16n) | BigInt(block.length), true);
  view.setUint32(20, 68 + block.length + payloadBytes, true);
  frames.set(block, 24);
  const site = { firstSequence: sequence, lastSequence: sequence, entryCount: 1 };
  return { device, ...site, frames, hasReferences: true };
}

export interface TestFrame {
  readonly sequence: number;
  /** Of a shared frame: its block. */
  readonly block: Uint8Array | undefined;
  readonly payload: Uint8Array;
}

/** The frames of a queue's item, in order; throws at bytes that are no frame. */
export function framesIn(frames: Uint8Array): TestFrame[] {
  const view = new DataView(frames.buffer, frames.byteOffset, frames.length);
  const found: TestFrame[] = [];
  for (let at = 0; at < frames.length; ) {
    const isShared = frames[at] === 0x97;
    const blockBytes = isShared ? view.getUint16(at + 61) : 0;
    const payloadAt = isShared ? at + 68 + blockBytes : at + 65;
    if ((!isShared && frames[at] !== 0x96) || frames[payloadAt - 5] !== 0xc6) {
      throw new Error(`no deliver frame at ${at}`);
    }
    const end = payloadAt + view.getUint32(payloadAt - 4);
    found.push({
      sequence: Number(view.getBigUint64(at + 3)),
      block: isShared ? frames.subarray(at + 63, at + 63 + blockBytes) : undefined,
      payload: frames.subarray(payloadAt, end),
    });
    at = end;
  }
  return found;
}

/** Sequences of the frames, in order. */
export function sequencesIn(frames: Uint8Array): number[] {
  return framesIn(frames).map(({ sequence }) => sequence);
}

/** A whole record; its CRC is left for the store to fill in. */
export function journalRecord(
  number: number,
  runs: readonly SpillRun[],
  acks: readonly Ack[] = [],
  timeMs = 1_700_000_000_000,
  parts: readonly Uint8Array[] = [],
): Uint8Array {
  const runParts = [...parts, ...runs.map(runBytes)];
  const runsBytes = runParts.reduce((sum, part) => sum + part.length, 0);
  const recordBytes = 64 + runsBytes + 32 * acks.length;
  const record = new Uint8Array(recordBytes);
  const view = new DataView(record.buffer);
  view.setUint32(0, 0x314a4c49, true);
  view.setUint16(4, 1, true);
  view.setUint32(8, recordBytes, true);
  view.setUint32(12, runsBytes, true);
  view.setUint32(16, acks.length, true);
  view.setBigUint64(24, BigInt(number), true);
  view.setBigUint64(32, BigInt(timeMs), true);
  record.set(concatBytes(runParts), 64);
  acks.forEach(({ device, floor }, i) => {
    record.set(device, 64 + runsBytes + 32 * i);
    view.setBigUint64(64 + runsBytes + 32 * i + 24, BigInt(floor), true);
  });
  return record;
}

function runBytes(run: SpillRun): Uint8Array {
  const framesBytes = run.frames.length;
  const bytes = new Uint8Array(64 + Math.ceil(framesBytes / 8) * 8);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint32(4, framesBytes, true);
  view.setUint32(8, run.entryCount, true);
  view.setUint32(12, run.hasReferences ? 1 : 0, true);
  view.setBigUint64(16, BigInt(run.firstSequence), true);
  view.setBigUint64(24, BigInt(run.lastSequence), true);
  bytes.set(run.device, 32);
  bytes.set(run.frames, 64);
  return bytes;
}
