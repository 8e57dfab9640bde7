/**
 * Notices: what the node itself has to say to devices, sent like any envelope, so that they are sequenced, queued,
 * delivered in order and acked. The store keeps each from the transaction of the change that it tells of until the
 * commit that holds it is flushed; what is left at an open goes out again under the same id.
 *
 *   outbox ─▶ waiting ─▶ inbox ─▶ in flight ─▶ receipt: gone from the outbox
 *                ▲                   └──────▶ refused for want of room: waits again
 *                └──────────────────────────────┘
 *
 * The node is a device of its own (own-device.ts): its sends are counted, receipted and refused like everybody's. What
 * makes it different in the kernel is one thing: it may leave devices out.
 *
 * Of one account only one notice is on its way at a time, so that a refusal cannot turn two of them round.
 *
 * The event of a group's change is sequenced with the group's messages: from the moment in which the new roster is
 * resident nothing is taken for an older one, and while its event is owed nothing is taken for the new one either
 * (the kernel holds the group), save the event itself, which goes to the group's members like an envelope of theirs.
 * So everybody gets all of one version, then the event, then what is of the next, whatever is refused meanwhile. Who is
 * no member any more is told by a notice of his own, once the roster without him is resident.
 */
import type { AccountAddress } from "../base/address.js";
import { assert } from "../base/assert.js";
import { toHex } from "../base/bytes.js";
import type { StoredNotice } from "../store/store.js";
import { encodeClientFrame } from "../wire/client-frames.js";
import { codeName, codes } from "../wire/codes.js";
import { NODE_ACCOUNT } from "../wire/notices.js";
import { decodeServerMessage } from "../wire/server-frames.js";
import { attachOwn } from "./own-device.js";
import type { Attachment, PathState } from "./state.js";

const NO_BLOCK = new Uint8Array(0);
const NODE = { account: NODE_ACCOUNT, ordinal: 0 };

export class Notices {
  /** The node's own device in the kernel; undefined until it first had something to say. */
  device: Attachment | undefined;
  /** Sends of the device so far. */
  position = 0;
  /** The store may hold notices numbered above `readThrough`. */
  isUnread = true;
  readThrough = 0;
  /** Read and not on their way, in order. */
  waiting: StoredNotice[] = [];
  readonly inFlight = new Map<number, StoredNotice>();
  /** Positions of the group events that went into the inbox in this turn. */
  readonly injectedEvents: number[] = [];
  /** Numbers of group events that the kernel has taken and the store still holds. */
  readonly takenEvents = new Set<number>();
  /** Groups whose event will never be taken. */
  readonly endedEvents: AccountAddress[] = [];
  retryAtMs = 0;

  stored(): void {
    this.isUnread = true;
  }

  get isWaiting(): boolean {
    return this.isUnread || this.waiting.length > 0;
  }
}

export function injectNotices(state: PathState): void {
  const { notices, moment } = state;
  if (!notices.isWaiting || state.hasFailed || moment.monotonicMs < notices.retryAtMs) return;
  read(state);
  if (notices.waiting.length === 0) return;
  notices.device ??= attachOwn(state, NODE, (bytes) => told(state, bytes));
  if (notices.device === undefined) {
    notices.retryAtMs = moment.monotonicMs + state.limits.noticeRetryMs;
    return;
  }
  const busy = new Set([...notices.inFlight.values()].flatMap(accountsOf));
  notices.waiting = notices.waiting.filter((notice) => {
    const accounts = accountsOf(notice);
    const isSent = !accounts.some((account) => busy.has(account)) && inject(state, notice);
    for (const account of accounts) busy.add(account);
    return !isSent;
  });
}

/** Whom it is for: accounts, or a group. */
const accountsOf = (notice: StoredNotice): string[] =>
  isGroupEvent(notice)
    ? [toHex(notice.group.address)]
    : notice.recipients.map(({ account }) => toHex(account));

function isGroupEvent(
  notice: StoredNotice,
): notice is StoredNotice & { readonly group: NonNullable<StoredNotice["group"]> } {
  return notice.group !== undefined && notice.recipients.length === 0;
}

function read({ notices, store, limits }: PathState): void {
  const room = limits.noticesInFlightMax - notices.waiting.length - notices.inFlight.size;
  if (!notices.isUnread || room <= 0) return;
  const rows = store.notices(notices.readThrough, room);
  notices.waiting.push(...rows);
  notices.readThrough = rows.at(-1)?.number ?? notices.readThrough;
  notices.isUnread = rows.length > 0;
}

