/**
 * A client whose application writes and reads plaintext: between the two stands a cipher (cipher.ts).
 *
 *   import { createClient } from "interline/client";
 *   import { EncryptedClient } from "interline/encrypted";
 *   const client = createClient({ url, token });
 *   const encrypted = new EncryptedClient({ client, cipher, onMessage: async ({ sender, plaintext }) => { … } });
 *   await client.connect();
 *   await encrypted.publishKeys();
 *   await encrypted.send({ to: [account], plaintext });
 *
 * It makes one ciphertext for each device of whom a message is for, or what a group gets, and for the account's own other
 * devices a transcript (content.ts); seals what the node is not to know the sender of; repairs what is refused because a roster
 * has changed, and repeats it; has the cipher decrypt what comes, in order; keeps the device's keys at the node up; and tells
 * the cipher of every version of a group's roster that this device makes.
 *
 *   send, sendToOwn, sendSealed, sendSealedShared ─▶ encrypted-sends.ts      publishKeys, renewKeys ─▶ key-upkeep.ts      groups ─▶ encrypted-groups.ts
 *
 * Invariants. Envelopes are handed to the client in the order in which they were encrypted (so it does not use the requests'
 * `renew`, which lets others go between). What was encrypted
 * for a device is never encrypted for it again. Whatever is sent to a group names the version whose devices it was encrypted for.
 *
 * What it does not do: keep anything over the end of the process. The cipher's state, `client.position` and what
 * onMessage was given belong into one transaction of the application, because a cipher decrypts a ciphertext once. Delivery
 * tokens of others are the application's to keep.
 *
 * Sealed envelopes are taken here when the cipher has openSealed; else they are the application's (`client.on("sealed")`).
 *
 * A device that an account gets is not told to the groups of the account: it is left out until `rosterAgeMs` has gone by,
 * with a cipher that moves its groups until the next change of the group's roster or groups.renew.
 */
import { type AccountAddress, accountOf, type DeviceAddress } from "../base/address.js";
import { toHex } from "../base/bytes.js";
import type { SuiteName } from "../wire/keys.js";
import type { NoticeBody } from "../wire/notices.js";
import type { Cipher } from "./cipher.js";
import { type Content, decodeContent, encodeContent } from "./content.js";
import { EncryptedGroups } from "./encrypted-groups.js";
import { cannot, EncryptedSends } from "./encrypted-sends.js";
import type {
  DeliveryTokenSharing,
  Encrypted,
  EncryptedClientOptions,
  EncryptedGroupSend,
  EncryptedSealedSend,
  EncryptedSealedSharedSend,
  EncryptedSend,
  GroupReceipt,
} from "./encrypted-types.js";
import { InterlineError } from "./errors.js";
import { KeyUpkeep } from "./key-upkeep.js";
import { KnownRosters } from "./known-rosters.js";
import { OneAtATime } from "./one-at-a-time.js";
import { accountOfLike, badArgument, deviceOfLike } from "./requests.js";
import type { AccountLike, Envelope, Receipt, SealedEnvelope } from "./types.js";

export type * from "./cipher.js";
export { RepeatedPayload } from "./cipher.js";
export type * from "./encrypted-types.js";

const ROSTER_AGE_MS = 60_000;
const GROUP_WAIT_MS = 10_000;
const KEY_AGE_MS = 2 * 24 * 3600_000;
const KEY_KEPT_MS = 35 * 24 * 3600_000;

/** Content is absent when an envelope was for the cipher alone, or of this device itself. */
interface Decrypted {
  readonly content: Uint8Array | undefined;
  readonly sender: DeviceAddress;
}

export class EncryptedClient<Suite extends SuiteName = SuiteName> {
  /** Changes of groups whose keys follow. */
  readonly groups: EncryptedGroups<Suite>;
  readonly #cipher: Cipher<Suite>;
  readonly #options: EncryptedClientOptions<Suite>;
  /** Everything that the cipher does, with the handing over of what it made. */
  readonly #turns = new OneAtATime();
  readonly #account: AccountAddress;
  readonly #rosters: KnownRosters;
  readonly #sends: EncryptedSends<Suite>;
  readonly #upkeep: KeyUpkeep<Suite>;

