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
 * It makes one ciphertext for each device of whom a message is for and for the account's own other devices, or what a
 * group gets; repairs what is refused because a roster has changed, and repeats it; has the cipher decrypt what comes,
 * in order; and tells it of every version of a group's roster that this device makes.
 *
 * Invariants. Envelopes are handed to the client in the order in which they were encrypted (so it does not use the requests'
 * `renew`, which lets others go between). What was encrypted
 * for a device is never encrypted for it again. Whatever is sent to a group names the version whose devices it was encrypted for.
 *
 * What it does not do: keep anything over the end of the process. The cipher's state, `client.position` and what
 * onMessage was given belong into one transaction of the application, because a cipher decrypts a ciphertext once.
 *
 * A device that an account gets is not told to the groups of the account: it is left out until `rosterAgeMs` has gone by,
 * with a cipher that moves its groups until the next change of the group's roster or renewGroup.
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
import type { NoticeBody } from "../wire/notices.js";
import type { Cipher, GroupCiphertext, GroupDevices } from "./cipher.js";
import type { Client } from "./client.js";
import { InterlineError } from "./errors.js";
import { GroupView } from "./group-view.js";
import { KnownRosters } from "./known-rosters.js";
import { OneAtATime } from "./one-at-a-time.js";
import { accountOfLike, deviceOfLike } from "./requests.js";
import type { AccountLike, Envelope, GroupSendRequest, GroupVersion, Receipt, SendRequest } from "./types.js";

export type * from "./cipher.js";
export { RepeatedPayload } from "./cipher.js";

const REPAIRS_MAX = 5;
const ROSTER_AGE_MS = 60_000;
const GROUP_WAIT_MS = 10_000;

export interface EncryptedClientOptions<Suite extends SuiteName> {
  readonly client: Client;
  readonly cipher: Cipher<Suite>;
  /** The next envelope is handed over when its promise has resolved. It rejects: see `handlerFailed` of the client. */
  readonly onMessage: (message: Message) => unknown;
  /** Something came that the cipher refuses; taken when the promise has resolved. Without it, `handlerFailed`. */
  readonly onUnreadable?: (unreadable: Unreadable) => unknown;
  /** Right before an envelope is handed to the client, also when it was repaired. */
  readonly onEncrypted?: (encrypted: Encrypted) => void;
  /** For a group the devices of its members are asked for again after this time (60 s). */
  readonly rosterAgeMs?: number;
  /** How long a group send waits for the group's keys to follow a change of the roster (10 s). */
  readonly groupWaitMs?: number;
}

export interface Message {
  readonly plaintext: Uint8Array;
  readonly sender: DeviceAddress;
  readonly envelope: Envelope;
}

export interface Unreadable {
  readonly envelope: Envelope;
  /** RepeatedPayload when it was decrypted before. */
  readonly error: unknown;
}

export interface Encrypted {
  readonly plaintext: Uint8Array;
  readonly request: SendRequest | GroupSendRequest;
}

export interface EncryptedSend {
  /** Accounts; the own one need not be named. */
  readonly to: readonly AccountLike[];
  readonly plaintext: Uint8Array;
}

export interface EncryptedGroupSend {
  readonly group: AccountLike;
  readonly plaintext: Uint8Array;
}

export interface GroupReceipt extends Receipt {
  /** Devices of members that cannot read it, because they have uploaded no keys or gave too many away of late. */
  readonly leftOut: readonly DeviceAddress[];
}

/** The receipt in an object: whoever waits for the handing over does not wait for it. */
interface Handed {
  readonly receipt: Promise<Receipt>;
}

export class EncryptedClient<Suite extends SuiteName = SuiteName> {
  readonly #client: Client;
  readonly #cipher: Cipher<Suite>;
  readonly #options: EncryptedClientOptions<Suite>;
  /** Everything that the cipher does, with the handing over of what it made. */
  readonly #turns = new OneAtATime();
  readonly #rosters: KnownRosters;
  readonly #groups = new Map<string, GroupView>();

