/**
 * Walks `deliver` frames as the kernel lays them out. Of their content the
 * store needs only where each ends and which sequence it carries:
 *
 *   0x96 0x21 | 0xcf sequence u64 BE | 0xc4 0x14 sender 20 | 0xc4 0x10 id 16 |
 *   0xcf timeMs u64 BE | 0xc6 length u32 BE | payload
 */
import { readU64BE } from "./schema.js";

export const FRAME_HEADER_BYTES = 65;

/** The whole length of the frame at `at`; 0 when there is no such frame. */
export function frameBytesAt(frames: Uint8Array, at: number): number {
  if (at + FRAME_HEADER_BYTES > frames.length) return 0;
  if (frames[at] !== 0x96 || frames[at + 1] !== 0x21 || frames[at + 2] !== 0xcf) return 0;
  if (frames[at + 60] !== 0xc6) return 0;
  const payload =
    (((frames[at + 61] as number) << 24) |
      ((frames[at + 62] as number) << 16) |
      ((frames[at + 63] as number) << 8) |
      (frames[at + 64] as number)) >>>
    0;
  const length = FRAME_HEADER_BYTES + payload;
  return at + length <= frames.length ? length : 0;
}

/** The sequence in the frame at `at`, which must be one. */
export function frameSequenceAt(frames: Uint8Array, at: number): number {
  return readU64BE(frames, at + 3);
}

/** Where a walk stopped: the frames before `at` are `entryCount` many, the last with `lastSequence`. */
export interface Stop {
  readonly at: number;
  readonly entryCount: number;
  /** 0 when nothing was passed. */
  readonly lastSequence: number;
}

/**
 * Passes whole frames while they end at or before `bytesMax`, carry a sequence
 * up to `sequenceMax`, and are at most `entriesMax`. Stops early at bytes that
 * are no frame.
 */
export function passFrames(
  frames: Uint8Array,
  bounds: { from?: number; bytesMax?: number; sequenceMax?: number; entriesMax?: number },
): Stop {
  const { bytesMax = frames.length, sequenceMax = Number.MAX_SAFE_INTEGER, entriesMax = 0xffffffff } = bounds;
  let at = bounds.from ?? 0;
  let entryCount = 0;
  let lastSequence = 0;
  while (entryCount < entriesMax) {
    const bytes = frameBytesAt(frames, at);
    if (bytes === 0 || at + bytes > bytesMax) break;
    const sequence = frameSequenceAt(frames, at);
    if (sequence > sequenceMax) break;
    at += bytes;
    lastSequence = sequence;
    entryCount++;
  }
  return { at, entryCount, lastSequence };
}
