/** A device's connection as the kernel sees it: attached, caught up, detached. The host does the sending. */
import * as L from "./layout";
import { clearFlag, flag, setFlag, slotAt } from "./memory";
import { disconnect, raiseFloor } from "./tick";

/**
 * Attaches a connection. Everything up to `floor` counts as acked; sequences above it are to be sent again.
 * Returns 0 when the floor is beyond what the device's queue ever held.
 */
export function attach(index: u32, connection: u32, floor: f64, windowEntries: u32, windowBytes: u32): i32 {
  const slot = slotAt(index);
  const given = <u64>floor;
  if (given > load<u64>(slot, L.SLOT_LAST)) return 0;
  if (given > load<u64>(slot, L.SLOT_FLOOR)) raiseFloor(slot, given);
  store<u32>(slot, connection, L.SLOT_CONNECTION);
  store<u64>(slot, load<u64>(slot, L.SLOT_FLOOR), L.SLOT_CURSOR);
  store<u32>(slot, 0, L.SLOT_POSITION);
  store<u32>(slot, 0, L.SLOT_POSITION_DURABLE);
  store<u32>(slot, 0, L.SLOT_POSITION_TOLD);
  store<u32>(slot, 0, L.SLOT_IN_FLIGHT_BYTES);
  store<u64>(slot, load<u64>(slot, L.SLOT_FLOOR), L.SLOT_LIVE_BASE);
  store<u32>(slot, windowEntries, L.SLOT_WINDOW_ENTRIES);
  store<u32>(slot, windowBytes, L.SLOT_WINDOW_BYTES);
  clearFlag(slot, L.FLAG_LIVE);
  setFlag(slot, L.FLAG_CONNECTED);
  return 1;
}

/** Detaches, if `connection` is still the slot's. */
export function detach(index: u32, connection: u32): void {
  const slot = slotAt(index);
  if (load<u32>(slot, L.SLOT_CONNECTION) == connection) disconnect(slot);
}

/** What the kernel may have in flight from now on: of what it sends itself. */
export function setWindow(index: u32, entries: u32, bytes: u32): void {
  const slot = slotAt(index);
  store<u32>(slot, entries, L.SLOT_WINDOW_ENTRIES);
  store<u32>(slot, bytes, L.SLOT_WINDOW_BYTES);
}

/** The host has sent up to this sequence, and counts what is in flight up to there. */
export function setCursor(index: u32, sequence: f64): void {
  const slot = slotAt(index);
  store<u64>(slot, <u64>sequence, L.SLOT_CURSOR);
  store<u64>(slot, <u64>sequence, L.SLOT_LIVE_BASE);
  store<u32>(slot, 0, L.SLOT_IN_FLIGHT_BYTES);
}

/** From now on the tick sends to the device itself; 0 when entries above its cursor still wait. */
export function goLive(index: u32): i32 {
  const slot = slotAt(index);
  const cursor = load<u64>(slot, L.SLOT_CURSOR);
  const head = load<u32>(slot, L.SLOT_RUN_TAIL);
  if (head != 0 && load<u64>(slot, L.SLOT_LAST) > cursor) return 0;
  if (!flag(slot, L.FLAG_CONNECTED)) return 0;
  // Sequences between the queue's end and the first of this process do not exist.
  const last = load<u64>(slot, L.SLOT_LAST);
  if (last > cursor) setCursor(index, <f64>last);
  setFlag(slot, L.FLAG_LIVE);
  return 1;
}

/** The tick must not send to the device until goLive: its socket is full, or a send was dropped. */
export function goLagging(index: u32): void {
  clearFlag(slotAt(index), L.FLAG_LIVE);
}

export function setQueued(index: u32, queued: i32): void {
  if (queued != 0) setFlag(slotAt(index), L.FLAG_QUEUED);
  else clearFlag(slotAt(index), L.FLAG_QUEUED);
}
