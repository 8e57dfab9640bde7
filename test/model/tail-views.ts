/** The model of what is read out of the tail: for a device that catches up, and for the queues on disk. */
import type { ModelDevice } from "./residents.js";
import type { Run } from "./tail.js";

const SPANS_MAX = 64;
const COMPOSED_BYTES_MAX = 1024 * 1024;

export interface ModelSpan {
  readonly frames: Uint8Array;
  readonly entries: number;
  readonly last: number;
}

export interface ModelSpill {
  readonly device: ModelDevice;
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly entryCount: number;
  /** As they lie in the run. */
  readonly frames: Uint8Array;
  readonly hasReferences: boolean;
}

/** The first frames of the device's runs above its cursor, within the bounds, but one frame at least. */
export function spansOf(device: ModelDevice, bytesMax: number, entriesMax: number): ModelSpan[] {
  const spans: ModelSpan[] = [];
  let bytesLeft = Math.min(bytesMax, COMPOSED_BYTES_MAX);
  let entriesLeft = entriesMax;
  let taken = 0;
  for (const run of device.runs) {
    if (spans.length === SPANS_MAX) break;
    const above = run.frames.filter((_, i) => run.first + i > device.cursor);
    if (above.length === 0) continue;
    const frames: Uint8Array[] = [];
    for (const frame of above) {
      if (entriesLeft === 0 || (taken > 0 && frame.length > bytesLeft)) break;
      frames.push(frame);
      taken++;
      entriesLeft--;
      bytesLeft -= frame.length;
    }
    const last = run.first + run.frames.length - above.length + frames.length - 1;
    if (frames.length > 0) spans.push({ frames: Buffer.concat(frames), entries: frames.length, last });
    if (frames.length < above.length) break;
  }
  return spans;
}

/** What of a run its device has not acked: one row, or none. */
export function unackedRest({ device, first, entries, hasReferences }: Run): ModelSpill[] {
  const rest = entries.filter((_, i) => first + i > device.floor);
  if (rest.length === 0) return [];
  const lastSequence = first + entries.length - 1;
  return [
    {
      device,
      firstSequence: lastSequence - rest.length + 1,
      lastSequence,
      entryCount: rest.length,
      frames: Buffer.concat(rest),
      hasReferences,
    },
  ];
}
