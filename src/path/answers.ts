/**
 * Answers what the kernel hands over: refused sends, connections that sent something unreadable, and control frames.
 * All of it is rare; none of it is on the way of an accepted envelope.
 */
import { ACCOUNT_ADDRESS_BYTES, type AccountAddress } from "../base/address.js";
import { concatBytes, equalBytes } from "../base/bytes.js";
import { OUTCOME_CONTROL } from "../kernel/kernel.js";
import { rosterDifference } from "../rules/rosters.js";
import type { RefusalDetail } from "../wire/bodies.js";
import { type ClientFrame, decodeClientFrame, groupOfSend } from "../wire/client-frames.js";
import { type CodeName, codeName, codes } from "../wire/codes.js";
import { encodeRefusal } from "../wire/control.js";
import type { RosterDifference } from "../wire/protocol.js";
import { encodeServerFrame } from "../wire/server-frame-writer.js";
import type { PlainServerFrame } from "../wire/server-frames.js";
import { type Attachment, mayCost } from "./attachment.js";
import { closeAttachment, handOver } from "./connections.js";
import { serve } from "./requests.js";
import { groupSignalsOf, signalsOf } from "./signals.js";
import type { PathState } from "./state.js";

/** How long a sender should wait before it repeats what the node could not take. */
const RETRY_LATER_MS = 250;
/** For a connection that asked for more answers in one turn than it may have. */
const TOO_MANY_ANSWERS_RETRY_MS = 1_000;

export function answer(state: PathState): void {
  const { kernel } = state;
  const count = kernel.outcomeCount;
  for (let i = 0; i < count; i++) {
    const outcome = kernel.outcome(i);
    const attachment = state.connections[outcome.slot];
    if (attachment === undefined) continue;
    if (!mayCost(state, attachment, "answers", state.limits.answersPerTurnMax)) {
      flush(state);
      closeAttachment(state, attachment, "overloaded", TOO_MANY_ANSWERS_RETRY_MS);
    } else if (outcome.code === OUTCOME_CONTROL) control(state, attachment, outcome.frame);
    else refuse(state, attachment, outcome);
  }
  flush(state);
  kernel.clearOutcomes();
}

const ENDING: readonly CodeName[] = ["badFrame", "positionAhead"];

function refuse(
  state: PathState,
  attachment: Attachment,
  outcome: { code: number; frame: Uint8Array; position: number },
): void {
  const name = codeName(outcome.code) as CodeName;
  state.events.refused?.(name);
  if (ENDING.includes(name)) {
    flush(state);
    closeAttachment(state, attachment, name);
    return;
  }
  const retryAfterMs = codes[name].retry === "later" ? RETRY_LATER_MS : 0;
  const detail = detailOf(state, attachment, name, outcome.frame);
  give(state, attachment, encodeRefusal({ position: outcome.position, code: name, retryAfterMs, detail }));
}

/** What a sender needs to know to repair the send. */
function detailOf(
  state: PathState,
  attachment: Attachment,
  name: CodeName,
  frame: Uint8Array,
): RefusalDetail {
  if (name === "rosterStale") return { rosters: staleRosters(state, attachment, frame) };
  if (name !== "groupStale") return {};
  // The one that it was judged by, if it is still resident: the stored roster has to be read whole, for a frame of 45 bytes.
  const address = groupOfSend(frame);
  return { group: { address, version: state.kernel.groupVersion(address) ?? state.group(address).version } };
}

interface ListedAccount {
  readonly account: AccountAddress;
  readonly version: number;
  readonly devices: readonly { readonly device: number }[];
}

/** Every listed account whose devices differ, and the sender's own when it was left out. */
function staleRosters(state: PathState, attachment: Attachment, frame: Uint8Array): RosterDifference[] {
  const send = decoded(state, frame);
  if (send?.kind !== "send" && send?.kind !== "sharedSend") return [];
  const device = state.kernel.address(attachment.slot);
  const own = device.subarray(0, ACCOUNT_ADDRESS_BYTES);
  const isOwnMissing =
    state.account(own).devices.length > 1 && !send.accounts.some(({ account }) => equalBytes(account, own));
  const listed: ListedAccount[] = [...send.accounts];
  if (isOwnMissing) listed.push({ account: own, version: 0, devices: [] });
  attachment.costs.answers += listed.length - 1;
  const differences: RosterDifference[] = [];
  for (const { account, version, devices } of listed) {
    const difference = rosterDifference(state.account(account), device, {
      version,
      devices: devices.map((entry) => entry.device),
    });
    if (difference !== undefined) differences.push(difference);
  }
  return differences;
}

function control(state: PathState, attachment: Attachment, bytes: Uint8Array): void {
  const frame = decoded(state, bytes);
  if (frame === undefined) {
    closeAttachment(state, attachment, "badFrame");
    return;
  }
  switch (frame.kind) {
    case "ping":
      say(state, attachment, { kind: "pong", nonce: frame.nonce, timeMs: state.moment.wallMs });
      return;
    case "rosterQuery": {
      const { version, devices } = state.account(frame.account);
      say(state, attachment, {
        kind: "roster",
        request: frame.request,
        account: frame.account,
        version,
        devices: devices.map((device) => device.number),
      });
      return;
    }
    case "request": {
      const refused = serve(state, attachment, frame);
      if (refused !== undefined) say(state, attachment, refused);
      return;
    }
    case "ephemeral":
      for (const signal of signalsOf(state, attachment, frame)) give(state, signal.to, signal.frame);
      return;
    case "groupEphemeral":
      for (const signal of groupSignalsOf(state, attachment, frame)) give(state, signal.to, signal.frame);
      return;
    default:
      closeAttachment(state, attachment, "badFrame");
  }
}

function decoded(state: PathState, bytes: Uint8Array): ClientFrame | undefined {
  try {
    return decodeClientFrame(bytes, 0, state.limits).frame;
  } catch {
    return undefined;
  }
}

function say(state: PathState, attachment: Attachment, frame: PlainServerFrame): void {
  give(state, attachment, encodeServerFrame(frame));
}

/** Answers to one connection that follow one another leave in one send: a refused pipeline is answered as it came. */
function give(state: PathState, attachment: Attachment, bytes: Uint8Array): void {
  if (state.answering !== attachment) flush(state);
  state.answering = attachment;
  state.answers.push(bytes);
}

function flush(state: PathState): void {
  const { answering, answers } = state;
  if (answering === undefined) return;
  state.answering = undefined;
  const bytes = answers.length === 1 ? (answers[0] as Uint8Array) : concatBytes(answers);
  answers.length = 0;
  if (state.connections[answering.slot] === answering) handOver(state, answering, bytes);
}
