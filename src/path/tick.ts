/**
 * One turn of the path over all that has arrived: the order of work, top to bottom.
 *
 *   notices ▸   what the node itself has to say goes into the inbox
 *   sealed  ▸   so does what connections of nobody in particular may send, without them
 *   inbox ▸ parse ▸ admit ▸ dedup ▸ route ▸ sequence ▸ gather     in the kernel, one call for the whole batch
 *         ▸ commit    what was accepted begins its way to the disk; its receipts come after the flush
 *         ▸ answer    refusals and control frames, which are few; a refusal comes before the receipt that passes it
 *         ▸ ride      receipts of what is durable by now go right before the frames of their devices
 *         ▸ send      one native send per recipient device, straight from the tail of the journal
 *         ▸ catch up  devices that have entries waiting and room for them
 *         ▸ receipts  those that found no ride for long enough
 *         ▸ sealed    answers to connections of nobody in particular
 *         ▸ spill     what stayed unacked for long moves from the tail to the queues
 *
 * Delivery does not wait for the commit, but for a moment under full load (commit.ts); receipts do.
 */
import { statuses } from "../kernel/kernel.js";
import type { CodeName } from "../wire/codes.js";
import { answer } from "./answers.js";
import { catchUp } from "./catch-up.js";
import { commit, flushWaitMs, settleCommit } from "./commit.js";
import { closeAttachment, dropClosed } from "./connections.js";
import { injectNotices, openGroups } from "./notices.js";
import { loadAccounts, loadGroup } from "./residents.js";
import { injectSealed } from "./sealed.js";
import type { Moment } from "./shapes.js";
import { spill } from "./spill.js";
import type { PathState } from "./state.js";
import { answerUnidentified, endUnidentified } from "./unidentified.js";

export function turn(state: PathState, moment: Moment): void {
  state.moment = moment;
  state.turnCount++;
  settleCommit(state);
  injectNotices(state);
  injectSealed(state);
  route(state);
  openGroups(state);
  dropClosed(state);
  catchUp(state);
  if (!state.hasFailed) {
    receipts(state);
    answerUnidentified(state);
    commit(state);
    spill(state);
  }
  state.settle();
}

/** Runs the kernel until the inbox is empty, sending and answering what each batch gives. */
function route(state: PathState): void {
  const { kernel, moment } = state;
  if (kernel.inboxUsed === 0) return;
  for (;;) {
    const status = kernel.tick(moment.wallMs, moment.monotonicMs);
    if (status === statuses.accounts) {
      loadAccounts(state);
      continue;
    }
    if (status === statuses.group) {
      loadGroup(state);
      continue;
    }
    if (status === statuses.done) {
      commit(state);
      settleCommit(state, flushWaitMs(state));
    }
    answer(state);
    kernel.rideReceipts();
    send(state);
    if (status === statuses.done) break;
  }
  kernel.clearInbox();
}

function send(state: PathState): void {
  const { kernel } = state;
  const count = kernel.sendCount;
  for (let i = 0; i < count; i++) {
    const attachment = state.connections[kernel.sendSlot(i)];
    if (attachment === undefined) continue;
    const result = attachment.connection.send(kernel.sendBytes(i));
    if (result === 1) continue;
    if (result === 2) closeAttachment(state, attachment, "tooSlow");
    else {
      attachment.isBlocked = true;
      kernel.goLagging(attachment.slot);
    }
  }
  kernel.clearSends();
}

const RECEIPTS_AT_ONCE = 256;

function receipts(state: PathState): void {
  const holdMs = state.isSettling ? 0 : state.limits.receiptHoldMs * state.moment.patience;
  while (state.kernel.collectReceipts(state.moment.monotonicMs, holdMs, RECEIPTS_AT_ONCE) > 0) send(state);
}

/** Ends every connection, each with its own advice when to come back. */
export function endAll(state: PathState, code: CodeName, retryAfterMs: (i: number) => number): void {
  let i = 0;
  for (const attachment of [...state.connections]) {
    if (attachment !== undefined && !attachment.isOwn)
      closeAttachment(state, attachment, code, retryAfterMs(i++));
  }
  for (const one of [...state.unidentified.connections.values()])
    endUnidentified(state, one, code, retryAfterMs(i++));
}