/** Puts the notice into the inbox; false when there is no room now. */
function inject(state: PathState, notice: StoredNotice): boolean {
  const { kernel, notices } = state;
  // Of one change the event comes first: whoever is told besides is told by the roster that it has brought.
  if (
    notice.group !== undefined &&
    (isGroupEvent(notice) || state.store.owedEvent(notice.group.address) === undefined)
  )
    takeRoster(state, notice.group);
  const frame = isGroupEvent(notice) ? eventFrame(notice) : noticeFrame(state, notice);
  const device = notices.device as Attachment;
  if (!kernel.push(device.slot, device.number, frame)) return false;
  notices.inFlight.set(++notices.position, notice);
  if (isGroupEvent(notice)) notices.injectedEvents.push(notices.position);
  return true;
}

/** From here on nothing goes by the roster before the change. A group that is gone has nobody in it. */
function takeRoster(state: PathState, { address, version }: NonNullable<StoredNotice["group"]>): void {
  const group = state.group(address);
  state.kernel.loadGroup(group.version === 0 ? { address, version, members: [] } : group);
}

function eventFrame({ id, payload, group }: StoredNotice): Uint8Array {
  assert(group !== undefined, "the event of a group");
  const { address, version } = group;
  return encodeClientFrame({ kind: "groupSend", id, group: address, version, shared: payload, blocks: [] });
}

/** Devices that are gone by now are passed over. What tells of a group may be long, and is written once for all. */
function noticeFrame(state: PathState, { id, payload, group, recipients }: StoredNotice): Uint8Array {
  const listed = recipients.map(({ account, devices }) => {
    const record = state.account(account);
    // The kernel's copy of the roster may be older than the change that the notice tells of.
    state.kernel.loadAccount(record);
    return {
      account,
      version: record.version,
      numbers: devices ?? record.devices.map(({ number }) => number),
    };
  });
  const accounts = <Own>(own: Own) =>
    listed.map(({ account, version, numbers }) => ({
      account,
      version,
      devices: numbers.map((device) => ({ device, ...own })),
    }));
  return group === undefined
    ? encodeClientFrame({ kind: "send", id, accounts: accounts({ payload }) })
    : encodeClientFrame({ kind: "sharedSend", id, shared: payload, accounts: accounts({ block: NO_BLOCK }) });
}

/** After the kernel has read the inbox: what it took of the groups' events lets their members send again. */
export function openGroups(state: PathState): void {
  const { kernel, notices } = state;
  for (const position of notices.injectedEvents.splice(0)) {
    const notice = notices.inFlight.get(position);
    if (notice?.group === undefined) continue;
    notices.takenEvents.add(notice.number);
    kernel.openGroup(notice.group.address);
  }
  for (const address of notices.endedEvents.splice(0)) kernel.openGroup(address);
}

/** Whether the event of the group's last change has yet to be taken. */
export function isHeld({ store, notices }: PathState, group: AccountAddress): boolean {
  const event = store.owedEvent(group);
  return event !== undefined && !notices.takenEvents.has(event);
}

/** Receipts and refusals of what the node sent. */
function told(state: PathState, bytes: Uint8Array): void {
  const { notices, store, limits, moment } = state;
  const done: StoredNotice[] = [];
  for (const frame of decodeServerMessage(bytes)) {
    if (frame.kind === "receipt") {
      for (const [position, notice] of notices.inFlight) {
        if (position > frame.position) break;
        notices.inFlight.delete(position);
        done.push(notice);
      }
    } else if (frame.kind === "refusal") {
      const notice = notices.inFlight.get(frame.position);
      assert(notice !== undefined, "a refusal is of something that was sent");
      notices.inFlight.delete(frame.position);
      const name = codeName(frame.code);
      if (name !== undefined && codes[name].retry === "later") {
        notices.waiting.push(notice);
        notices.waiting.sort((a, b) => a.number - b.number);
        notices.retryAtMs = moment.monotonicMs + limits.noticeRetryMs;
      } else {
        // A brand that nobody has configured any more: its devices cannot come for it.
        done.push(notice);
      }
    }
  }
  if (done.length === 0) return;
  for (const notice of done) {
    if (isGroupEvent(notice) && !notices.takenEvents.delete(notice.number))
      notices.endedEvents.push(notice.group.address);
  }
  store.dropNotices(done.map(({ number }) => number));
}
