/** The kernels' whole interface: numbers in, numbers out, everything else in the shared regions (layout.ts, memory.ts). */
import { initAccounts } from "./accounts";
import { initDedup } from "./dedup";
import { initJournal } from "./journal";
import { initShared } from "./shared";

export {
  accounts,
  accountsMax,
  attention,
  brandIndex,
  checkCanaries,
  control,
  crossing,
  dedupLog,
  inbox,
  inboxBytes,
  needed,
  outcomes,
  reserve,
  sends,
  slots,
  slotsMax,
  spans,
  spills,
  tail,
  tailBytes,
} from "./memory";
export { tick } from "./tick";
export { findAccount, findDevice, loadAccount, sequenceCeiling } from "./accounts";
export { audience } from "./audience";
export { groupVersion, loadGroup, openGroup } from "./groups";
export { composeSend, partAt } from "./shared";
export { dedupBatch } from "./dedup";
export { attach, detach, goLagging, goLive, setCursor, setQueued, setWindow } from "./connections";
export {
  commitRecords,
  dirtyAckTotal,
  oldestRecordAgeMs,
  release,
  seal,
  sealedRecord,
  spillScan,
  tailSpans,
  tailUse,
  uncommittedBytes,
  unsealedReceipts,
} from "./journal";
export { collectReceipts, dueCount, rideReceipts, settleReceipts } from "./receipts";

/** Once, after reserve: seeds are random, `epoch` rises with every process on the same data. */
export function start(
  seedA: f64,
  seedB: f64,
  epoch: u32,
  dedupMs: f64,
  uncommittedBytesMax: u32,
  firstPart: f64,
): void {
  const a = reinterpret<u64>(seedA);
  const b = reinterpret<u64>(seedB);
  initAccounts(a ^ (b << 17), <u64>epoch << 32);
  initDedup(a, b, dedupMs);
  initJournal((<u64>epoch << 32) + 1, uncommittedBytesMax);
  initShared(<u64>firstPart);
}
