/** The kernel's counters since start, and where they stand in its control block. */
import * as L from "../../assembly/layout.js";

export const counterFields = {
  sendsAccepted: L.CONTROL_COUNT_SENDS_ACCEPTED,
  duplicates: L.CONTROL_COUNT_DUPLICATES,
  sendsRefused: L.CONTROL_COUNT_REFUSED,
  entries: L.CONTROL_COUNT_ENTRIES,
  delivered: L.CONTROL_COUNT_DELIVERED,
  acks: L.CONTROL_COUNT_ACKS,
  receiptsRidden: L.CONTROL_COUNT_RECEIPTS_RIDDEN,
  receiptsSent: L.CONTROL_COUNT_RECEIPTS_SENT,
  accountsEvicted: L.CONTROL_COUNT_EVICTED,
} as const;

export type Counters = Record<keyof typeof counterFields, number>;
