/**
 * What one transaction does to the key directory: uploads, claims and digests,
 * one after the other, each on what those before have left. rules/keys.ts
 * decides, device-keys.ts reads and writes; keys.ts says what may be relied on.
 *
 * Refusals are returned, not thrown: their transaction goes on.
 */
import { createHash } from "node:crypto";
import { accountOf, brandOf, type DeviceAddress, deviceParts } from "../base/address.js";
import { equalBytes } from "../base/bytes.js";
import {
  isLowNow,
  judgeClaim,
  judgeSealedClaim,
  type KeyBounds,
  type KeyUpload,
  uploadFault,
} from "../rules/keys.js";
import { spend } from "../rules/token-bucket.js";
import { CodedError } from "../wire/coded-error.js";
import {
  identityKinds,
  isOneTime,
  type KeyKind,
  type KeyStock,
  type KeySuite,
  keyDigestInput,
  keyKindNames,
  keySuites,
  type PublicKey,
  type SuiteName,
} from "../wire/keys.js";
import type { NoticeBody } from "../wire/notices.js";
import { decodeAccount } from "./account-rows.js";
import { DeviceKeys, type KeyContext } from "./device-keys.js";
import type { NoticeRecipient } from "./outbox.js";
import { nameOf } from "./queue-reader.js";
import { accountKey } from "./schema.js";

export interface KeyClaim {
  /** The device that asks; undefined for somebody who is not named, and whose token has opened the account. */
  readonly requester: DeviceAddress | undefined;
  readonly target: DeviceAddress;
  readonly suite: SuiteName;
  /** Whether the two brands may meet. */
  readonly mayMeet: boolean;
}

/** One key of each kind that there is; a last resort under its own kind. */
export type ClaimedKeys = { [Kind in KeyKind]?: PublicKey };
export type KeyStocks = { readonly [Kind in KeyKind]: KeyStock };
/** With the SHA-256 of keyDigestInput (wire/keys.ts). */
export type KeyDigests = { readonly [Kind in KeyKind]: KeyStock & { readonly digest: Uint8Array } };

/** What devices are told because of a change here, durably with it. */
export interface KeyNotice {
  readonly to: readonly NoticeRecipient[];
  readonly body: NoticeBody;
}

export interface KeyTransactionContext extends KeyContext {
  readonly nowMs: number;
  readonly bounds: KeyBounds;
  readonly notify: (notice: KeyNotice) => void;
  /** When as much is owed because of a brand as may be. */
  readonly refusal: (brand: number) => CodedError | undefined;
}

export class KeyTransaction {
  readonly #context: KeyTransactionContext;
  readonly #devices = new Map<string, DeviceKeys>();

  constructor(context: KeyTransactionContext) {
    this.#context = context;
  }