  constructor(options: EncryptedClientOptions<Suite>) {
    const { client, cipher } = options;
    this.#client = client;
    this.#cipher = cipher;
    this.#options = options;
    this.#rosters = new KnownRosters((account) => client.roster(account));
    client.on("group", (event) => this.#viewOf(event.group).follow(event));
    client.on("notice", ({ body }) => this.#told(body));
    client.on("envelope", (envelope) => this.#arrived(envelope));
  }

  get #account(): AccountAddress {
    return accountOf(this.#cipher.address);
  }

  /** Uploads what the cipher wants to be there. Call it once a run; while the client runs, low stocks are filled up by themselves. */
  async publishKeys(): Promise<void> {
    const stocks = await this.#client.keys.stock();
    const keys = await this.#turns.run(() => this.#cipher.refill(stocks));
    if (keys !== undefined) await this.#client.keys.upload(keys);
  }

  /** To all devices of the accounts and to this account's other ones. Rejects as `client.send` and `client.keys.claim` do. */
  async send({ to, plaintext }: EncryptedSend): Promise<Receipt> {
    const accounts = [...to.map(accountOfLike), this.#account];
    const distinct = [...new Map(accounts.map((account) => [toHex(account), account])).values()];
    const made = new Map<string, Uint8Array>();
    for (let repairs = 0; ; repairs++) {
      const { receipt } = await this.#turns.run(() => this.#handOver(distinct, plaintext, made));
      try {
        return await receipt;
      } catch (error) {
        if (!isCode(error, ["rosterStale"]) || repairs === REPAIRS_MAX) throw error;
        for (const difference of error.detail.rosters ?? []) this.#rosters.repair(difference);
      }
    }
  }

  /**
   * To all devices of all members. Rejects as `client.sendToGroup` does, and with `groupNotReady` when the group's
   * keys did not follow its roster in time: whoever changed it is gone. An admin's client renews the group then.
   */
  async sendToGroup({ group, plaintext }: EncryptedGroupSend): Promise<GroupReceipt> {
    const view = this.#viewOf(accountOfLike(group));
    const waitMs = this.#options.groupWaitMs ?? GROUP_WAIT_MS;
    let untilMs = performance.now() + waitMs;
    let isRenewed = false;
    for (let repairs = 0; ; ) {
      const { moves } = view;
      const handed = await this.#turns.run(async () => {
        const devices = await this.#devicesOf(view);
        const made = await this.#cipher.encryptToGroup(plaintext, devices, this.#claim);
        return made && { ...this.#handOverToGroup(devices, made, plaintext), made };
      });
      if (handed === undefined) {
        const leftMs = untilMs - performance.now();
        if (leftMs > 0) await view.next(moves, leftMs);
        else if (!isRenewed && (await this.#renewed(view))) {
          isRenewed = true;
          untilMs = performance.now() + waitMs;
        } else throw new InterlineError("groupNotReady");
        continue;
      }
      try {
        const receipt = await this.#settle(handed);
        return { ...receipt, leftOut: handed.made.leftOut };
      } catch (error) {
        if (!(await this.#isRepaired(view, error)) || repairs++ === REPAIRS_MAX) throw error;
      }
    }
  }

  /** As `client.groups.create`. */
  createGroup(others: readonly AccountLike[]): Promise<GroupVersion> {
    return this.#change(() => this.#client.groups.create(others));
  }

  /** As `client.groups.add`, for the version that this device knows. */
  addMembers(group: AccountLike, accounts: readonly AccountLike[]): Promise<GroupVersion> {
    const view = this.#viewOf(accountOfLike(group));
    return this.#change(async () => {
      const { version } = await view.roster();
      return this.#client.groups.add({ group: view.address, version, accounts });
    }, view);
  }

  /** As `client.groups.remove`, for the version that this device knows. */
  removeMembers(group: AccountLike, accounts: readonly AccountLike[]): Promise<GroupVersion> {
    const view = this.#viewOf(accountOfLike(group));
    return this.#change(async () => {
      const { version } = await view.roster();
      return this.#client.groups.remove({ group: view.address, version, accounts });
    }, view);
  }

  /** A new version with the same members, by an admin: the group's keys are made anew for the devices there are now. */
  renewGroup(group: AccountLike): Promise<GroupVersion> {
    const view = this.#viewOf(accountOfLike(group));
    return this.#change(async () => {
      await this.#forgetDevices(view);
      const { version } = await view.roster();
      const accounts = [this.#account];
      return this.#client.groups.setRole({ group: view.address, version, accounts, role: "admin" });
    }, view);
  }

  #told(body: NoticeBody): void {
    switch (body.notice) {
      case "roster":
        this.#rosters.forget(this.#account);
        return;
      case "lowKeys":
        // What goes wrong with it is no harm yet: the next start looks again.
        this.publishKeys().catch(() => undefined);
        return;
      case "identity": {
        const device = deviceOfLike(body.device as Uint8Array).slice();
        void this.#turns.run(async () => this.#cipher.identityChanged?.(device as DeviceAddress));
        return;
      }
    }
  }

  readonly #claim = (device: DeviceAddress) => this.#client.keys.claim(device, this.#cipher.suite);

  #viewOf(address: AccountAddress): GroupView {
    const known = this.#groups.get(toHex(address));
    if (known !== undefined) return known;
    const view = new GroupView(address, () => this.#client.groups.get(address));
    this.#groups.set(toHex(address), view);
    return view;
  }

