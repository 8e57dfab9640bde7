/**
 * Groups of an EncryptedClient: sends to them, and changes of them, with the group's keys following its roster by either of the
 * two ways that cipher.ts tells of.
 *
 * Invariants. Whatever is sent to a group names the version whose devices it was encrypted for. What moves a group's keys
 * for a version is the first envelope for it, made by the device that made the version.
 */

import { type AccountAddress, accountOf, deviceNumber } from "../base/address.js";
import { equalBytes, toHex } from "../base/bytes.js";
import type { GroupEvent } from "../wire/groups.js";
import type { SuiteName } from "../wire/keys.js";
import type { GroupCiphertext, GroupDevices } from "./cipher.js";
import { devicesOf, type Handed, REPAIRS_MAX, settling, type Workshop } from "./encrypted-sends.js";
import type { GroupReceipt } from "./encrypted-types.js";
import { InterlineError, isCode } from "./errors.js";
import { GroupView } from "./group-view.js";
import { accountOfLike } from "./requests.js";
import type { AccountLike, GroupSendRequest, GroupVersion } from "./types.js";

export interface GroupTimes {
  readonly rosterAgeMs: number;
  readonly groupWaitMs: number;
}

type OnEncrypted = (request: GroupSendRequest) => void;

export class EncryptedGroups<Suite extends SuiteName = SuiteName> {
  readonly #shop: Workshop<Suite>;
  readonly #times: GroupTimes;
  readonly #views = new Map<string, GroupView>();

  /** Made by EncryptedClient. */
  constructor(shop: Workshop<Suite>, times: GroupTimes) {
    this.#shop = shop;
    this.#times = times;
  }

  /** As `client.groups.create`. */
  create(others: readonly AccountLike[]): Promise<GroupVersion> {
    return this.#change(() => this.#shop.client.groups.create(others));
  }

  /** As `client.groups.add`, for the version that this device knows. */
  add(group: AccountLike, accounts: readonly AccountLike[]): Promise<GroupVersion> {
    const view = this.#viewOf(accountOfLike(group));
    return this.#change(async () => {
      const { version } = await view.roster();
      return this.#shop.client.groups.add({ group: view.address, version, accounts });
    }, view);
  }

  /** As `client.groups.remove`, for the version that this device knows. */
  remove(group: AccountLike, accounts: readonly AccountLike[]): Promise<GroupVersion> {
    const view = this.#viewOf(accountOfLike(group));
    return this.#change(async () => {
      const { version } = await view.roster();
      return this.#shop.client.groups.remove({ group: view.address, version, accounts });
    }, view);
  }

  /** A new version with the same members, by an admin: the group's keys are made anew for the devices there are now. */
  renew(group: AccountLike): Promise<GroupVersion> {
    const view = this.#viewOf(accountOfLike(group));
    return this.#change(async () => {
      await this.#forgetDevices(view);
      const { version } = await view.roster();
      const accounts = [this.#shop.account];
      return this.#shop.client.groups.setRole({ group: view.address, version, accounts, role: "admin" });
    }, view);
  }

  /** EncryptedClient.sendToGroup, with the content to encrypt. */
  async send(group: AccountAddress, content: Uint8Array, onEncrypted: OnEncrypted): Promise<GroupReceipt> {
    const view = this.#viewOf(group);
    const waitMs = this.#times.groupWaitMs;
    let untilMs = performance.now() + waitMs;
    let isRenewed = false;
    for (let repairs = 0; ; ) {
      const { moves } = view;
      const handed = await this.#shop.turns.run(async () => {
        const devices = await this.#devicesOf(view);
        const made = await this.#shop.cipher.encryptToGroup(content, devices, this.#shop.claim);
        return made && { ...this.#handOver(devices, made, onEncrypted), made };
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
        const receipt = await settling(handed.receipt, handed.made);
        return { ...receipt, leftOut: handed.made.leftOut };
      } catch (error) {
        if (!(await this.#isRepaired(view, error)) || repairs++ === REPAIRS_MAX) throw error;
      }
    }
  }

  /** What the node tells of a group, in order with its envelopes. */
  follow(event: GroupEvent): void {
    this.#viewOf(event.group as AccountAddress).follow(event);
  }

  /** An envelope of the group has been taken. */
  moved(group: AccountAddress): void {
    this.#viewOf(group).moved();
  }

  #viewOf(address: AccountAddress): GroupView {
    const known = this.#views.get(toHex(address));
    if (known !== undefined) return known;
    const view = new GroupView(address, () => this.#shop.client.groups.get(address));
    this.#views.set(toHex(address), view);
    return view;
  }

  async #devicesOf(view: GroupView): Promise<GroupDevices> {
    const { version, members } = await view.roster();
    const accounts = members.map(({ account }) => account);
    const rosters = await this.#shop.rosters.of(accounts, this.#times.rosterAgeMs);
    return { address: view.address, version, devices: devicesOf(rosters) };
  }

  #handOver(
    { address, version }: GroupDevices,
    { shared, blocks }: GroupCiphertext,
    onEncrypted?: OnEncrypted,
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
    onEncrypted?.(request);
    return { receipt: this.#shop.client.sendToGroup(request) };
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
    for (const { account } of members) this.#shop.rosters.forget(account);
  }

  async #renewed(view: GroupView): Promise<boolean> {
    const { members } = await view.roster();
    const own = members.find(({ account }) => equalBytes(account, this.#shop.account));
    if (own?.role !== "admin") return false;
    await this.renew(view.address);
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
    const { moveGroup } = this.#shop.cipher;
    if (moveGroup === undefined) return;
    while (view.heardVersion < version) {
      const { moves } = view;
      await view.next(moves, this.#times.groupWaitMs);
      if (view.moves === moves) throw new InterlineError("groupNotReady");
    }
    const handed = await this.#shop.turns.run(async () => {
      const devices = await this.#devicesOf(view);
      if (devices.version !== version) return undefined;
      const made = await moveGroup.call(this.#shop.cipher, devices, this.#shop.claim);
      return { ...this.#handOver(devices, made), made };
    });
    if (handed === undefined) return;
    try {
      await settling(handed.receipt, handed.made);
    } catch (error) {
      if (!isCode(error, ["groupStale"])) throw error;
    } finally {
      view.moved();
    }
  }
}
