/**
 * Which connections sent something, and up to where, until the commit that covers it: one row for each connection and
 * batch, in a ring. The seal notes how far the log reached (journal.ts); the flush settles what lies before (receipts.ts).
 */
import * as L from "./layout";
import { clearFlag, flag, receiptLog, receiptLogMask, senders, setFlag, slotAt } from "./memory";

let senderCount: u32 = 0;

/** The connection has a receipt to come from this batch; a refusal needs none, it is answered by itself. */
export function noteSender(slot: usize, index: u32): void {
  if (flag(slot, L.FLAG_SENT_NOW)) return;
  setFlag(slot, L.FLAG_SENT_NOW);
  store<u32>(senders + <usize>(senderCount++) * 4, index);
}

export function isReceiptLogFull(): bool {
  return receiptLogEnd - receiptLogStart + senderCount >= receiptLogMask;
}

// The receipt log: absolute counts, so that full and empty differ.
export let receiptLogStart: u32 = 0;
export let receiptLogEnd: u32 = 0;

export function takeReceiptLog(upTo: u32): void {
  receiptLogStart = upTo;
}

/** One row for each connection that has receipts to come from this batch: they wait for the commit that covers it. */
export function logSenders(): void {
  for (let i: u32 = 0; i < senderCount; i++) {
    const index = load<u32>(senders + <usize>i * 4);
    const slot = slotAt(index);
    clearFlag(slot, L.FLAG_SENT_NOW);
    const connection = load<u32>(slot, L.SLOT_CONNECTION);
    // Ended later in the batch: nobody is left to be told.
    if (connection == 0) continue;
    const row = receiptLog + <usize>(receiptLogEnd & receiptLogMask) * L.LOG_BYTES;
    store<u32>(row, index, L.LOG_SLOT);
    store<u32>(row, connection, L.LOG_CONNECTION);
    store<u32>(row, load<u32>(slot, L.SLOT_POSITION), L.LOG_POSITION);
    receiptLogEnd++;
  }
  senderCount = 0;
}
