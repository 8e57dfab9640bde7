/**
 * Presence: who of those that one has agreed with is here. It lives in memory, is never written, and goes only to
 * connections that asked for it (`presence.watch`).
 *
 *   device connects ─▶ account is here ──presenceOnlineMs──▶ shown ─▶ told to those who watch and have agreed
 *   last one leaves ─▶ account is gone ──presenceOfflineMs─▶ not shown ─▶ told alike
 *
 * What comes back within its time is never told: a connection that flaps shows nothing. Everything that one tick has for a
 * device is one frame. A device that is behind is not told; when it has caught up it is told all of it anew, so
 * that what it was told last is true, or will be soon.
 *
 * Invariants. Whether both have agreed is asked in the very turn in which something is told, so that nothing passes after a
 * withdrawal was answered. Work is bounded per tick by the agreements that are looked at; in a storm presence is late and
 * nothing else is. A whole state names everybody the watcher has agreed with, as here or not, so that it does not say who has
 * agreed, who exists, or who has withdrawn.
 */
import { type AccountAddress, accountOf, type DeviceAddress, deviceNumber } from "../base/address.js";
import { toHex } from "../base/bytes.js";
import type { Clock } from "../base/clock.js";
import type { ContactChange, Store } from "../store/store.js";
import { coverage } from "../wire/contacts.js";
import { encodeServerFrame } from "../wire/server-frame-writer.js";

export interface PresenceParts {
  readonly store: Pick<Store, "contacts">;
  readonly clock: Clock;
  readonly limits: {
    readonly presenceOnlineMs: number;
    readonly presenceOfflineMs: number;
    readonly presenceTickMs: number;
    readonly presenceRowsPerTick: number;
    readonly presenceRetryMs: number;
    readonly contactsMax: number;
  };
  /** Whether envelopes cross from the one account to the other. */
  readonly mayReach: (from: AccountAddress, to: AccountAddress) => boolean;
  /** Gives a frame to a device; false when it is behind and was not given it. */
  readonly tell: (device: DeviceAddress, frameOf: () => Uint8Array) => boolean;
}

/** By account in hex: a subject that went and came back is the same account. */
type News = Map<string, { readonly account: AccountAddress; readonly isOnline: boolean }>;

/** A connected device. */
interface Present {
  readonly address: DeviceAddress;
  isWatching: boolean;
  /** What this tick has for it: accounts, and whether they are here. While it waits to be told everything: who is gone. */
  readonly news: News;
  /** When it is told everything; undefined when it is up to date. */
  refreshAtMs: number | undefined;
}

interface Subject {
  readonly account: AccountAddress;
  /** The account in hex. */
  readonly name: string;
  readonly devices: Map<number, Present>;
  /** What others are told. */
  isShown: boolean;
}

const NEVER = Number.POSITIVE_INFINITY;

export class Presence {
  readonly #parts: PresenceParts;
  /** Accounts that are here, or are shown so still. */
  readonly #subjects = new Map<string, Subject>();
  /** Those that are not shown as they are, and when that is to be told; oldest first, but for two delays. */
  readonly #turning = new Map<Subject, number>();
  readonly #refreshing = new Set<Present>();
  readonly #withNews = new Set<Present>();
  #watching = 0;
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(parts: PresenceParts) {
    this.#parts = parts;
  }

  /** A device has a new connection, which has not asked for anything. */
  connected(address: DeviceAddress): void {
    const subject = this.#subjectOf(accountOf(address));
    const older = subject.devices.get(deviceNumber(address));
    if (older !== undefined) this.#forget(older);
    subject.devices.set(deviceNumber(address), {
      address,
      isWatching: false,
      news: new Map(),
      refreshAtMs: undefined,
    });
    this.#turn(subject);
  }

  disconnected(address: DeviceAddress): void {
    const subject = this.#subjects.get(toHex(accountOf(address)));
    const present = subject?.devices.get(deviceNumber(address));
    if (subject === undefined || present === undefined) return;
    this.#forget(present);
    subject.devices.delete(deviceNumber(address));
    this.#turn(subject);
  }

  /** The device's connection wants to be told from now on, first of everything as it is. */
  watch(address: DeviceAddress): void {
    const present = this.#present(address);
    if (present === undefined) return;
    if (!present.isWatching) this.#watching++;
    present.isWatching = true;
    this.#refreshAt(present, this.#parts.clock.monotonicMs());
  }

  unwatch(address: DeviceAddress): void {
    const present = this.#present(address);
    if (present !== undefined) this.#forget(present);
  }

