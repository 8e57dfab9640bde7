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

/** Sequences of the frames, in order; throws at bytes that are no frame. */
export function sequencesIn(frames: Uint8Array): number[] {
  const view = new DataView(frames.buffer, frames.byteOffset, frames.length);
  const sequences: number[] = [];
  for (let at = 0; at < frames.length; at += 65 + view.getUint32(at + 61)) {
    if (frames[at] !== 0x96 || frames[at + 60] !== 0xc6) throw new Error(`no deliver frame at ${at}`);
    sequences.push(Number(view.getBigUint64(at + 3)));
  }
  return sequences;
}

/** A whole record; its CRC is left for the store to fill in. */
export function journalRecord(
  number: number,
  runs: readonly SpillRun[],
  acks: readonly Ack[] = [],
  timeMs = 1_700_000_000_000,
): Uint8Array {
  const runParts = runs.map(runBytes);
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
  view.setBigUint64(16, BigInt(run.firstSequence), true);
  view.setBigUint64(24, BigInt(run.lastSequence), true);
  bytes.set(run.device, 32);
  bytes.set(run.frames, 64);
  return bytes;
}
