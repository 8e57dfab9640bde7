/**
 * Sealed sends: who may send to an account without being named, and how much of it an account, a connection, and one
 * connection to one account take. Pure: the caller keeps tokens and budgets and says what time it is.
 *
 * There is no sender whose share could be measured, so the limits lie elsewhere. Whoever holds a delivery token can fill
 * its account's budget; to make that costly, one connection has no more than half of it (`pair`), and a pace of its own
 * over all accounts; the account's remedy is a new token. A send that no token opens costs its connection alone: nobody
 * can use up an account's budget without a token of it.
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { AccountAddress, EnvelopeId } from "../base/address.js";
import type { CodeName } from "../wire/codes.js";
import { type BucketSize, half, type Spending, spend } from "./token-bucket.js";

/** Marks dedup keys of sealed sends, where a device's ordinal would stand; no device is given it. */
export const SEALED_ORDINAL = 0xffff_ffff;

export const TOKEN_DIGEST_BYTES = 32;
const KiB = 1024;

/** What is kept of an account's delivery tokens: SHA-256 of each, which opens nothing. */
export interface DeliveryTokens {
  readonly current: Uint8Array;
  /** Still good for a while after a rotation. */
  readonly previous: Uint8Array;
  readonly previousUntilMs: number;
}

/** Of an account that has none, or does not exist: nothing opens it. */
export const noTokens: DeliveryTokens = {
  current: randomBytes(TOKEN_DIGEST_BYTES),
  previous: randomBytes(TOKEN_DIGEST_BYTES),
  previousUntilMs: 0,
};

export function tokenDigest(token: Uint8Array): Uint8Array {
  return createHash("sha256").update(token).digest();
}

/** Whether the token with this digest opens the account. As many comparisons, of as many bytes, whatever they say. */
export function opens(digest: Uint8Array, tokens: DeliveryTokens, nowMs: number): boolean {
  const isCurrent = timingSafeEqual(digest, tokens.current);
  const isPrevious = timingSafeEqual(digest, tokens.previous);
  return isCurrent || (isPrevious && nowMs < tokens.previousUntilMs);
}

export type TokenChange =
  | { readonly kind: "set"; readonly token: Uint8Array }
  | { readonly kind: "rotate"; readonly token: Uint8Array; readonly overlapMs: number }
  | { readonly kind: "revoke" };

/** What the account's tokens are after the change; undefined: none. Repeating a change changes nothing more. */
export function changedTokens(
  before: DeliveryTokens | undefined,
  change: TokenChange,
  nowMs: number,
): DeliveryTokens | undefined | { readonly refused: CodeName } {
  if (change.kind === "revoke") return undefined;
  const current = tokenDigest(change.token);
  const alone = { current, previous: new Uint8Array(TOKEN_DIGEST_BYTES), previousUntilMs: 0 };
  if (change.kind === "set") return alone;
  if (before === undefined) return { refused: "notFound" };
  if (timingSafeEqual(before.current, current)) return before;
  return { current, previous: before.current, previousUntilMs: nowMs + change.overlapMs };
}

/**
 * The id under which a sealed envelope is remembered and delivered. The sender's own stays between it and the node: whoever
 * else holds a token of the account cannot send something else under it first, and so have it taken for a repeat, even
 * if the sender uses one id for several accounts.
 */
export function sealedId(account: AccountAddress, id: EnvelopeId): EnvelopeId {
  const digest = createHash("sha256").update("interline sealed v1").update(account).update(id).digest();
  return new Uint8Array(digest.subarray(0, 16));
}

/** The same for a send to several accounts, under one id for all of them: it is one envelope, whatever accounts it is for. */
export function sealedSharedId(id: EnvelopeId): EnvelopeId {
  const digest = createHash("sha256").update("interline sealed shared v1").update(id).digest();
  return new Uint8Array(digest.subarray(0, 16));
}

/** What is left, as the times at which it will be whole again (token-bucket.ts). */
export interface Budget {
  readonly messagesFullAtMs: number;
  readonly bytesFullAtMs: number;
}

export const fullBudget: Budget = { messagesFullAtMs: 0, bytesFullAtMs: 0 };

export interface SealedBounds {
  readonly sealedConnectionMessages: number;
  readonly sealedConnectionMessageRefillMs: number;
  readonly sealedConnectionKiB: number;
  readonly sealedConnectionKiBRefillMs: number;
  readonly sealedRecipientMessages: number;
  readonly sealedRecipientMessageRefillMs: number;
  readonly sealedRecipientKiB: number;
  readonly sealedRecipientKiBRefillMs: number;
}

/** Of one account that is sent to. */
export interface PartyBudgets {
  /** Of this connection to this account. */
  readonly pair: Budget;
  readonly recipient: Budget;
}

/** Whose budget a send comes out of; accounts in the order of the send. */
export interface Budgets {
  readonly connection: Budget;
  readonly parties: readonly PartyBudgets[];
}

export interface SealedParty {
  /** What its devices get, all together: a shared part counts for each of them. */
  readonly bytes: number;
  /** Between the brand of the connection's token and the account's. */
  readonly crossing: "closed" | "open" | "full";
  readonly isOpened: boolean;
}

