/**
 * Receipts after a commit. They are cumulative, so a connection is listed once however much became durable, and
 * what is not yet told rides with the next run to its device or leaves by itself when it has waited long enough.
 */
import * as L from "./layout";
import { clearFlag, control, count, due, dueMask, flag, receiptLog, receiptLogMask, sends, setFlag, slotAt } from "./memory";
import { receiptLogStart, takeReceiptLog } from "./receipt-log";

let dueStart: u32 = 0;
let dueEnd: u32 = 0;

function listDue(index: u32, slot: usize): void {
  setFlag(slot, L.FLAG_DUE_LISTED);
  store<u32>(due + <usize>(dueEnd++ & dueMask) * 4, index);
}

/** Everything logged before `logEnd` is flushed: those connections have receipts due from now on. */
export function settleReceipts(logEnd: u32, monotonicMs: u32): void {
  for (let i = receiptLogStart; i != logEnd; i++) {
    const row = receiptLog + <usize>(i & receiptLogMask) * L.LOG_BYTES;
    const index = load<u32>(row, L.LOG_SLOT);
    const slot = slotAt(index);
    // The connection that sent this may be gone; its positions mean nothing to another one.
    if (load<u32>(slot, L.SLOT_CONNECTION) != load<u32>(row, L.LOG_CONNECTION)) continue;
    if (load<u32>(slot, L.SLOT_POSITION_DURABLE) == load<u32>(slot, L.SLOT_POSITION_TOLD)) {
      store<u32>(slot, monotonicMs, L.SLOT_DUE_SINCE);
    }
    store<u32>(slot, load<u32>(row, L.LOG_POSITION), L.SLOT_POSITION_DURABLE);
    if (!flag(slot, L.FLAG_DUE_LISTED)) listDue(index, slot);
  }
  takeReceiptLog(logEnd);
}

/**
 * Puts right before the frames of each send, where the gather left room, the receipt that its device is due. Frames that
 * are yet to be composed (shared.ts) get it then.
 */
export function rideReceipts(): void {
  const n = load<u32>(control, L.CONTROL_SENDS);
  let ridden: u32 = 0;
  for (let i: u32 = 0; i < n; i++) {
    const row = sends + <usize>i * L.SEND_BYTES;
    const slot = slotAt(load<u32>(row, L.SEND_SLOT));
    const durable = load<u32>(slot, L.SLOT_POSITION_DURABLE);
    if (durable == load<u32>(slot, L.SLOT_POSITION_TOLD)) continue;
    store<u32>(slot, durable, L.SLOT_POSITION_TOLD);
    ridden++;
    store<u32>(row, load<u32>(row, L.SEND_LENGTH) + L.RECEIPT_BYTES, L.SEND_LENGTH);
    if (load<u32>(row, L.SEND_STORED) != 0) {
      store<u32>(row, durable, L.SEND_RECEIPT);
      continue;
    }
    const from = load<u32>(row, L.SEND_OFFSET) - L.RECEIPT_BYTES;
    writeReceipt(from, durable);
    store<u32>(row, from, L.SEND_OFFSET);
  }
  count(L.CONTROL_COUNT_RECEIPTS_RIDDEN, ridden);
}

/**
 * Fills the sends with receipts that have waited `holdMs`; the frames lie in the room given at `to`, eight bytes each.
 * Returns how many; call again while it returns `max`.
 */
export function collectReceipts(monotonicMs: u32, holdMs: u32, to: usize, max: u32): u32 {
  let n: u32 = 0;
  for (let left = dueEnd - dueStart; left > 0 && n < max; left--) {
    const index = load<u32>(due + <usize>(dueStart & dueMask) * 4);
    const slot = slotAt(index);
    const durable = load<u32>(slot, L.SLOT_POSITION_DURABLE);
    const isUntold =
      flag(slot, L.FLAG_CONNECTED) && durable != load<u32>(slot, L.SLOT_POSITION_TOLD);
    if (isUntold && monotonicMs - load<u32>(slot, L.SLOT_DUE_SINCE) < holdMs) {
      // Told on a ride since it was listed, and due again: it goes to the end of the list.
      dueStart++;
      store<u32>(due + <usize>(dueEnd++ & dueMask) * 4, index);
      continue;
    }
    dueStart++;
    clearFlag(slot, L.FLAG_DUE_LISTED);
    if (!isUntold) continue;
    store<u32>(slot, durable, L.SLOT_POSITION_TOLD);
    writeReceipt(to + <usize>n * L.RECEIPT_BYTES, durable);
    const row = sends + <usize>n * L.SEND_BYTES;
    store<u32>(row, index, L.SEND_SLOT);
    store<u32>(row, <u32>to + n * L.RECEIPT_BYTES, L.SEND_OFFSET);
    store<u32>(row, L.RECEIPT_BYTES, L.SEND_LENGTH);
    store<u32>(row, 0, L.SEND_STORED);
    n++;
  }
  store<u32>(control, n, L.CONTROL_SENDS);
  count(L.CONTROL_COUNT_RECEIPTS_SENT, n);
  return n;
}

export function dueCount(): u32 {
  return dueEnd - dueStart;
}

/** [34, position, durability disk] in its fixed shape: 93 22 ce position 4, 02. */
export function writeReceipt(to: usize, position: u32): void {
  store<u16>(to, 0x2293);
  store<u8>(to, 0xce, 2);
  store<u32>(to, bswap<u32>(position), 3);
  store<u8>(to, 2, 7);
}
