/**
 * Signals: online only, never stored, and only to a device that keeps up. Whoever sends one is told nothing, whatever
 * becomes of it: what is counted here is for the node's operator alone.
 *
 * That a connection is behind is seen by its not being live: the kernel lays nothing out for it then, and what is queued
 * for it goes out before it is live again. So no signal passes an envelope that waits.
 */
import {
  ACCOUNT_ADDRESS_BYTES,
  type AccountAddress,
  type DeviceAddress,
  numberedDevice,
} from "../base/address.js";
import { equalBytes } from "../base/bytes.js";
import type { Audience } from "../kernel/kernel.js";
import { judgeGroupSignal, judgeSignal } from "../rules/signals.js";
import { spend } from "../rules/token-bucket.js";
import type { EphemeralFrame, GroupEphemeralFrame } from "../wire/client-frames.js";
import { encodeServerFrame } from "../wire/server-frame-writer.js";
import type { Attachment } from "./attachment.js";
import { handOver } from "./connections.js";
import { makeGroupResident } from "./residents.js";
import type { PathState } from "./state.js";

/** What an ephemeral brings to whom. */
export interface SignalOut {
  readonly to: Attachment;
  readonly frame: Uint8Array;
}

export function* signalsOf(
  state: PathState,
  from: Attachment,
  { accounts }: EphemeralFrame,
): Generator<SignalOut> {
  const sender = state.kernel.address(from.slot);
  const isOverloaded = hasTooMuchUncommitted(state);
  for (const { account, devices } of accounts) {
    const isAgreed = !isOverloaded && maySignal(state, sender, account);
    for (const { device, payload } of devices) {
      const isInRate = maySend(state, from, 1);
      const to = isInRate && isAgreed ? attached(state, numberedDevice(account, device)) : undefined;
      const keepsUp = to !== undefined && takesSignals(state, to, payload.length);
      const fate = judgeSignal({ isInRate, isOverloaded, isAgreed, isThere: to !== undefined, keepsUp });
      state.signals[fate]++;
      if (fate !== "delivered" || to === undefined) continue;
      to.signals.bytes += payload.length;
      yield { to, frame: encodeServerFrame({ kind: "signal", sender, payload }) };
    }
  }
}

/**
 * The same of one for a group. Looking for its members costs one signal, whatever comes of it, so that what is left to
 * whoever asks does not tell whether there is such a group; that it is for so many costs as many.
 */
export function* groupSignalsOf(
  state: PathState,
  from: Attachment,
  { group, payload }: GroupEphemeralFrame,
): Generator<SignalOut> {
  const isInRate = maySend(state, from, 1);
  const isOverloaded = hasTooMuchUncommitted(state);
  const isChanging = state.isHeld(group);
  const isSought = isInRate && !isOverloaded && !isChanging;
  const audience = isSought ? audienceOf(state, from, group) : "unknown";
  const isFound = typeof audience === "object";
  const fate = judgeGroupSignal({
    isInRate: isInRate && (!isFound || maySend(state, from, audience.members - 1)),
    isOverloaded,
    isChanging,
    audience: isFound ? "members" : audience,
  });
  if (fate !== undefined) state.signals[fate]++;
  if (fate !== undefined || !isFound) return;
  const sender = state.kernel.address(from.slot);
  const frame = encodeServerFrame({ kind: "groupSignal", sender, group, payload });
  for (const slot of audience.slots) {
    const to = state.connections[slot];
    if (!reaches(state, to, payload.length)) continue;
    yield { to, frame };
  }
}

/** Whether a signal to a group of which this one is a member comes to it; counts either way. */
function reaches(state: PathState, to: Attachment | undefined, payloadBytes: number): to is Attachment {
  const keepsUp = to !== undefined && takesSignals(state, to, payloadBytes);
  const fate = judgeSignal({
    isInRate: true,
    isOverloaded: keepsUp && !mayWriteToGroups(state),
    isAgreed: true,
    isThere: to !== undefined,
    keepsUp,
  });
  state.signals[fate]++;
  if (fate !== "delivered" || to === undefined) return false;
  to.signals.bytes += payloadBytes;
  return true;
}

/** By the roster that envelopes go by too, which is made resident. */
function audienceOf(state: PathState, from: Attachment, group: AccountAddress): Audience {
  const { kernel, limits } = state;
  const ask = (): Audience => kernel.audience(group, from.slot, limits.groupSignalMembersMax);
  const audience = ask();
  return audience === "unknown" && makeGroupResident(state, from, group) ? ask() : audience;
}

/**
 * What the node itself has to say to a device for which nothing is ever stored; the caller knows that it may. False when
 * it is there and was not told: it is behind, or the node is.
 */
export function tell(state: PathState, device: DeviceAddress, frameOf: () => Uint8Array): boolean {
  const to = attached(state, device);
  const keepsUp = to !== undefined && takesSignals(state, to, 0);
  const isOverloaded = hasTooMuchUncommitted(state);
  const fate = judgeSignal({
    isInRate: true,
    isOverloaded,
    isAgreed: true,
    isThere: to !== undefined,
    keepsUp,
  });
  state.signals[fate]++;
  if (fate === "notThere") return true;
  if (fate !== "delivered" || to === undefined) {
    // What the last turn has brought it counts until there is another, and a node with nothing else to do makes none.
    state.wake();
    return false;
  }
  const frame = frameOf();
  to.signals.bytes += frame.length;
  handOver(state, to, frame);
  return true;
}

/** An account's own devices may always. */
function maySignal(state: PathState, sender: DeviceAddress, account: AccountAddress): boolean {
  if (equalBytes(account, sender.subarray(0, ACCOUNT_ADDRESS_BYTES))) return true;
  return (
    state.kernel.mayCross(sender, account) &&
    state.maySignal(sender.subarray(0, ACCOUNT_ADDRESS_BYTES), account)
  );
}

/** Whether the sender's connection may send so many more; if so, they count. */
function maySend({ limits, moment }: PathState, { signals }: Attachment, count: number): boolean {
  const size = { tokens: limits.signalsBurst, refillMs: 1_000 / limits.signalsPerSecond };
  const { isAllowed, fullAtMs } = spend(signals.fullAtMs, size, moment.monotonicMs, count);
  signals.fullAtMs = fullAtMs;
  return isAllowed;
}

/** Whether signals to groups may write once more in this turn; if so, it counts. */
function mayWriteToGroups({ groupSignals, turnCount, limits }: PathState): boolean {
  if (groupSignals.turn !== turnCount) {
    groupSignals.turn = turnCount;
    groupSignals.writes = 0;
  }
  return ++groupSignals.writes <= limits.groupSignalWritesPerTurnMax;
}

function attached(state: PathState, device: DeviceAddress): Attachment | undefined {
  const slot = state.kernel.findDevice(device);
  return slot === undefined ? undefined : state.connections[slot];
}

/** `payloadBytes` more, after what this turn has brought it already. */
function takesSignals(state: PathState, to: Attachment, payloadBytes: number): boolean {
  if (to.signals.turn !== state.turnCount) {
    to.signals.turn = state.turnCount;
    to.signals.bytes = 0;
  }
  const bytes = to.signals.bytes + payloadBytes;
  return !to.isBlocked && state.kernel.isLive(to.slot) && bytes <= state.limits.signalBytesPerTurnMax;
}

function hasTooMuchUncommitted({ kernel, limits }: PathState): boolean {
  return kernel.uncommittedBytes > limits.signalUncommittedBytesMax;
}