  async #handOver(
    accounts: readonly AccountAddress[],
    plaintext: Uint8Array,
    made: Map<string, Uint8Array>,
  ): Promise<Handed> {
    const { encryptTo, address } = this.#cipher;
    if (encryptTo === undefined)
      throw new InterlineError("badArgument", { text: "this cipher knows only groups" });
    const to = [];
    for (const { account, version, devices: numbers } of await this.#rosters.of(accounts)) {
      const devices = [];
      for (const number of numbers) {
        const device = numberedDevice(account, number);
        if (equalBytes(device, address)) continue;
        const payload =
          made.get(toHex(device)) ?? (await encryptTo.call(this.#cipher, plaintext, device, this.#claim));
        made.set(toHex(device), payload);
        devices.push({ device: number, payload });
      }
      to.push({ account, version, devices });
    }
    const request = { to };
    this.#options.onEncrypted?.({ plaintext, request });
    return { receipt: this.#client.send(request) };
  }

  async #devicesOf(view: GroupView): Promise<GroupDevices> {
    const { version, members } = await view.roster();
    const accounts = members.map(({ account }) => account);
    const rosters = await this.#rosters.of(accounts, this.#options.rosterAgeMs ?? ROSTER_AGE_MS);
    const devices = rosters.flatMap(({ account, devices: numbers }) =>
      numbers.map((number) => numberedDevice(account, number)),
    );
    return { address: view.address, version, devices };
  }

  #handOverToGroup(
    { address, version }: GroupDevices,
    { shared, blocks }: GroupCiphertext,
    plaintext?: Uint8Array,
  ): Handed {
    const request = {
      group: address,
      version,
      shared,
      blocks: blocks.map(({ device, block }) => ({
        account: accountOf(device),
        device: deviceNumber(device),
        block,
      })),
    };
    if (plaintext !== undefined) this.#options.onEncrypted?.({ plaintext, request });
    return { receipt: this.#client.sendToGroup(request) };
  }

  async #settle({ receipt, made }: Handed & { readonly made: GroupCiphertext }): Promise<Receipt> {
    try {
      const accepted = await receipt;
      made.settled?.(true);
      return accepted;
    } catch (error) {
      made.settled?.(false);
      throw error;
    }
  }

  /** Whether the refusal was for what has changed: it is asked for anew. */
  async #isRepaired(view: GroupView, error: unknown): Promise<boolean> {
    if (!isCode(error, ["groupStale", "blockSurplus"])) return false;
    if (error.code === "groupStale") view.forget();
    else await this.#forgetDevices(view);
    return true;
  }

  async #forgetDevices(view: GroupView): Promise<void> {
    const { members } = await view.roster();
    for (const { account } of members) this.#rosters.forget(account);
  }

  async #renewed(view: GroupView): Promise<boolean> {
    const { members } = await view.roster();
    const own = members.find(({ account }) => equalBytes(account, this.#account));
    if (own?.role !== "admin") return false;
    await this.renewGroup(view.address);
    return true;
  }

  /** Has the node change the group, and the group's keys follow. */
  async #change(ask: () => Promise<GroupVersion>, known?: GroupView): Promise<GroupVersion> {
    let made: GroupVersion;
    for (let repeats = 0; ; repeats++) {
      try {
        made = await ask();
        break;
      } catch (error) {
        if (isCode(error, ["groupStale"])) known?.forget();
        if (!isCode(error, ["groupBusy"]) || repeats === REPAIRS_MAX) throw error;
        await new Promise((resolve) => setTimeout(resolve, error.retryAfterMs));
      }
    }
    await this.#moveGroup(known ?? this.#viewOf(made.group as AccountAddress), made.version);
    return made;
  }

  /** After the event of the version, and so after all that was sent for earlier ones. A later version's maker moves the group for this one too. */
  async #moveGroup(view: GroupView, version: number): Promise<void> {
    const { moveGroup } = this.#cipher;
    if (moveGroup === undefined) return;
    while (view.heardVersion < version) {
      const { moves } = view;
      await view.next(moves, this.#options.groupWaitMs ?? GROUP_WAIT_MS);
      if (view.moves === moves) throw new InterlineError("groupNotReady");
    }
    const handed = await this.#turns.run(async () => {
      const devices = await this.#devicesOf(view);
      if (devices.version !== version) return undefined;
      const made = await moveGroup.call(this.#cipher, devices, this.#claim);
      return { ...this.#handOverToGroup(devices, made), made };
    });
    if (handed === undefined) return;
    try {
      await this.#settle(handed);
    } catch (error) {
      if (!isCode(error, ["groupStale"])) throw error;
    } finally {
      view.moved();
    }
  }

  async #arrived(envelope: Envelope): Promise<void> {
    let plaintext: Uint8Array | undefined;
    try {
      plaintext = await this.#turns.run(() => this.#decrypt(envelope));
    } catch (error) {
      const { onUnreadable } = this.#options;
      if (onUnreadable === undefined) throw error;
      await onUnreadable({ envelope, error });
      return;
    } finally {
      if (envelope.group !== undefined) this.#viewOf(envelope.group.address as AccountAddress).moved();
    }
    if (plaintext !== undefined)
      await this.#options.onMessage({ plaintext, sender: envelope.sender, envelope });
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
    if (this.#cipher.decryptFrom === undefined)
      throw new InterlineError("badArgument", { text: "this cipher knows only groups" });
    return this.#cipher.decryptFrom(payload, sender);
  }
}

function isCode(error: unknown, codes: readonly InterlineError["code"][]): error is InterlineError {
  return error instanceof InterlineError && codes.includes(error.code);
}
