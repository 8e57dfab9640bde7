/**
 * One ciphertext for each device of whom a message is for, or one for all of them: how EncryptedClient sends to accounts, named and sealed.
 *
 *   content ─▶ rosters ─▶ encryptTo or sealTo, once per device ─▶ client.send or sealed.send ─▶ receipt
 *                 ▲                                                            │
 *                 └──────────── what was missing, what was surplus ◀── rosterStale
 *
 *   content ─▶ rosters ─▶ sealToAll, once for all ─▶ sealed.sendShared ─▶ receipt; after rosterStale, all of it again
 *
 * Invariants. What was encrypted for a device alone is never encrypted for it again. Envelopes are handed over in the order in
 * which they were encrypted. Over the sealed connection nothing goes that would name this device but what the cipher sealed;
 * the devices of an account are learned there, from its refusal, and their keys claimed there: neither is asked for by name.
 */
import {
  type AccountAddress,
  accountOf,
  type DeviceAddress,
  deviceNumber,
  numberedDevice,
} from "../base/address.js";
import { equalBytes, toHex } from "../base/bytes.js";
import type { SuiteName } from "../wire/keys.js";
import type { Cipher, Claim, GroupCiphertext } from "./cipher.js";
import type { Client } from "./client.js";
import type { GroupReceipt } from "./encrypted-types.js";
import { InterlineError, isCode } from "./errors.js";
import { KnownRosters } from "./known-rosters.js";
import type { OneAtATime } from "./one-at-a-time.js";
import { badArgument } from "./requests.js";
import type { SealedClient } from "./sealed.js";
import type {
  Payload,
  Receipt,
  Roster,
  SealedSendRequest,
  SealedSharedSendRequest,
  SendRequest,
} from "./types.js";

export const REPAIRS_MAX = 5;

/** What the parts of an EncryptedClient share. */
export interface Workshop<Suite extends SuiteName> {
  readonly client: Client;
  readonly cipher: Cipher<Suite>;
  /** The account of the cipher's device. */
  readonly account: AccountAddress;
  /** Everything that the cipher does, with the handing over of what it made. */
  readonly turns: OneAtATime;
  readonly rosters: KnownRosters;
  readonly claim: Claim<Suite>;
}

/** For devices of this account, and for all others. */
export interface Contents {
  readonly own: Uint8Array;
  readonly others: Uint8Array;
}

/** The receipt in an object: whoever waits for the handing over does not wait for it. */
export interface Handed {
  readonly receipt: Promise<Receipt>;
}

/** One that a refusal as stale is not the end of. */
interface Attempt extends Handed {
  /** The rosters whose devices it listed. */
  readonly madeFor: readonly Roster[];
}

/** Somebody else who may be written to sealed, or this account. */
export interface SealedPeer {
  readonly account: AccountAddress;
  readonly deliveryToken: Uint8Array;
}

/** Asks for the devices of accounts that are not known, by its refusal: never accepted, because an account that has a token has a roster. */
const NOTHING: GroupCiphertext = { shared: new Uint8Array(0), blocks: [], leftOut: [] };

/** Payloads by device, in hex. */
type Made = Map<string, Uint8Array>;

type Encrypt = (content: Uint8Array, to: DeviceAddress) => Promise<Uint8Array>;

export class EncryptedSends<Suite extends SuiteName> {
  readonly #shop: Workshop<Suite>;
  readonly #sealed: SealedClient | undefined;
  /** Apart from what the named connection knows, and unknown at first: version 0. */
  readonly #sealedRosters = new KnownRosters(async (account) => ({ account, version: 0, devices: [] }));

  constructor(shop: Workshop<Suite>, sealed: SealedClient | undefined) {
    this.#shop = shop;
    this.#sealed = sealed;
  }

