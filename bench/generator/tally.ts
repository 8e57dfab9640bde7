/** Counts of one process's traffic since its start; a round is the difference of two. */
import type { RoundResult } from "./orders.js";
import type { Traffic } from "./traffic.js";

export type Tally = Pick<
  RoundResult,
  "sent" | "duplicated" | "reordered" | "misdelivered" | "refused" | "repeated"
>;

export const nothing: Tally = {
  sent: 0,
  duplicated: 0,
  reordered: 0,
  misdelivered: 0,
  refused: 0,
  repeated: 0,
};

export function tallyOf({ ledger, sendLog, repeatedCount }: Traffic): Tally {
  return {
    sent: ledger.sentCount,
    duplicated: ledger.duplicated,
    reordered: ledger.reordered,
    misdelivered: ledger.misdelivered,
    refused: sendLog.refusedCount,
    repeated: repeatedCount,
  };
}

export function tallySince(before: Tally, traffic: Traffic): Tally {
  const after = tallyOf(traffic);
  return {
    sent: after.sent - before.sent,
    duplicated: after.duplicated - before.duplicated,
    reordered: after.reordered - before.reordered,
    misdelivered: after.misdelivered - before.misdelivered,
    refused: after.refused - before.refused,
    repeated: after.repeated - before.repeated,
  };
}