  /** Two accounts may have agreed, or not any more: it is told at once. */
  contactsChanged({ account, other, before }: ContactChange): void {
    const [a, b] = [this.#subjects.get(toHex(account)), this.#subjects.get(toHex(other))];
    if (a === undefined || b === undefined || this.#isStopped) return;
    const now = this.#parts.store.contacts.both(account, other);
    // To somebody who has not agreed it must look as if nothing had happened.
    if (((before ^ now) & coverage.presence) === 0) return;
    const isOnline = (now & coverage.presence) !== 0;
    const { mayReach, clock } = this.#parts;
    if (a.isShown && mayReach(account, other)) this.#newsOf(a, b, isOnline);
    if (b.isShown && mayReach(other, account)) this.#newsOf(b, a, isOnline);
    this.#tellNews(clock.monotonicMs());
  }

  /** Nothing is told any more. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  #subjectOf(account: AccountAddress): Subject {
    const name = toHex(account);
    const known = this.#subjects.get(name);
    if (known !== undefined) return known;
    const subject = { account, name, devices: new Map(), isShown: false };
    this.#subjects.set(name, subject);
    return subject;
  }

  #present(address: DeviceAddress): Present | undefined {
    return this.#subjects.get(toHex(accountOf(address)))?.devices.get(deviceNumber(address));
  }

  /** Its connection is not told anything any more. */
  #forget(present: Present): void {
    if (present.isWatching) this.#watching--;
    present.isWatching = false;
    present.refreshAtMs = undefined;
    present.news.clear();
    this.#refreshing.delete(present);
  }

  /** A device came or went. */
  #turn(subject: Subject): void {
    const { clock, limits } = this.#parts;
    const isHere = subject.devices.size > 0;
    if (isHere === subject.isShown) {
      this.#turning.delete(subject);
      if (!isHere) this.#subjects.delete(subject.name);
    } else if (!this.#turning.has(subject)) {
      this.#turning.set(
        subject,
        clock.monotonicMs() + (isHere ? limits.presenceOnlineMs : limits.presenceOfflineMs),
      );
      this.#arm();
    }
  }

  #refreshAt(present: Present, atMs: number): void {
    present.refreshAtMs = atMs;
    // To the end: those that were tried and are behind do not keep others waiting.
    this.#refreshing.delete(present);
    this.#refreshing.add(present);
    this.#arm();
  }

  #arm(): void {
    if (this.#timer !== undefined || this.#isStopped) return;
    this.#timer = setTimeout(this.#tick, this.#parts.limits.presenceTickMs);
  }

  readonly #tick = (): void => {
    this.#timer = undefined;
    const nowMs = this.#parts.clock.monotonicMs();
    const rowsLeft = this.#turnAll(nowMs, this.#parts.limits.presenceRowsPerTick);
    this.#refreshAll(nowMs, rowsLeft);
    if (this.#turning.size + this.#refreshing.size > 0) this.#arm();
  };

  /** Returns how many agreements may still be looked at. */
  #turnAll(nowMs: number, rows: number): number {
    let rowsLeft = rows;
    for (const [subject, dueMs] of this.#turning) {
      if (rowsLeft <= 0) break;
      if (dueMs > nowMs) continue;
      this.#turning.delete(subject);
      subject.isShown = !subject.isShown;
      if (!subject.isShown) this.#subjects.delete(subject.name);
      rowsLeft -= this.#newsToAll(subject);
    }
    this.#tellNews(nowMs);
    return rowsLeft;
  }

  /** Whoever the account has agreed with and watches is told how it is; returns how many agreements there were. */
  #newsToAll(subject: Subject): number {
    if (this.#watching === 0) return 1;
    const { contacts } = this.#parts.store;
    const agreements = contacts.list(subject.account);
    for (const { account, covers } of agreements) {
      if ((covers & coverage.presence) === 0) continue;
      const watcher = this.#subjects.get(toHex(account));
      if (watcher !== undefined && this.#isVisible(subject.account, account))
        this.#newsOf(subject, watcher, subject.isShown);
    }
    return agreements.length + 1;
  }

  /** For the watcher's devices. The agreement is the caller's to have looked at. */
  #newsOf({ account, name }: Subject, watcher: Subject, isOnline: boolean): void {
    for (const present of watcher.devices.values()) {
      if (!present.isWatching) continue;
      if (present.refreshAtMs === undefined) {
        present.news.set(name, { account, isOnline });
        this.#withNews.add(present);
      } else if (!isOnline && present.news.size < this.#parts.limits.contactsMax) {
        // It may be in the own list no more by then, and so not among all.
        present.news.set(name, { account, isOnline });
      }
    }
  }

  #tellNews(nowMs: number): void {
    for (const present of this.#withNews) {
      const isTold = this.#parts.tell(present.address, () => frameOf(present.news));
      if (isTold) present.news.clear();
      else if (present.isWatching) this.#refreshAt(present, nowMs + this.#parts.limits.presenceRetryMs);
    }
    this.#withNews.clear();
  }

  #refreshAll(nowMs: number, rows: number): void {
    let rowsLeft = rows;
    for (const present of [...this.#refreshing]) {
      if (rowsLeft <= 0) break;
      if ((present.refreshAtMs ?? NEVER) > nowMs) continue;
      rowsLeft--;
      const isTold = this.#parts.tell(present.address, () => {
        const all = this.#allFor(accountOf(present.address));
        rowsLeft -= all.size;
        for (const [name, { account }] of present.news)
          if (!all.has(name)) all.set(name, { account, isOnline: false });
        return frameOf(all);
      });
      if (!present.isWatching) continue;
      if (!isTold) this.#refreshAt(present, nowMs + this.#parts.limits.presenceRetryMs);
      else {
        present.news.clear();
        present.refreshAtMs = undefined;
        this.#refreshing.delete(present);
      }
    }
  }

  /** Everybody whose presence the account has agreed to be told. */
  #allFor(watcher: AccountAddress): News {
    const all: News = new Map();
    for (const { account, covers } of this.#parts.store.contacts.list(watcher)) {
      if ((covers & coverage.presence) === 0) continue;
      const name = toHex(account);
      const isShown = this.#subjects.get(name)?.isShown === true;
      all.set(name, { account, isOnline: isShown && this.#isVisible(account, watcher) });
    }
    return all;
  }

  #isVisible(subject: AccountAddress, watcher: AccountAddress): boolean {
    const { store, mayReach } = this.#parts;
    return mayReach(subject, watcher) && (store.contacts.both(subject, watcher) & coverage.presence) !== 0;
  }
}

function frameOf(news: News): Uint8Array {
  const online: AccountAddress[] = [];
  const offline: AccountAddress[] = [];
  for (const { account, isOnline } of news.values()) (isOnline ? online : offline).push(account);
  return encodeServerFrame({ kind: "presence", online, offline });
}