  /** To all devices of the accounts, of which this device's own is one, except this device. */
  send(
    accounts: readonly AccountAddress[],
    contents: Contents,
    onEncrypted: (request: SendRequest) => void,
  ): Promise<Receipt> {
    const { cipher, client, account: own, rosters, claim } = this.#shop;
    const { encryptTo } = cipher;
    if (encryptTo === undefined) throw cannot("encrypt for a single device");
    const encrypt: Encrypt = (content, to) => encryptTo.call(cipher, content, to, claim);
    return this.#repairing(rosters, async (made) => {
      const to = [];
      const madeFor = await rosters.of(accounts);
      for (const roster of madeFor) {
        const content = equalBytes(roster.account, own) ? contents.own : contents.others;
        const devices = await this.#payloads(roster, content, made, encrypt);
        to.push({ account: roster.account, version: roster.version, devices });
      }
      const request = { to };
      onEncrypted(request);
      return { receipt: client.send(request), madeFor };
    });
  }

  /** To all devices of another account, which the node does not learn the sender of. */
  sendSealed(
    { account, deliveryToken }: SealedPeer,
    content: Uint8Array,
    onEncrypted: (request: SealedSendRequest) => void,
  ): Promise<Receipt> {
    const { cipher, account: own } = this.#shop;
    const { sealTo } = cipher;
    if (sealTo === undefined) throw cannot("seal");
    const sealed = this.#sealedClient();
    if (equalBytes(account, own)) throw badArgument("a sealed send to its own account");
    const claim: Claim<Suite> = (device) => sealed.claimKeys({ device, suite: cipher.suite, deliveryToken });
    const encrypt: Encrypt = (bytes, to) => sealTo.call(cipher, bytes, to, claim);
    return this.#repairing(this.#sealedRosters, async (made) => {
      const [roster] = (await this.#sealedRosters.of([account])) as [Roster];
      const devices = await this.#payloads(roster, content, made, encrypt);
      const request = { account, deliveryToken, version: roster.version, devices };
      onEncrypted(request);
      return { receipt: sealed.send(request), madeFor: [roster] };
    });
  }

  /** To all devices of several accounts, of which this device's own may be one, in one envelope. Their order says nothing. */
  async sendSealedShared(
    peers: readonly SealedPeer[],
    content: Uint8Array,
    onEncrypted: (request: SealedSharedSendRequest) => void,
  ): Promise<GroupReceipt> {
    const { cipher } = this.#shop;
    const { sealToAll } = cipher;
    if (sealToAll === undefined) throw cannot("seal for many");
    const sealed = this.#sealedClient();
    const tokens = new Map(peers.map(({ account, deliveryToken }) => [toHex(account), deliveryToken]));
    const accounts = peers.map(({ account }) => account).sort((a, b) => (toHex(a) < toHex(b) ? -1 : 1));
    const claim: Claim<Suite> = (device) => {
      const deliveryToken = tokens.get(toHex(accountOf(device))) as Uint8Array;
      return sealed.claimKeys({ device, suite: cipher.suite, deliveryToken });
    };
    let last = NOTHING;
    const receipt = await this.#repairing(this.#sealedRosters, async () => {
      const known = await this.#sealedRosters.of(accounts);
      const isComplete = known.every(({ version }) => version > 0);
      const madeFor = isComplete ? known : known.map((roster) => ({ ...roster, devices: [] }));
      const made = isComplete ? await sealToAll.call(cipher, content, devicesOf(known), claim) : NOTHING;
      last = made;
      const blocks = new Map(made.blocks.map(({ device, block }) => [toHex(device), block]));
      const to = madeFor.map(({ account, version, devices }) => ({
        account,
        deliveryToken: tokens.get(toHex(account)) as Uint8Array,
        version,
        devices: devices.map((device) => ({
          device,
          block: blocks.get(toHex(numberedDevice(account, device))) as Uint8Array,
        })),
      }));
      const request = { shared: made.shared, to };
      if (isComplete) onEncrypted(request);
      return { receipt: settling(sealed.sendShared(request), made), madeFor };
    });
    return { ...receipt, leftOut: last.leftOut };
  }

  /**
   * The same in an envelope for each account, in their order, until one is refused: for ciphers that seal for single devices. The error's
   * `detail.accounts` is the one that was refused.
   */
  async sendSealedToEach(
    peers: readonly SealedPeer[],
    content: Uint8Array,
    onEncrypted: (request: SealedSendRequest) => void,
  ): Promise<GroupReceipt> {
    let last: Receipt | undefined;
    for (const peer of peers) {
      try {
        last = await this.sendSealed(peer, content, onEncrypted);
      } catch (cause) {
        if (!(cause instanceof InterlineError)) throw cause;
        const { code, number, retryAfterMs, detail } = cause;
        const about = { ...detail, accounts: [peer.account] };
        throw new InterlineError(code, { number, retryAfterMs, detail: about, cause });
      }
    }
    return { ...(last as Receipt), leftOut: [] };
  }

  #sealedClient(): SealedClient {
    if (this.#sealed === undefined) throw badArgument("sealed sends go out over the option `sealed`");
    return this.#sealed;
  }

  async #repairing(rosters: KnownRosters, handOver: (made: Made) => Promise<Attempt>): Promise<Receipt> {
    const made: Made = new Map();
    for (let repairs = 0; ; repairs++) {
      const { receipt, madeFor } = await this.#shop.turns.run(() => handOver(made));
      try {
        return await receipt;
      } catch (error) {
        if (!isCode(error, ["rosterStale"]) || repairs === REPAIRS_MAX) throw error;
        for (const difference of error.detail.rosters ?? []) rosters.repair(difference, madeFor);
      }
    }
  }

  async #payloads(
    { account, devices: numbers }: Roster,
    content: Uint8Array,
    made: Made,
    encrypt: Encrypt,
  ): Promise<Payload[]> {
    const payloads = [];
    for (const number of numbers) {
      const device = numberedDevice(account, number);
      if (equalBytes(device, this.#shop.cipher.address)) continue;
      const payload = made.get(toHex(device)) ?? (await encrypt(content, device));
      made.set(toHex(device), payload);
      payloads.push({ device: deviceNumber(device), payload });
    }
    return payloads;
  }
}

export function devicesOf(rosters: readonly Roster[]): DeviceAddress[] {
  return rosters.flatMap(({ account, devices }) => devices.map((number) => numberedDevice(account, number)));
}

/** Tells the cipher what became of it. */
export async function settling(receipt: Promise<Receipt>, made: GroupCiphertext): Promise<Receipt> {
  try {
    const accepted = await receipt;
    made.settled?.(true);
    return accepted;
  } catch (error) {
    made.settled?.(false);
    throw error;
  }
}

export function cannot(what: string): InterlineError {
  return new InterlineError("cipherCannot", { text: what });
}
