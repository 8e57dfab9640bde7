/**
 * Brings devices that are behind up to date: first what the store holds in their queue, then what still lies in the
 * tail, never more than their window, until nothing is left above their cursor and they are live. A device falls
 * behind when it connects, when its window is full, or when its socket holds bytes back.
 */
import type { QueueItem } from "../store/store.js";
import { DELIVERY_HEADER_BYTES_MAX, gapReasons } from "../wire/protocol.js";
import { encodeServerFrame } from "../wire/server-frame-writer.js";
import type { Attachment } from "./attachment.js";
import { handOver } from "./connections.js";
import type { PathLimits } from "./shapes.js";
import type { PathState } from "./state.js";

export function catchUp(state: PathState): void {
  for (const slot of state.kernel.takeAttention()) {
    trimQueue(state, slot);
    if (!state.kernel.isLive(slot)) state.lagging.add(slot);
  }
  for (const slot of state.lagging) {
    state.lagging.delete(slot);
    const attachment = state.connections[slot];
    if (attachment !== undefined) advance(state, attachment);
  }
}

/** What the device acked leaves its queue on disk with the next transaction. */
function trimQueue(state: PathState, slot: number): void {
  const { kernel, store } = state;
  if (!kernel.isQueued(slot)) return;
  const device = kernel.address(slot);
  if (store.hasQueued(device)) store.trim(device, kernel.floor(slot));
  else kernel.setQueued(slot, false);
}

/**
 * Sends what the window takes, behind `opening` if there is one, in as few sends as it fits: after it nothing more can be
 * done until the device acks, drains or gets more.
 */
export function advance(state: PathState, attachment: Attachment, opening?: Uint8Array): void {
  if (opening !== undefined) pack(state, attachment, opening);
  if (!state.kernel.isLive(attachment.slot)) fill(state, attachment);
  ship(state, attachment);
}

function fill(state: PathState, attachment: Attachment): void {
  const { kernel, limits } = state;
  const { slot, flight, windowEntries, windowBytes } = attachment;
  takeFlight(state, attachment);
  // Room for any entry; but the least windows are hardly larger than that, and would have one entry out at a time.
  const leastBytes = Math.min(windowBytes / 2, entryBytesMax(limits));
  let isQueueRead = !kernel.isQueued(slot);
  while (canTake(state, attachment)) {
    const entries = windowEntries - flight.entries;
    const bytes = windowBytes - flight.bytes;
    if (entries <= 0 || (bytes < leastBytes && flight.entries > 0)) return;
    if (!isQueueRead) {
      const found = sendQueued(state, attachment, entries, bytes);
      isQueueRead = found === "theEnd";
      if (found !== "nothing") continue;
    }
    if (sendTail(state, attachment, entries, bytes)) continue;
    if (goLive(state, attachment)) announce(state, attachment);
    return;
  }
}

/**
 * The kernel is left the part of the window that it can fill without knowing of what catch-up has out. When it has, the
 * device falls behind, and comes back with what has become free by then.
 */
function goLive({ kernel }: PathState, attachment: Attachment): boolean {
  const { slot, flight, windowEntries, windowBytes } = attachment;
  kernel.setWindow(slot, windowEntries - flight.entries, windowBytes - flight.bytes);
  return kernel.goLive(slot);
}

/** What the kernel has out since the device was live is counted here from now on, and what is acked no more. */
function takeFlight({ kernel }: PathState, { slot, flight }: Attachment): void {
  const entries = kernel.inFlight(slot);
  const cursor = kernel.cursor(slot);
  if (entries > 0) {
    flight.add(cursor, entries, kernel.inFlightBytes(slot));
    kernel.setCursor(slot, cursor);
  }
  flight.settle(kernel.floor(slot));
}

/** Of the frame of any delivery. */
function entryBytesMax(limits: PathLimits): number {
  return limits.payloadBytesMax + limits.blockBytesMax + DELIVERY_HEADER_BYTES_MAX;
}

/**
 * One read of the queue, above the cursor. A read that left room for another entry of any size and kind was the last
 * one: the store reads on while there is room (Store.readQueue), and what is on its way from the tail to the queue is still
 * in the tail.
 */
function sendQueued(
  state: PathState,
  attachment: Attachment,
  entries: number,
  bytes: number,
): "nothing" | "some" | "theEnd" {
  const { kernel, store, limits } = state;
  const device = kernel.address(attachment.slot);
  const items = store.readQueue(device, kernel.cursor(attachment.slot), {
    bytesMax: bytes,
    entriesMax: entries,
  });
  if (items.length === 0) return "nothing";
  let entriesLeft = entries;
  let roomBytes = bytes - entryBytesMax(limits);
  for (const item of items) {
    if (item.kind === "entries") roomBytes -= item.frames.length;
    if (entriesLeft <= 0 || attachment.isBlocked) break;
    const part = item.kind === "gap" ? gapPart(item) : entriesPart(item);
    entriesLeft -= part.entries;
    if (!hand(state, attachment, part.frames, part.entries, part.last)) break;
  }
  return roomBytes > 0 && entriesLeft > 0 ? "theEnd" : "some";
}

interface Part {
  readonly frames: Uint8Array;
  readonly entries: number;
  readonly last: number;
}

function gapPart(item: Extract<QueueItem, { kind: "gap" }>): Part {
  const frames = encodeServerFrame({
    kind: "gap",
    sequence: item.lastSequence,
    count: item.entryCount,
    reason: gapReasons[item.reason],
  });
  return { frames, entries: 1, last: item.lastSequence };
}

function entriesPart({ frames, entryCount, lastSequence }: Extract<QueueItem, { kind: "entries" }>): Part {
  return { frames, entries: entryCount, last: lastSequence };
}

function sendTail(state: PathState, attachment: Attachment, entries: number, bytes: number): boolean {
  const spans = state.kernel.tailSpans(attachment.slot, bytes, entries);
  for (const span of spans) {
    if (attachment.isBlocked) break;
    if (!hand(state, attachment, span.frames, span.entries, span.last)) break;
  }
  return spans.length > 0;
}

/** Notes frames as out and lets them go with the others; false when the connection can take no more. */
function hand(
  state: PathState,
  attachment: Attachment,
  frames: Uint8Array,
  entries: number,
  last: number,
): boolean {
  if (!pack(state, attachment, frames)) return false;
  state.kernel.setCursor(attachment.slot, last);
  attachment.flight.add(last, entries, frames.length);
  return canTake(state, attachment);
}

function announce(state: PathState, attachment: Attachment): void {
  if (attachment.isAnnounced) return;
  const sequence = state.kernel.cursor(attachment.slot);
  attachment.isAnnounced = pack(state, attachment, encodeServerFrame({ kind: "live", sequence }));
}

/** Frames that fill a parcel by themselves go alone, uncopied. False when what is before them could not be sent. */
function pack(state: PathState, attachment: Attachment, frames: Uint8Array): boolean {
  if (state.parcel.add(frames)) return true;
  ship(state, attachment);
  if (!canTake(state, attachment)) return false;
  if (!state.parcel.add(frames)) handOver(state, attachment, frames);
  return true;
}

function ship(state: PathState, attachment: Attachment): void {
  const frames = state.parcel.take();
  if (frames.length > 0) handOver(state, attachment, frames);
}

function canTake(state: PathState, attachment: Attachment): boolean {
  return !attachment.isBlocked && state.connections[attachment.slot] === attachment;
}
