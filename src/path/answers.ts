/**
 * Answers what the kernel hands over: refused sends, connections that sent something unreadable, and control frames.
 * All of it is rare; none of it is on the way of an accepted envelope.
 */
import { ACCOUNT_ADDRESS_BYTES, type AccountAddress, deviceAddress } from "../base/address.js";
import { equalBytes } from "../base/bytes.js";
import { OUTCOME_CONTROL } from "../kernel/kernel.js";
import { rosterDifference } from "../rules/rosters.js";
import { type ClientFrame, decodeClientFrame, type SendFrame } from "../wire/client-frames.js";
import { type CodeName, codeName, codes } from "../wire/codes.js";
import { encodeRefusal } from "../wire/control.js";
import type { RosterDifference } from "../wire/protocol.js";
import { encodeServerFrame, type PlainServerFrame } from "../wire/server-frames.js";
import { closeAttachment } from "./connections.js";
import type { Attachment, PathState } from "./state.js";

/** How long a sender should wait before it repeats what the node could not take. */
const RETRY_LATER_MS = 250;

export function answer(state: PathState): void {
  const { kernel } = state;
  const count = kernel.outcomeCount;
  for (let i = 0; i < count; i++) {
    const outcome = kernel.outcome(i);
    const attachment = state.connections[outcome.slot];
    if (attachment === undefined) continue;
    if (outcome.code === OUTCOME_CONTROL) control(state, attachment, outcome.frame);
    else refuse(state, attachment, outcome);
  }
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
    closeAttachment(state, attachment, name);
    return;
  }
  const retryAfterMs = codes[name].retry === "later" ? RETRY_LATER_MS : 0;
  const detail = name === "rosterStale" ? { rosters: staleRosters(state, attachment, outcome.frame) } : {};
  give(state, attachment, encodeRefusal({ position: outcome.position, code: name, retryAfterMs, detail }));
}

/** Every listed account whose devices differ, and the sender's own when it was left out. */
function staleRosters(state: PathState, attachment: Attachment, frame: Uint8Array): RosterDifference[] {
  const send = decodeClientFrame(frame, 0, state.limits).frame as SendFrame;
  const device = state.kernel.address(attachment.slot);
  const own = device.subarray(0, ACCOUNT_ADDRESS_BYTES);
  const listed = send.accounts.some(({ account }) => equalBytes(account, own))
    ? send.accounts
    : [...send.accounts, { account: own, version: 0, devices: [] }];
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
    case "ephemeral":
      for (const { account, devices } of frame.accounts) {
        for (const { device, payload } of devices) signal(state, attachment, account, device, payload);
      }
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

/** Online only, never stored, and only to a device that keeps up: the sender is told nothing either way. */
function signal(
  state: PathState,
  from: Attachment,
  account: AccountAddress,
  device: number,
  payload: Uint8Array,
): void {
  const { kernel, limits } = state;
  if (payload.length > limits.payloadBytesMax || device === 0) return;
  const brand = ((account[0] as number) << 8) | (account[1] as number);
  const sender = kernel.address(from.slot);
  if (brand === 0 || !kernel.mayCross(sender, account)) return;
  const slot = kernel.findDevice(deviceAddress({ brand, account: account.subarray(2), device }));
  const to = slot === undefined ? undefined : state.connections[slot];
  if (slot === undefined || to === undefined || to.isBlocked || !kernel.isLive(slot)) return;
  say(state, to, { kind: "signal", sender, payload });
}

function say(state: PathState, attachment: Attachment, frame: PlainServerFrame): void {
  give(state, attachment, encodeServerFrame(frame));
}

function give(state: PathState, attachment: Attachment, bytes: Uint8Array): void {
  const result = attachment.connection.send(bytes);
  if (result === 2) closeAttachment(state, attachment, "tooSlow");
  else if (result === 0) {
    attachment.isBlocked = true;
    state.kernel.goLagging(attachment.slot);
  }
}