  constructor(options: EncryptedClientOptions<Suite>) {
    const { client, cipher, rosterAgeMs = ROSTER_AGE_MS, groupWaitMs = GROUP_WAIT_MS } = options;
    const { keyAgeMs: ageMs = KEY_AGE_MS, keyKeptMs: keptMs = KEY_KEPT_MS } = options;
    this.#cipher = cipher;
    this.#options = options;
    this.#account = accountOf(cipher.address);
    this.#rosters = new KnownRosters((account) => client.roster(account));
    const shop = {
      client,
      cipher,
      account: this.#account,
      turns: this.#turns,
      rosters: this.#rosters,
      claim: (device: DeviceAddress) => client.keys.claim(device, cipher.suite),
    };
    this.#sends = new EncryptedSends(shop, options.sealed);
    this.groups = new EncryptedGroups(shop, { rosterAgeMs, groupWaitMs });
    this.#upkeep = new KeyUpkeep({ cipher, turns: this.#turns, keys: client.keys, ageMs, keptMs });
    client.on("closed", () => this.#upkeep.end());
    client.on("group", (event) => this.groups.follow(event));
    client.on("notice", ({ body }) => this.#told(body));
    client.on("envelope", (envelope) => this.#arrived(envelope));
    const { openSealed } = cipher;
    if (openSealed !== undefined)
      client.on("sealed", (envelope) => this.#opened(envelope, openSealed.bind(cipher)));
  }

  /**
   * Uploads what the cipher wants to be there. Call it once a run; from then on, low stocks are filled up and old keys
   * made anew by themselves.
   */
  publishKeys(): Promise<void> {
    return this.#upkeep.publish();
  }

  /** The same, and every key that is handed out again and again is made anew, whatever its age. */
  renewKeys(): Promise<void> {
    return this.#upkeep.publish(0);
  }

  /**
   * To all devices of the accounts, and a transcript to this account's other ones. Rejects as `client.send` and
   * `client.keys.claim` do, and with `cipherCannot` when the cipher knows only groups.
   */
  async send({ to, plaintext }: EncryptedSend): Promise<Receipt> {
    const others = this.#others(to);
    const contents = {
      own: encodeContent({ kind: "transcript", to: others, plaintext }),
      others: encodeContent({ kind: "message", plaintext }),
    };
    return this.#sends.send([...others, this.#account], contents, this.#telling(plaintext));
  }

  /**
   * To this account's other devices alone, as a transcript of what went to the accounts of `to` by another way; to nobody:
   * `[]`. Rejects like `send`.
   */
  async sendToOwn({ to, plaintext }: EncryptedSend): Promise<Receipt> {
    const own = encodeContent({ kind: "transcript", to: this.#others(to), plaintext });
    return this.#sends.send([this.#account], { own, others: own }, this.#telling(plaintext));
  }

  /**
   * To all devices of one other account, over the connection `sealed`, and then a transcript to this account's other
   * devices over the named one. Rejects as `sealed.send` and `client.keys.claim` do, with `cipherCannot` when the cipher does not seal,
   * and with `transcriptFailed` when only the transcript failed (its cause says why): `sendToOwn` repeats that.
   */
  async sendSealed({ to, deliveryToken, plaintext }: EncryptedSealedSend): Promise<Receipt> {
    const account = accountOfLike(to);
    const content = encodeContent({ kind: "message", plaintext });
    const receipt = await this.#sends.sendSealed(
      { account, deliveryToken },
      content,
      this.#telling(plaintext),
    );
    await this.#sendTranscript([account], plaintext);
    return receipt;
  }

  /**
   * To all devices of several other accounts over the connection `sealed`: as one envelope, to all of them or none, when the cipher
   * has sealToAll; else as a sealed envelope for each account, in their order, until one is refused. The error's `detail.accounts`
   * are those that the refusal is about. Each account learns which others it went to.
   *
   * **Name the own account too**, with its own token: then nobody can tell the sender by who is left out, and this account's
   * other devices get it in the same envelope. Otherwise, and always without sealToAll, a transcript follows over the named connection, as
   * of `sendSealed`. Rejects like it.
   */
  async sendSealedShared({ to, plaintext }: EncryptedSealedSharedSend): Promise<GroupReceipt> {
    const others = this.#others(to.map(({ account }) => account));
    if (others.length === 0) throw badArgument("a sealed send to its own account alone");
    const tokens = new Map(
      to.map(({ account, deliveryToken }) => [toHex(accountOfLike(account)), deliveryToken]),
    );
    const peers = others.map((account) => ({
      account,
      deliveryToken: tokens.get(toHex(account)) as Uint8Array,
    }));
    const content = encodeContent({ kind: "joint", to: others, plaintext });
    const telling = this.#telling(plaintext);
    const ownToken = tokens.get(toHex(this.#account));
    if (this.#cipher.sealToAll === undefined) {
      const receipt = await this.#sends.sendSealedToEach(peers, content, telling);
      await this.#sendTranscript(others, plaintext);
      return receipt;
    }
    if (ownToken !== undefined) peers.push({ account: this.#account, deliveryToken: ownToken });
    const receipt = await this.#sends.sendSealedShared(peers, content, telling);
    if (ownToken === undefined) await this.#sendTranscript(others, plaintext);
    return receipt;
  }

  /** Tells the accounts, and this account's other devices, with what they may send to this account sealed. Rejects like `send`. */
  async shareDeliveryToken({ to, deliveryToken }: DeliveryTokenSharing): Promise<Receipt> {
    const content = encodeContent({ kind: "deliveryToken", deliveryToken });
    const accounts = [...this.#others(to), this.#account];
    return this.#sends.send(accounts, { own: content, others: content }, () => undefined);
  }

  /**
   * To all devices of all members. Rejects as `client.sendToGroup` does, and with `groupNotReady` when the group's
   * keys did not follow its roster in time: whoever changed it is gone. An admin's client renews the group then.
   */
  sendToGroup({ group, plaintext }: EncryptedGroupSend): Promise<GroupReceipt> {
    const content = encodeContent({ kind: "message", plaintext });
    return this.groups.send(accountOfLike(group), content, this.#telling(plaintext));
  }

  async #sendTranscript(to: readonly AccountAddress[], plaintext: Uint8Array): Promise<void> {
    try {
      await this.sendToOwn({ to, plaintext });
    } catch (cause) {
      throw new InterlineError("transcriptFailed", { cause });
    }
  }

  #telling(plaintext: Uint8Array): (request: Encrypted["request"]) => void {
    return (request) => this.#options.onEncrypted?.({ plaintext, request });
  }

  #told(body: NoticeBody): void {
    switch (body.notice) {
      case "roster":
        this.#rosters.forget(this.#account);
        return;
      case "lowKeys":
        this.#upkeep.look();
        return;
      case "identity": {
        const device = deviceOfLike(body.device as Uint8Array).slice();
        void this.#turns.run(async () => this.#cipher.identityChanged?.(device as DeviceAddress));
        return;
      }
    }
  }

  /** Each once, without the own. */
  #others(accounts: readonly AccountLike[]): AccountAddress[] {
    const distinct = new Map(accounts.map(accountOfLike).map((account) => [toHex(account), account]));
    distinct.delete(toHex(this.#account));
    return [...distinct.values()];
  }

  async #arrived(envelope: Envelope): Promise<void> {
    const { sender, group } = envelope;
    try {
      await this.#take(envelope, sender, async () => ({
        content: await this.#decrypt(envelope),
        sender,
      }));
    } finally {
      if (group !== undefined) this.groups.moved(group.address);
    }
  }

  #opened(envelope: SealedEnvelope, open: NonNullable<Cipher["openSealed"]>): Promise<void> {
    const { payload, timeMs, block } = envelope;
    return this.#take(envelope, undefined, async () => {
      const opened = await open(payload, timeMs, block);
      return { content: opened?.plaintext, sender: opened?.from ?? this.#cipher.address };
    });
  }

  async #take(
    envelope: Envelope | SealedEnvelope,
    named: DeviceAddress | undefined,
    decrypt: () => Promise<Decrypted>,
  ): Promise<void> {
    let content: Content | undefined;
    let sender: DeviceAddress;
    try {
      const decrypted = await this.#turns.run(decrypt);
      sender = decrypted.sender;
      const origin = { sender, reader: this.#account, isGroup: envelope.group !== undefined };
      content = decrypted.content && decodeContent(decrypted.content, origin);
    } catch (error) {
      const { onUnreadable } = this.#options;
      if (onUnreadable === undefined) throw error;
      await onUnreadable({ envelope, sender: named, error });
      return;
    }
    const isSealed = named === undefined;
    switch (content?.kind) {
      case "message":
      case "transcript":
      case "joint": {
        const sentTo = content.kind === "transcript" ? content.to : undefined;
        const sharedWith = content.kind === "joint" ? this.#others(content.to) : undefined;
        const { plaintext } = content;
        await this.#options.onMessage({ plaintext, sender, sentTo, sharedWith, isSealed, envelope });
        return;
      }
      case "deliveryToken":
        await this.#options.onDeliveryToken?.({
          account: accountOf(sender),
          deliveryToken: content.deliveryToken,
        });
    }
  }

  async #decrypt({ group, sender, payload, block }: Envelope): Promise<Uint8Array | undefined> {
    if (group !== undefined) {
      const { address, version } = group;
      return this.#cipher.decryptFromGroup({
        address,
        version,
        from: sender,
        shared: payload,
        block: block ?? new Uint8Array(0),
      });
    }
    if (this.#cipher.decryptFrom === undefined) throw cannot("decrypt what is for a single device");
    return this.#cipher.decryptFrom(payload, sender);
  }
}
