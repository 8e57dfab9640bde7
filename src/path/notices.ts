/**
 * Notices: what the node itself has to say to devices, sent like any envelope, so that they are sequenced, queued,
 * delivered in order and acked. The store keeps each from the transaction of the change that it tells of until the
 * commit that holds it is flushed; what is left at an open goes out again under the same id.
 *
 *   outbox ─▶ lane of its brand ─▶ inbox ─▶ in flight ─▶ receipt: gone from the outbox
 *                     ▲                        └──────▶ refused for want of room: waits again
 *                     └───────────────────────────────┘
 *
 * The node is a device of its own (own-device.ts): its sends are counted, receipted and refused like everybody's. What
 * makes it different in the kernel is one thing: it may leave devices out.
 *
 * Each brand has a lane with places of its own, and lanes take turns: what one brand has to be told, however much of it,
 * costs another its turn at most. Of one account a lane has only one notice on its way at a time, so that a refusal
 * cannot turn two of them round.
 *
 * The event of a group's change is sequenced with the group's messages: from the moment in which the new roster is
 * resident nothing is taken for an older one, and while its event is owed nothing is taken for the new one either
 * (the kernel holds the group), save the event itself, which goes to the group's members like an envelope of theirs.
 * So everybody gets all of one version, then the event, then what is of the next, whatever is refused meanwhile. Who is
 * no member any more is told by a notice of his own, once the roster without him is resident.
 *
 * The event of a large group is several envelopes, each for some of the members, and the group is held until all of them
 * are taken: however many devices its members have, each envelope is small, and no turn is long because of it. The same
 * is done where a member's brand is not configured any more, who is passed over: a group send would be refused whole.
 */
import type { AccountAddress } from "../base/address.js";
import { assert } from "../base/assert.js";
import { toHex } from "../base/bytes.js";
import type { StoredNotice } from "../store/store.js";
import { encodeClientFrame } from "../wire/client-frames.js";
import { codeName, codes } from "../wire/codes.js";
import { NODE_ACCOUNT } from "../wire/notices.js";
import { decodeServerMessage } from "../wire/server-frames.js";
import type { Attachment } from "./attachment.js";
import type { Audience, Delivery, Lane, Notices, Sent } from "./notice-lanes.js";
import { attachOwn } from "./own-device.js";
import type { PathState } from "./state.js";

const NO_BLOCK = new Uint8Array(0);
const NODE = { account: NODE_ACCOUNT, ordinal: 0 };

export function injectNotices(state: PathState): void {
  const { notices, moment, limits } = state;
  if (!notices.isWaiting || state.hasFailed || moment.monotonicMs < notices.retryAtMs) return;
  read(state);
  if (notices.lanes.size === 0) return;
  notices.device ??= attachOwn(state, NODE, (bytes) => told(state, bytes));
  if (notices.device === undefined) {
    notices.retryAtMs = moment.monotonicMs + limits.noticeRetryMs;
    return;
  }
  let accountsLeft = limits.noticeAccountsPerTurnMax;
  for (const [brand, lane] of [...notices.lanes]) {
    const spent = injectLane(state, lane, accountsLeft);
    if (spent === 0) continue;
    accountsLeft -= spent;
    notices.lanes.delete(brand);
    notices.lanes.set(brand, lane);
  }
}

function read({ notices, store, limits }: PathState): void {
  if (!notices.isUnread || limits.noticesInFlightMax === 0) return;
  notices.isUnread = false;
  for (const brand of store.noticeBrands()) {
    const lane = notices.lanes.get(brand) ?? { readThrough: 0, deliveries: [], inFlightCount: 0 };
    const room = limits.noticesPerBrandMax - lane.deliveries.length;
    const rows = room > 0 ? store.notices(lane.readThrough, room, brand) : [];
    if (rows.length === room || room <= 0) notices.isUnread = true;
    for (const notice of rows) {
      lane.readThrough = notice.number;
      lane.deliveries.push({ notice, audiences: [], waiting: [0], untaken: 1, unreceipted: 1 });
      notices.lanes.set(brand, lane);
    }
  }
}

