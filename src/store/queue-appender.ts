/**
 * Adds runs to the end of one device's queue, as chunks of up to chunkBytesMax
 * (one larger entry is a chunk by itself). A last chunk that is still small is
 * taken up again and grown: a device that gets an entry now and then would
 * otherwise have a row for each.
 *
 * A grown chunk counts as stored when its newest entries were, so that none
 * expires early.
 */
import { assert } from "../base/assert.js";
import type { Batch } from "./database.js";
import { frameSequenceAt, passFrames } from "./frames.js";
import type { SpillRun } from "./journal-record.js";
import { entriesBefore, isIntact, nameOf } from "./queue-reader.js";
import { brandOf, type QueueContext } from "./queues.js";
import { encodeChunk, queueKey } from "./schema.js";

/** Frames in a row, with what the chunk's header needs to know of them. */
type Piece = Pick<SpillRun, "firstSequence" | "lastSequence" | "entryCount" | "frames">;

export class QueueAppender {
  readonly #context: QueueContext;
  readonly #device: Uint8Array;
  readonly #isRecovery: boolean;
  /** The last sequence of the queue, and what was acked of what is still to come. */
  #lastSequence = 0;
  readonly #floor: number;
  /** What is left of the run taken up. */
  #pieces: Generator<Piece, void, void> | undefined;
  /** The queue's totals up to the open chunk. */
  #entriesBefore = 0;
  #bytesBefore = 0;
  /** The open chunk. */
  #key: Uint8Array | undefined;
  #parts: Uint8Array[] = [];
  #bytes = 0;
  #entryCount = 0;
  #openLastSequence = 0;
  /** What of it is new to the queue. */
  #addedCount = 0;
  #addedBytes = 0;

  /** Reads the queue's end; nothing else may change the queue until the last flush. */
  constructor(context: QueueContext, device: Uint8Array, options: { isRecovery: boolean }) {
    this.#context = context;
    this.#device = device;
    this.#isRecovery = options.isRecovery;
    this.#floor = context.floors.overlay(nameOf(device));
    const tail = context.reader.tail(device);
    if (tail === undefined) return;
    this.#lastSequence = tail.lastSequence;
    this.#entriesBefore = tail.entriesAfter;
    this.#bytesBefore = tail.bytesAfter;
    if (tail.gap !== undefined || tail.frames.length > context.bounds.chunkMergeBytesMax) return;
    if (!isIntact(tail)) return;
    this.#key = tail.key;
    this.#parts = [tail.frames];
    this.#bytes = tail.frames.length;
    this.#entryCount = tail.entryCount;
    this.#entriesBefore = entriesBefore(tail);
    this.#bytesBefore -= this.#bytes;
  }

  /** What the queue has held since it was last empty, the open chunk included. */
  get totals(): { readonly entries: number; readonly bytes: number } {
    return { entries: this.#entriesBefore + this.#entryCount, bytes: this.#bytesBefore + this.#bytes };
  }

  /** Takes up a run; step() adds it. */
  begin(run: SpillRun): void {
    assert(this.#isRecovery || run.firstSequence > this.#lastSequence, "sequences of a queue rise");
    const unseen = cutTo(run, Math.max(this.#floor, this.#lastSequence, run.ackedThrough ?? 0));
    if (unseen === undefined) return;
    this.#lastSequence = unseen.lastSequence;
    this.#pieces = pieces(unseen, this.#context.bounds.chunkBytesMax);
  }

  /** Adds a piece of the run taken up, of at most one chunk. False when there is none left. */
  step(batch: Batch): boolean {
    const next = this.#pieces?.next();
    if (next === undefined || next.done) return false;
    const piece = next.value;
    if (this.#bytes > 0 && this.#bytes + piece.frames.length > this.#context.bounds.chunkBytesMax)
      this.flush(batch);
    this.#key ??= queueKey(this.#device, piece.firstSequence);
    this.#parts.push(piece.frames);
    this.#bytes += piece.frames.length;
    this.#entryCount += piece.entryCount;
    this.#addedBytes += piece.frames.length;
    this.#addedCount += piece.entryCount;
    this.#openLastSequence = piece.lastSequence;
    return true;
  }

  /** Writes the open chunk if anything was added to it. */
  flush(batch: Batch): void {
    const { stats, brands, nowMs } = this.#context;
    this.#entriesBefore += this.#entryCount;
    this.#bytesBefore += this.#bytes;
    if (this.#addedCount > 0) {
      const key = this.#key as Uint8Array;
      const header = {
        gap: undefined,
        lastSequence: this.#openLastSequence,
        entryCount: this.#entryCount,
        storedAtMs: nowMs(),
        entriesAfter: this.#entriesBefore,
        bytesAfter: this.#bytesBefore,
      };
      batch.put("queues", key, encodeChunk(key, header, this.#parts));
      brands.add(brandOf(this.#device), this.#addedBytes);
      stats.spilledEntries += this.#addedCount;
      stats.chunksWritten++;
    }
    this.#key = undefined;
    this.#parts = [];
    this.#bytes = this.#entryCount = this.#addedBytes = this.#addedCount = 0;
  }
}

/** The part of a run beyond `sequence`; undefined when nothing is. */
function cutTo(run: Piece, sequence: number): Piece | undefined {
  if (run.firstSequence > sequence) return run;
  if (run.lastSequence <= sequence) return undefined;
  const passed = passFrames(run.frames, { sequenceMax: sequence });
  const frames = run.frames.subarray(passed.at);
  return {
    firstSequence: frameSequenceAt(frames, 0),
    lastSequence: run.lastSequence,
    entryCount: run.entryCount - passed.entryCount,
    frames,
  };
}

/** A run in pieces of at most `bytesMax`, or of one entry. */
function* pieces(run: Piece, bytesMax: number): Generator<Piece, void, void> {
  let from = 0;
  while (run.frames.length - from > bytesMax) {
    let stop = passFrames(run.frames, { from, bytesMax: from + bytesMax });
    if (stop.entryCount === 0) stop = passFrames(run.frames, { from, entriesMax: 1 });
    assert(stop.entryCount > 0, "a run consists of deliver frames");
    yield {
      firstSequence: frameSequenceAt(run.frames, from),
      lastSequence: stop.lastSequence,
      entryCount: stop.entryCount,
      frames: run.frames.subarray(from, stop.at),
    };
    from = stop.at;
  }
  if (from === run.frames.length) return;
  if (from === 0) {
    yield run;
    return;
  }
  const frames = run.frames.subarray(from);
  yield {
    firstSequence: frameSequenceAt(frames, 0),
    lastSequence: run.lastSequence,
    entryCount: passFrames(frames, {}).entryCount,
    frames,
  };
}
