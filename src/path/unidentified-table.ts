/**
 * All that is known of connections that speak for nobody in particular: the brand that let them in, and what they sent or
 * asked and were not answered. unidentified.ts, which says more of them, and sealed.ts change it.
 */
import type { RequestMeter } from "../rules/requests.js";
import { type Budget, fullBudget } from "../rules/sealed.js";
import type { RefusalDetail } from "../wire/bodies.js";
import type { CodeName } from "../wire/codes.js";
import { BudgetTable } from "./budgets.js";
import type { Connection } from "./shapes.js";

/** They are told from devices by their number: slots lie below. */
export const UNIDENTIFIED_FIRST = 2 ** 30;

export interface Refused {
  readonly code: CodeName;
  readonly retryAfterMs: number;
  readonly detail?: RefusalDetail;
}

/** One send, from the moment it was read until it is answered. */
export interface OpenSend {
  readonly position: number;
  /** Undefined while the kernel has it. */
  outcome: "durable" | Refused | undefined;
  /** Monotonic: not answered before. */
  dueMs: number;
}

/** Frames that are not to be sent before. */
export interface Held {
  readonly bytes: Uint8Array;
  /** Monotonic. */
  readonly dueMs: number;
}

export class Unidentified {
  readonly number: number;
  /** The first two bytes of its brand's addresses. */
  readonly brand: Uint8Array;
  readonly connection: Connection;
  /** Messages in the order they came; of the first unread one, up to `readTo` was read. */
  unread: Uint8Array[] = [];
  /** Place in `unread` of the first that was not read to its end. */
  unreadFrom = 0;
  readTo = 0;
  unreadBytes = 0;
  /** Sends so far. */
  position = 0;
  readonly open: OpenSend[] = [];
  /** Answers to requests, in the order in which they are due. */
  readonly held: Held[] = [];
  readonly requests: RequestMeter = { underWay: 0, fullAtMs: 0 };
  budget: Budget = fullBudget;
  /** What it has left of the accounts it sends to. */
  readonly pairs: BudgetTable;
  isGone = false;

  constructor(number: number, brand: number, connection: Connection, pairsMax: number) {
    this.number = number;
    this.brand = Uint8Array.of(brand >> 8, brand & 0xff);
    this.connection = connection;
    this.pairs = new BudgetTable(pairsMax);
  }
}

/** All of them. */
export class UnidentifiedTable {
  readonly connections = new Map<number, Unidentified>();
  /** Those that have something unread, whose turn it is first. */
  readonly reading = new Set<Unidentified>();
  /** Those that wait for an answer. */
  readonly waiting = new Set<Unidentified>();
  unreadBytes = 0;
  lastNumber = UNIDENTIFIED_FIRST - 1;

  get isWaiting(): boolean {
    return this.reading.size > 0 || this.waiting.size > 0;
  }
}