/** Puts what may go now into the inbox, and tells for how many accounts that is. */
function injectLane(state: PathState, lane: Lane, accountsMax: number): number {
  const { notices, limits } = state;
  const busy = new Set<string>();
  let spent = 0;
  for (const delivery of lane.deliveries) {
    const names = namesOf(delivery.notice);
    const isFree = !names.some((name) => busy.has(name));
    for (const name of names) busy.add(name);
    while (isFree && delivery.waiting.length > 0) {
      if (lane.inFlightCount >= limits.noticesPerBrandMax || spent >= accountsMax) return spent;
      if (notices.inFlight.size >= limits.noticesInFlightMax) return spent;
      const accounts = inject(state, lane, delivery);
      if (accounts === 0) return spent;
      spent += accounts;
    }
  }
  return spent;
}

/** Whom it is for: accounts, or a group. */
const namesOf = (notice: StoredNotice): string[] =>
  isGroupEvent(notice)
    ? [toHex(notice.group.address)]
    : notice.recipients.map(({ account }) => toHex(account));

function isGroupEvent(
  notice: StoredNotice,
): notice is StoredNotice & { readonly group: NonNullable<StoredNotice["group"]> } {
  return notice.group !== undefined && notice.recipients.length === 0;
}

/** Puts the delivery's next envelope into the inbox, and tells for how many accounts it is: none when there is no room now. */
function inject(state: PathState, lane: Lane, delivery: Delivery): number {
  const { kernel, notices } = state;
  const { notice } = delivery;
  if (delivery.audiences.length === 0) prepare(state, delivery);
  const index = delivery.waiting[0] as number;
  const audience = delivery.audiences[index] as Audience;
  const frame =
    audience === "members" ? eventFrame(notice) : noticeFrame(state, notice, { index, recipients: audience });
  const device = notices.device as Attachment;
  if (!kernel.push(device.slot, device.number, frame)) return 0;
  delivery.waiting.shift();
  lane.inFlightCount++;
  notices.inFlight.set(++notices.position, { lane, delivery, index });
  notices.injected.push(notices.position);
  return audience === "members" ? state.limits.groupEventMembersMax : audience.length;
}

/** Says what envelopes it takes. From here on nothing goes by the roster before the change. */
function prepare(state: PathState, delivery: Delivery): void {
  const { notice } = delivery;
  const { group } = notice;
  delivery.audiences = [notice.recipients];
  if (group === undefined) return;
  // Of one change the event comes first: whoever is told besides is told by the roster that it has brought.
  if (!isGroupEvent(notice) && state.store.owedEvent(group.address) !== undefined) return;
  const now = state.group(group.address);
  // A group that is gone has nobody in it.
  state.kernel.loadGroup(
    now.version === 0 ? { address: group.address, version: group.version, members: [] } : now,
  );
  if (!isGroupEvent(notice)) return;
  delivery.audiences = audiencesOf(state, now.members);
  const due = [...delivery.audiences.keys()].filter((i) => isSomebody(delivery.audiences[i]));
  delivery.untaken = due.length;
  delivery.unreceipted = due.length;
  delivery.waiting.splice(0, 1, ...due);
}

const isSomebody = (audience: Audience | undefined): boolean =>
  audience === "members" || (audience !== undefined && audience.length > 0);

/**
 * By the index of an envelope. The first is for all members; where it cannot be, nobody gets it, and each of the others is
 * for members who stand together in the roster. So an index, and with it an id, never comes to mean somebody else because
 * another brand is configured after a crash: he would miss the event as a repeat.
 */