export interface SealedFacts {
  /** All ciphertext as it was sent: a shared part counts once. */
  readonly bytes: number;
  readonly parties: readonly SealedParty[];
}

/** Without a code the send goes on to the kernel. */
export interface Verdict {
  readonly code?: CodeName;
  readonly retryAfterMs: number;
  /** The accounts that the code is about, by their places in the send. */
  readonly about: readonly number[];
  readonly budgets: Budgets;
}

/** Too fast is told with a pause in which a good many come back, or a client would knock for each. */
const TOO_FAST_RETRY_MS = 1_000;
const BRAND_QUOTA_RETRY_MS = 250;

/**
 * One line per rule, in order of precedence; a send to several accounts goes to all of them or to none. Up to the token
 * nothing is asked that depends on an account, and nothing that does is told while another's token opens nothing.
 * An account costs its connection a message, in one send or in many.
 */
export function judgeSealed(
  { bytes, parties }: SealedFacts,
  before: Budgets,
  bounds: SealedBounds,
  nowMs: number,
): Verdict {
  const own = afford(before.connection, connectionSize(bounds), { messages: parties.length, bytes }, nowMs);
  if (own.retryAfterMs > 0) {
    const retryAfterMs = Math.max(own.retryAfterMs, TOO_FAST_RETRY_MS);
    return { code: "sealedTooFast", retryAfterMs, about: [], budgets: before };
  }
  const budgets = { ...before, connection: own.after };
  const refused = (code: CodeName, about: readonly number[], retryAfterMs = 0): Verdict => ({
    code,
    retryAfterMs,
    about,
    budgets,
  });
  const closed = placesOf(parties, ({ crossing }) => crossing === "closed");
  if (closed.length > 0) return refused("brandsClosed", closed);
  const shut = placesOf(parties, ({ isOpened }) => !isOpened);
  if (shut.length > 0) return refused("deliveryTokenRefused", shut);
  const full = placesOf(parties, ({ crossing }) => crossing === "full");
  if (full.length > 0) return refused("brandQuota", full, BRAND_QUOTA_RETRY_MS);
  const spent = parties.map((party, i) =>
    affordParty(before.parties[i] as PartyBudgets, party.bytes, bounds, nowMs),
  );
  const limited = placesOf(spent, ({ retryAfterMs }) => retryAfterMs > 0);
  if (limited.length > 0)
    return refused("rateLimited", limited, Math.max(...spent.map(({ retryAfterMs }) => retryAfterMs)));
  const parts = spent.map(({ after }) => after);
  return { retryAfterMs: 0, about: [], budgets: { connection: own.after, parties: parts } };
}

function placesOf<T>(list: readonly T[], holds: (item: T) => boolean): number[] {
  return list.flatMap((item, i) => (holds(item) ? [i] : []));
}

function affordParty(
  before: PartyBudgets,
  bytes: number,
  bounds: SealedBounds,
  nowMs: number,
): { readonly retryAfterMs: number; readonly after: PartyBudgets } {
  const pair = afford(before.pair, pairSize(bounds), { messages: 1, bytes }, nowMs);
  const recipient = afford(before.recipient, recipientSize(bounds), { messages: 1, bytes }, nowMs);
  return {
    retryAfterMs: Math.max(pair.retryAfterMs, recipient.retryAfterMs),
    after: { pair: pair.after, recipient: recipient.after },
  };
}

interface BudgetSize {
  readonly messages: BucketSize;
  /** A token is a KiB, begun or whole. */
  readonly bytes: BucketSize;
}

const connectionSize = (bounds: SealedBounds): BudgetSize => ({
  messages: { tokens: bounds.sealedConnectionMessages, refillMs: bounds.sealedConnectionMessageRefillMs },
  bytes: { tokens: bounds.sealedConnectionKiB, refillMs: bounds.sealedConnectionKiBRefillMs },
});

const recipientSize = (bounds: SealedBounds): BudgetSize => ({
  messages: { tokens: bounds.sealedRecipientMessages, refillMs: bounds.sealedRecipientMessageRefillMs },
  bytes: { tokens: bounds.sealedRecipientKiB, refillMs: bounds.sealedRecipientKiBRefillMs },
});

const pairSize = (bounds: SealedBounds): BudgetSize => {
  const { messages, bytes } = recipientSize(bounds);
  return { messages: half(messages), bytes: half(bytes) };
};

function afford(
  budget: Budget,
  size: BudgetSize,
  { messages, bytes }: { readonly messages: number; readonly bytes: number },
  nowMs: number,
): { readonly retryAfterMs: number; readonly after: Budget } {
  const kibCount = Math.max(1, Math.ceil(bytes / KiB));
  const counted: Spending = spend(budget.messagesFullAtMs, size.messages, nowMs, messages);
  const measured: Spending = spend(budget.bytesFullAtMs, size.bytes, nowMs, kibCount);
  return {
    retryAfterMs: Math.max(counted.retryAfterMs, measured.retryAfterMs),
    after: { messagesFullAtMs: counted.fullAtMs, bytesFullAtMs: measured.fullAtMs },
  };
}
