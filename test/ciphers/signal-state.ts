/** Everything that one device's Signal protocol has to remember, in memory: what an app keeps in its database. */
import { randomInt } from "node:crypto";
import { IdentityKeyPair } from "@signalapp/libsignal-client";
import {
  Identities,
  KyberKeys,
  OneTimeKeys,
  RatchetStates,
  SenderKeys,
  SignedKeys,
} from "./signal-stores.js";

/** libsignal's limit. */
const REGISTRATION_ID_MAX = 0x3fff;
/** Ids of one-time keys rise from 1, those of lasting keys from here, up to libsignal's limit. */
export const FIRST_LASTING_ID = 0x80_0000;

/** A signed pre-key and a last-resort Kyber key, under one id. */
export interface LastingKeys {
  readonly id: number;
  readonly madeAtMs: number;
  /** When the node was known to have their successors; undefined before. */
  replacedAtMs: number | undefined;
}

/** One-time keys up to this id had been handed out by then. */
interface HandedOut {
  readonly throughId: number;
  readonly seenAtMs: number;
}

/** The sender key that this device writes to a group with. */
export interface OwnSenderKey {
  readonly distributionId: string;
  /** Devices that have it for certain, by formatAddress. */
  readonly holders: Set<string>;
  /** Devices that it was ever encrypted for: whether or not the node has accepted it, they may have it. */
  readonly given: Set<string>;
}

export class SignalState {
  readonly identityPair: IdentityKeyPair;
  readonly registrationId: number;
  readonly identities: Identities;
  ratchets = new RatchetStates();
  oneTimeKeys = new OneTimeKeys();
  signedKeys = new SignedKeys();
  kyberKeys = new KyberKeys(FIRST_LASTING_ID);
  senderKeys = new SenderKeys();
  /** By group, in hex. */
  own = new Map<string, OwnSenderKey>();
  /** The group that a sender key was given for, by sender and distribution id. */
  groupOfKey = new Map<string, Uint8Array>();
  nextOneTimeId = 1;
  /** Oldest first; the last one may not be at the node yet. */
  lasting: LastingKeys[] = [];
  /** Of `lasting`: what the node has for certain. */
  publishedId: number | undefined;
  /** Oldest first. */
  handedOut: HandedOut[] = [];

  private constructor(identities: Identities, identityPair: IdentityKeyPair, registrationId: number) {
    this.identities = identities;
    this.identityPair = identityPair;
    this.registrationId = registrationId;
  }

  static fresh(): SignalState {
    const pair = IdentityKeyPair.generate();
    const registrationId = randomInt(1, REGISTRATION_ID_MAX + 1);
    return new SignalState(new Identities(pair, registrationId), pair, registrationId);
  }

  copy(): SignalState {
    const copy = new SignalState(this.identities.copy(), this.identityPair, this.registrationId);
    copy.ratchets = this.ratchets.copy();
    copy.oneTimeKeys = this.oneTimeKeys.copy();
    copy.signedKeys = this.signedKeys.copy();
    copy.kyberKeys = this.kyberKeys.copy();
    copy.senderKeys = this.senderKeys.copy();
    for (const [group, { distributionId, holders, given }] of this.own)
      copy.own.set(group, { distributionId, holders: new Set(holders), given: new Set(given) });
    copy.groupOfKey = new Map(this.groupOfKey);
    copy.nextOneTimeId = this.nextOneTimeId;
    copy.lasting = this.lasting.map((keys) => ({ ...keys }));
    copy.publishedId = this.publishedId;
    copy.handedOut = [...this.handedOut];
    return copy;
  }
}