function audiencesOf({ kernel, limits }: PathState, members: readonly AccountAddress[]): Audience[] {
  const isReached = (account: AccountAddress): boolean => kernel.mayCross(NODE_ACCOUNT, account);
  if (members.length <= limits.groupEventMembersMax && members.every(isReached)) return ["members"];
  const audiences: Audience[] = [[]];
  for (let i = 0; i < members.length; i += limits.accountsPerSharedSendMax) {
    const together = members.slice(i, i + limits.accountsPerSharedSendMax);
    audiences.push(together.filter(isReached).map((account) => ({ account })));
  }
  return audiences.some(isSomebody) ? audiences : ["members"];
}

function eventFrame({ id, payload, group }: StoredNotice): Uint8Array {
  assert(group !== undefined, "the event of a group");
  const { address, version } = group;
  return encodeClientFrame({ kind: "groupSend", id, group: address, version, shared: payload, blocks: [] });
}

/** Devices that are gone by now are passed over. What tells of a group may be long, and is written once for all. */
function noticeFrame(
  state: PathState,
  { id, payload, group }: StoredNotice,
  { index, recipients }: { readonly index: number; readonly recipients: StoredNotice["recipients"] },
): Uint8Array {
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
    : encodeClientFrame({
        kind: "sharedSend",
        id: idOf(id, index),
        shared: payload,
        accounts: accounts({ block: NO_BLOCK }),
      });
}

/** Each envelope of a notice has its own id, and the same again when it is sent again. */
function idOf(id: Uint8Array, index: number): Uint8Array {
  const own = Uint8Array.from(id);
  const view = new DataView(own.buffer);
  view.setUint32(12, view.getUint32(12) ^ index);
  return own;
}

/** After the kernel has read the inbox: what it took of the groups' events lets their members send again. */
export function openGroups(state: PathState): void {
  const { kernel, notices } = state;
  for (const position of notices.injected.splice(0)) {
    const sent = notices.inFlight.get(position);
    if (sent !== undefined) taken(notices, sent.delivery);
  }
  for (const address of notices.opening.splice(0)) kernel.openGroup(address);
}

/** One more of its envelopes was taken, or never will be. */
function taken(notices: Notices, delivery: Delivery): void {
  const { notice } = delivery;
  if (--delivery.untaken > 0 || !isGroupEvent(notice)) return;
  notices.takenEvents.add(notice.number);
  notices.opening.push(notice.group.address);
}

/** Receipts and refusals of what the node sent. */
function told(state: PathState, bytes: Uint8Array): void {
  const { notices, store } = state;
  const done: number[] = [];
  for (const frame of decodeServerMessage(bytes)) {
    if (frame.kind === "receipt") {
      for (const [position, sent] of notices.inFlight) {
        if (position > frame.position) break;
        ended(state, position, sent, done);
      }
    } else if (frame.kind === "refusal") refused(state, frame, done);
  }
  if (done.length > 0) store.dropNotices(done);
}

function refused(
  state: PathState,
  { position, code }: { readonly position: number; readonly code: number },
  done: number[],
): void {
  const { notices, limits, moment } = state;
  const sent = notices.inFlight.get(position);
  assert(sent !== undefined, "a refusal is of something that was sent");
  const name = codeName(code);
  if (name === undefined || codes[name].retry !== "later") {
    // A brand that nobody has configured any more: its devices cannot come for it.
    taken(notices, sent.delivery);
    ended(state, position, sent, done);
    return;
  }
  notices.inFlight.delete(position);
  sent.lane.inFlightCount--;
  sent.delivery.waiting.push(sent.index);
  sent.delivery.waiting.sort((a, b) => a - b);
  notices.retryAtMs = moment.monotonicMs + limits.noticeRetryMs;
}

/** An envelope has done its work; with the last one its notice has. */
function ended({ notices }: PathState, position: number, { lane, delivery }: Sent, done: number[]): void {
  notices.inFlight.delete(position);
  lane.inFlightCount--;
  if (--delivery.unreceipted > 0) return;
  lane.deliveries.splice(lane.deliveries.indexOf(delivery), 1);
  notices.takenEvents.delete(delivery.notice.number);
  done.push(delivery.notice.number);
}
