/**
 * Adds runs to the end of one device's queue, as chunks of up to chunkBytesMax
 * of frames, wherever these are stored (one larger entry is a chunk by itself). A last chunk that is still small is
 * taken up again and grown: a device that gets an entry now and then would
 * otherwise have a row for each.
 *
 * One with references is not grown for longer than sharedGrowMs, so that no
 * entry outlives its part (shared-parts.ts).
 *
 * A grown chunk counts as stored when its newest entries were, so that none
 * expires early.
 */
import { assert } from "../base/assert.js";
import { addedBy, encodeRow } from "./chunk-rows.js";
import type { Batch } from "./database.js";
import { frameSequenceAt, passFrames } from "./frames.js";
import type { SpillRun } from "./journal-record.js";
import { entriesBefore, isIntact, nameOf, type QueueRow } from "./queue-reader.js";
import { brandOf, type QueueContext } from "./queues.js";
import { queueKey } from "./schema.js";
import type { PartSource } from "./shared-parts.js";

/** Entries in a row, with what the chunk's header needs to know of them. */
type Piece = Pick<SpillRun, "firstSequence" | "lastSequence" | "entryCount" | "frames" | "hasReferences">;

export class QueueAppender {
  readonly #context: QueueContext;
  readonly #device: Uint8Array;
  readonly #isRecovery: boolean;
  readonly #partOf: PartSource;
  /** The last sequence of the queue, and what was acked of what is still to come. */
  #lastSequence = 0;
  readonly #floor: number;
  /** What is left of the run taken up. */
  #pieces: Generator<Piece, void, void> | undefined;
  /** The queue's totals up to the open chunk. */
  #entriesBefore = 0;
  #bytesBefore = 0;
  #addedBefore = 0;
  /** The open chunk. */
  #key: Uint8Array | undefined;
  #parts: Uint8Array[] = [];
  #bytes = 0;
  #entryCount = 0;
  #openLastSequence = 0;
  /** By how much its references will be longer as frames, and when the oldest of its entries was stored. */
  #added = 0;
  #firstStoredAtMs: number;
  /** What of it is new to the queue. */
  #newCount = 0;
  #newBytes = 0;
  #newReferences: Uint8Array[] = [];

  /** Reads the queue's end; nothing else may change the queue until the last flush. */
  constructor(
    context: QueueContext,
    device: Uint8Array,
    options: { readonly isRecovery: boolean; readonly partOf: PartSource },
  ) {
    this.#context = context;
    this.#device = device;
    this.#isRecovery = options.isRecovery;
    this.#partOf = options.partOf;
    this.#firstStoredAtMs = context.nowMs();
    this.#floor = context.floors.overlay(nameOf(device));
    const tail = context.reader.tail(device);
    if (tail === undefined) return;
    this.#lastSequence = tail.lastSequence;
    this.#entriesBefore = tail.entriesAfter;
    this.#bytesBefore = tail.bytesAfter;
    this.#addedBefore = tail.addedAfter;
    if (this.#mayGrow(tail)) this.#takeUp(tail);
  }

  #mayGrow(tail: QueueRow): boolean {
    const { bounds, nowMs } = this.#context;
    if (tail.gap !== undefined || tail.entries.length > bounds.chunkMergeBytesMax) return false;
    if (tail.entries.length + tail.added > bounds.chunkBytesMax) return false;
    if (tail.added > 0 && nowMs() - tail.firstStoredAtMs > bounds.sharedGrowMs) return false;
    return isIntact(tail);
  }

  #takeUp(tail: QueueRow): void {
    this.#key = tail.key;
    this.#parts = [tail.entries];
    this.#bytes = tail.entries.length;
    this.#entryCount = tail.entryCount;
    this.#added = tail.added;
    if (tail.added > 0) this.#firstStoredAtMs = tail.firstStoredAtMs;
    this.#entriesBefore = entriesBefore(tail);
    this.#bytesBefore -= this.#bytes;
    this.#addedBefore -= this.#added;
  }

  /** What the queue has held since it was last empty, the open chunk included; bytes as its device would get them. */
  get totals(): { readonly entries: number; readonly bytes: number } {
    const bytes = this.#bytesBefore + this.#bytes + this.#addedBefore + this.#added;
    return { entries: this.#entriesBefore + this.#entryCount, bytes };
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
    const added = piece.hasReferences ? addedBy(piece.frames) : 0;
    const framesBytes = this.#bytes + this.#added + piece.frames.length + added;
    if (this.#bytes > 0 && framesBytes > this.#context.bounds.chunkBytesMax) this.flush(batch);
    this.#key ??= queueKey(this.#device, piece.firstSequence);
    this.#parts.push(piece.frames);
    this.#bytes += piece.frames.length;
    this.#entryCount += piece.entryCount;
    this.#newBytes += piece.frames.length;
    this.#newCount += piece.entryCount;
    if (piece.hasReferences) {
      this.#added += added;
      this.#newReferences.push(piece.frames);
    }
    this.#openLastSequence = piece.lastSequence;
    return true;
  }

  /** Writes the open chunk if anything was added to it. */
  flush(batch: Batch): void {
    const { stats, brands, parts, nowMs } = this.#context;
    this.#entriesBefore += this.#entryCount;
    this.#bytesBefore += this.#bytes;
    this.#addedBefore += this.#added;
    if (this.#newCount > 0) {
      const key = this.#key as Uint8Array;
      const header = {
        gap: undefined,
        lastSequence: this.#openLastSequence,
        entryCount: this.#entryCount,
        storedAtMs: nowMs(),
        firstStoredAtMs: this.#firstStoredAtMs,
        entriesAfter: this.#entriesBefore,
        bytesAfter: this.#bytesBefore,
        addedAfter: this.#addedBefore,
        added: this.#added,
      };
      batch.put("queues", key, encodeRow(key, header, this.#parts));
      for (const entries of this.#newReferences) parts.add(entries, this.#partOf);
      brands.add(brandOf(this.#device), this.#newBytes);
      stats.spilledEntries += this.#newCount;
      stats.chunksWritten++;
    }
    this.#key = undefined;
    this.#parts = [];
    this.#newReferences = [];
    this.#firstStoredAtMs = nowMs();
    this.#bytes = this.#entryCount = this.#added = this.#newBytes = this.#newCount = 0;
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
    hasReferences: run.hasReferences,
  };
}

/** A run in pieces of at most `bytesMax` of frames, or of one entry. */
function* pieces(run: Piece, bytesMax: number): Generator<Piece, void, void> {
  const bounds = (from: number) =>
    run.hasReferences ? { from, framesBytesMax: bytesMax } : { from, bytesMax: from + bytesMax };
  const isMore = (from: number): boolean =>
    run.hasReferences ? from < run.frames.length : run.frames.length - from > bytesMax;
  let from = 0;
  while (isMore(from)) {
    let stop = passFrames(run.frames, bounds(from));
    if (stop.entryCount === 0) stop = passFrames(run.frames, { from, entriesMax: 1 });
    assert(stop.entryCount > 0, "a run consists of entries");
    yield {
      firstSequence: frameSequenceAt(run.frames, from),
      lastSequence: stop.lastSequence,
      entryCount: stop.entryCount,
      frames: run.frames.subarray(from, stop.at),
      hasReferences: run.hasReferences,
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
    hasReferences: run.hasReferences,
  };
}