  /** To be called when all is done: puts what changed and is not yet in the batch. */
  save(): void {
    for (const device of this.#devices.values()) device.save();
  }

  upload(device: DeviceAddress, upload: KeyUpload): KeyStocks | CodedError {
    const { bounds, nowMs } = this.#context;
    const fault = uploadFault(upload, bounds);
    if (fault !== undefined) return new CodedError(fault);
    if (!this.#isRegistered(device)) return new CodedError("notFound");
    const keys = this.#of(device);
    const isNew = isNewIdentity(keys.single("identity"), upload.identity?.[0]);
    const refusal = isNew ? this.#context.refusal(brandOf(device)) : undefined;
    if (refusal !== undefined) return refusal;
    const uploads = this.#spendUpload(keys);
    if (uploads instanceof CodedError) return uploads;
    if (isNew) {
      const size = { tokens: bounds.identityChangeTokens, refillMs: bounds.identityChangeRefillMs };
      const changes = spend(keys.head.identityFullAtMs, size, nowMs);
      if (!changes.isAllowed) return rateLimited(changes.retryAfterMs);
      keys.change({ identityFullAtMs: changes.fullAtMs });
    }
    for (const kind of keyKindNames) {
      const replaced = upload[kind] ?? (isNew && identityKinds.includes(kind) ? [] : undefined);
      if (replaced !== undefined) keys.replace(kind, replaced);
    }
    if (isNew) this.#tellIdentity(keys);
    return stocksOf(keys);
  }

  claim({ requester, ...asked }: KeyClaim): ClaimedKeys | CodedError {
    return requester === undefined ? this.#claimSealed(asked) : this.#claimNamed(requester, asked);
  }

  #claimNamed(
    requester: DeviceAddress,
    { target, suite, mayMeet }: Omit<KeyClaim, "requester">,
  ): ClaimedKeys | CodedError {
    const { bounds, nowMs } = this.#context;
    if (!this.#isRegistered(requester)) return new CodedError("notFound");
    const own = this.#of(requester);
    const theirs = this.#of(target);
    const pairFullAtMs = own.pair(target);
    if (pairFullAtMs === undefined) own.prunePairs(nowMs);
    const judged = judgeClaim(
      {
        suite,
        nowMs,
        pairFullAtMs,
        pairCount: own.head.pairCount,
        isOpen: this.#isRegistered(target) && mayMeet,
        targetFullAtMs: theirs.head.claimsFullAtMs,
        count: (kind) => theirs.count(kind),
      },
      bounds,
    );
    const { verdict } = judged;
    if (verdict === "rateLimited") return rateLimited(judged.retryAfterMs);
    own.setPair(target, judged.pairFullAtMs);
    if (verdict === "notFound" || verdict === "keysMissing") return new CodedError(verdict);
    if (verdict === "oneTime") theirs.change({ claimsFullAtMs: judged.targetFullAtMs });
    const claimed = this.#handOut(theirs, { suite: keySuites[suite], mayTake: verdict === "oneTime" });
    const account = accountOf(requester);
    const isOther = !equalBytes(account, accountOf(target));
    if (!(claimed instanceof CodedError) && isOther && claimed.identity !== undefined)
      theirs.addHolder(account, bounds.keyHoldersMax);
    return claimed;
  }

  /** Nobody is remembered for it, and so nobody is told when the identity changes. */
  #claimSealed({ target, suite, mayMeet }: Omit<KeyClaim, "requester">): ClaimedKeys | CodedError {
    const { bounds, nowMs } = this.#context;
    const theirs = this.#of(target);
    const { verdict, retryAfterMs, targetFullAtMs, sealedFullAtMs } = judgeSealedClaim(
      {
        suite,
        nowMs,
        isOpen: this.#isRegistered(target) && mayMeet,
        targetFullAtMs: theirs.head.claimsFullAtMs,
        sealedFullAtMs: theirs.sealedFullAtMs,
        count: (kind) => theirs.count(kind),
      },
      bounds,
    );
    if (verdict === "rateLimited") return rateLimited(retryAfterMs);
    if (verdict === "notFound" || verdict === "keysMissing") return new CodedError(verdict);
    if (verdict === "oneTime") {
      theirs.change({ claimsFullAtMs: targetFullAtMs });
      theirs.setSealed(sealedFullAtMs);
    }
    return this.#handOut(theirs, { suite: keySuites[suite], mayTake: verdict === "oneTime" });
  }

  digests(device: DeviceAddress): KeyDigests | CodedError {
    if (!this.#isRegistered(device)) return new CodedError("notFound");
    const keys = this.#of(device);
    const uploads = this.#spendUpload(keys);
    if (uploads instanceof CodedError) return uploads;
    return ofEachKind((kind) => ({ ...keys.stock(kind), digest: digestOf(keys, kind) }));
  }

  #handOut(
    theirs: DeviceKeys,
    { suite, mayTake }: { readonly suite: KeySuite; readonly mayTake: boolean },
  ): ClaimedKeys | CodedError {
    const claimed: ClaimedKeys = {};
    for (const kind of suite.needs) give(claimed, kind, theirs.single(kind));
    for (const { kind, lastResort } of suite.takes) {
      const taken = mayTake ? this.#take(theirs, kind) : undefined;
      if (taken !== undefined) give(claimed, kind, taken);
      else if (lastResort !== undefined) give(claimed, lastResort, theirs.single(lastResort));
    }
    return Object.keys(claimed).length === 0 ? new CodedError("keysMissing") : claimed;
  }

  #take(theirs: DeviceKeys, kind: KeyKind): PublicKey | undefined {
    if (!isOneTime(kind)) return undefined;
    const before = theirs.count(kind);
    const taken = theirs.take(kind);
    const count = theirs.count(kind);
    if (isLowNow(before, count, this.#context.bounds)) {
      const to = [{ account: accountOf(theirs.device), devices: [deviceParts(theirs.device).device] }];
      this.#context.notify({ to, body: { notice: "lowKeys", kind, count } });
    }
    return taken;
  }

  #tellIdentity(keys: DeviceKeys): void {
    const to = [accountOf(keys.device), ...keys.holders()].map((account) => ({ account }));
    const digest = digestOf(keys, "identity");
    this.#context.notify({ to, body: { notice: "identity", device: keys.device, digest } });
  }

  #spendUpload(keys: DeviceKeys): undefined | CodedError {
    const { bounds, nowMs } = this.#context;
    const size = { tokens: bounds.keyUploadTokens, refillMs: bounds.keyUploadRefillMs };
    const uploads = spend(keys.head.uploadsFullAtMs, size, nowMs);
    if (!uploads.isAllowed) return rateLimited(uploads.retryAfterMs);
    keys.change({ uploadsFullAtMs: uploads.fullAtMs });
    return undefined;
  }

  /** One view of a device for the whole transaction: its head is put once, at the end. */
  #of(device: DeviceAddress): DeviceKeys {
    const name = nameOf(device);
    let keys = this.#devices.get(name);
    if (keys === undefined) {
      keys = new DeviceKeys(this.#context, device);
      this.#devices.set(name, keys);
    }
    return keys;
  }

  #isRegistered(device: DeviceAddress): boolean {
    const { batch, database } = this.#context;
    const key = accountKey(accountOf(device));
    const row = batch.row(database, "accounts", key);
    const { device: number } = deviceParts(device);
    return (row && decodeAccount(key, row))?.devices.some((entry) => entry.number === number) ?? false;
  }
}

function isNewIdentity(before: PublicKey | undefined, after: PublicKey | undefined): boolean {
  return before !== undefined && after !== undefined && !equalBytes(before.key, after.key);
}

function give(claimed: ClaimedKeys, kind: KeyKind, key: PublicKey | undefined): void {
  if (key !== undefined) claimed[kind] = key;
}

function rateLimited(retryAfterMs: number): CodedError {
  return new CodedError("rateLimited", { retryAfterMs });
}

function digestOf(keys: DeviceKeys, kind: KeyKind): Uint8Array {
  const input = keyDigestInput(keys.device, kind, keys.all(kind));
  return createHash("sha256").update(input).digest();
}

function ofEachKind<T>(value: (kind: KeyKind) => T): { readonly [Kind in KeyKind]: T } {
  return Object.fromEntries(keyKindNames.map((kind) => [kind, value(kind)])) as Record<KeyKind, T>;
}

export function stocksOf(keys: DeviceKeys): KeyStocks {
  return ofEachKind((kind) => keys.stock(kind));
}
