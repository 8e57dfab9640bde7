/**
 * The keys that one device has at the node for Signal, and their private halves: what SignalCipher.refill does.
 *
 *   lasting    a signed pre-key and a last-resort Kyber key under one id. Made anew at `ageMs`; the ones before are erased `keptMs`
 *              after the node was known to have their successors
 *   one-time   a curve key and a Kyber key under one id, gone once used. What was handed out and never used is
 *              erased `keptMs` after it was seen to be handed out: nothing that was encrypted with it can still come
 */
import {
  KEMKeyPair,
  KyberPreKeyRecord,
  PreKeyRecord,
  PrivateKey,
  SignedPreKeyRecord,
} from "@signalapp/libsignal-client";
import { concatBytes } from "../../src/base/bytes.js";
import type { KeyStocks, KeyUpload, PublicKey as PublishedKey } from "../../src/client/client.js";
import type { KeyTimes } from "../../src/client/encrypted-client.js";
import { FIRST_LASTING_ID, type SignalState } from "./signal-state.js";

export class SignalKeys {
  readonly #state: SignalState;
  readonly #oneTimeKeyCount: number;

  constructor(state: SignalState, oneTimeKeyCount: number) {
    this.#state = state;
    this.#oneTimeKeyCount = oneTimeKeyCount;
  }

  async refill(stocks: KeyStocks, times: KeyTimes): Promise<KeyUpload | undefined> {
    this.#forget(stocks, times);
    const lasting = await this.#dueLasting(times);
    const oneTime = await this.#missingOneTime(stocks);
    return lasting === undefined && oneTime === undefined ? undefined : { ...lasting, ...oneTime };
  }

  uploaded({ signedPreKey }: KeyUpload, nowMs: number): void {
    const published = signedPreKey?.[0];
    if (published === undefined) return;
    this.#state.publishedId = published.id;
    for (const keys of this.#state.lasting) if (keys.id < published.id) keys.replacedAtMs ??= nowMs;
  }

  #forget({ preKey, kyberPreKey }: KeyStocks, { nowMs, keptMs }: KeyTimes): void {
    const state = this.#state;
    const isPast = (sinceMs: number | undefined): boolean =>
      sinceMs !== undefined && nowMs - sinceMs >= keptMs;
    for (const { id } of state.lasting.filter(({ replacedAtMs }) => isPast(replacedAtMs))) {
      state.signedKeys.remove(id);
      state.kyberKeys.remove(id);
    }
    state.lasting = state.lasting.filter(({ replacedAtMs }) => !isPast(replacedAtMs));
    const gone = state.handedOut.filter(({ seenAtMs }) => isPast(seenAtMs)).at(-1);
    if (gone !== undefined) {
      state.oneTimeKeys.removeThrough(gone.throughId);
      state.kyberKeys.removeOneTimeThrough(gone.throughId);
      state.handedOut = state.handedOut.filter(({ throughId }) => throughId > gone.throughId);
    }
    const throughId = Math.min(preKey.claimedThrough, kyberPreKey.claimedThrough);
    if (throughId > (state.handedOut.at(-1)?.throughId ?? gone?.throughId ?? 0))
      state.handedOut.push({ throughId, seenAtMs: nowMs });
  }

  /** A successor that was made before, and of which the node has not said that it has it, is offered again. */
  async #dueLasting({ nowMs, ageMs }: KeyTimes): Promise<KeyUpload | undefined> {
    const { lasting, publishedId, identityPair, registrationId, signedKeys, kyberKeys } = this.#state;
    const published = lasting.find(({ id }) => id === publishedId);
    if (published !== undefined && nowMs - published.madeAtMs < ageMs) return undefined;
    let last = lasting.at(-1);
    if (last === undefined || last === published) {
      last = { id: (last?.id ?? FIRST_LASTING_ID - 1) + 1, madeAtMs: nowMs, replacedAtMs: undefined };
      const pair = PrivateKey.generate();
      const signature = identityPair.privateKey.sign(pair.getPublicKey().serialize());
      const signed = SignedPreKeyRecord.new(last.id, nowMs, pair.getPublicKey(), pair, signature);
      await signedKeys.saveSignedPreKey(last.id, signed);
      await this.#makeKyberKey(last.id);
      lasting.push(last);
    }
    return {
      ...(published === undefined && {
        identity: [{ id: registrationId, key: identityPair.publicKey.serialize() }],
      }),
      signedPreKey: [publishedKey(await signedKeys.getSignedPreKey(last.id))],
      lastResortKyber: [publishedKey(await kyberKeys.getKyberPreKey(last.id))],
    };
  }

  /** Of a device that is new at the node all, whatever is stored there: it may be of another identity. */
  async #missingOneTime({ preKey, kyberPreKey }: KeyStocks): Promise<KeyUpload | undefined> {
    const state = this.#state;
    const count = this.#oneTimeKeyCount;
    const isNew = state.publishedId === undefined;
    if (!isNew && Math.min(preKey.count, kyberPreKey.count) >= count) return undefined;
    const claimedThrough = Math.max(preKey.claimedThrough, kyberPreKey.claimedThrough);
    await this.#makeOneTimeKeys(claimedThrough);
    // An upload replaces what is there: what nobody has claimed stays, the node leaves out what somebody has.
    const ids = Array.from({ length: count }, (_, i) => claimedThrough + 1 + i).filter((id) =>
      state.oneTimeKeys.has(id),
    );
    const preKeys = ids.map(async (id): Promise<PublishedKey> => {
      return { id, key: (await state.oneTimeKeys.getPreKey(id)).publicKey().serialize() };
    });
    const kyberPreKeys = ids.map(async (id) => publishedKey(await state.kyberKeys.getKyberPreKey(id)));
    return { preKey: await Promise.all(preKeys), kyberPreKey: await Promise.all(kyberPreKeys) };
  }

  async #makeOneTimeKeys(claimedThrough: number): Promise<void> {
    const state = this.#state;
    state.nextOneTimeId = Math.max(state.nextOneTimeId, claimedThrough + 1);
    for (; state.nextOneTimeId <= claimedThrough + this.#oneTimeKeyCount; state.nextOneTimeId++) {
      const id = state.nextOneTimeId;
      const pair = PrivateKey.generate();
      await state.oneTimeKeys.savePreKey(id, PreKeyRecord.new(id, pair.getPublicKey(), pair));
      await this.#makeKyberKey(id);
    }
  }

  async #makeKyberKey(id: number): Promise<void> {
    const { identityPair, kyberKeys } = this.#state;
    const pair = KEMKeyPair.generate();
    const signature = identityPair.privateKey.sign(pair.getPublicKey().serialize());
    await kyberKeys.saveKyberPreKey(id, KyberPreKeyRecord.new(id, Date.now(), pair, signature));
  }
}

function publishedKey(record: SignedPreKeyRecord | KyberPreKeyRecord): PublishedKey {
  return { id: record.id(), key: concatBytes([record.publicKey().serialize(), record.signature()]) };
}
