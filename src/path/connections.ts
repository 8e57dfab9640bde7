/**
 * Connections and their devices: one connection per device, the newest. The kernel knows a connection by a number,
 * so that nothing of an older one (sends still in the inbox, receipts still to come) is taken for the newer one's.
 */
import { type DeviceAddress, numberedDevice } from "../base/address.js";
import type { AccountRecord } from "../store/store.js";
import type { CodeName } from "../wire/codes.js";
import { encodeWelcome } from "../wire/control.js";
import type { Connection } from "./shapes.js";
import type { Attachment, PathState } from "./state.js";

/** What hello asked for; 0 leaves a choice to the node. */
export interface Wanted {
  /** The last sequence the device has taken. */
  readonly resume: number;
  readonly windowEntries: number;
  readonly windowBytes: number;
  /** The wall clock, for welcome. */
  readonly nowMs: number;
}

export type Attached = { readonly slot: number } | { readonly refused: CodeName };

export function attach(
  state: PathState,
  device: DeviceAddress,
  account: AccountRecord,
  connection: Connection,
  wanted: Wanted,
): Attached {
  const { kernel, store, limits } = state;
  if (!kernel.loadAccount(account)) return { refused: "tooManyConnections" };
  const slot = kernel.findDevice(device);
  // Removed while it came in.
  if (slot === undefined) return { refused: "tokenRevoked" };
  const number = ++state.lastConnectionNumber;
  const windowEntries = clamp(
    wanted.windowEntries || limits.windowEntriesDefault,
    1,
    limits.windowEntriesMax,
  );
  // The least window still takes a full payload, or nothing might ever fit.
  const windowBytes = clamp(
    wanted.windowBytes || limits.windowBytesDefault,
    limits.payloadBytesMax + 1024,
    limits.windowBytesMax,
  );
  const floor = Math.max(wanted.resume, store.floor(device));
  if (!kernel.attach(slot, number, { floor, windowEntries, windowBytes }))
    return { refused: "positionAhead" };
  const older = state.connections[slot];
  if (older !== undefined) replace(state, older);
  const isQueued = store.hasQueued(device);
  kernel.setQueued(slot, isQueued);
  if (isQueued) store.trim(device, kernel.floor(slot));
  const attachment: Attachment = {
    slot,
    number,
    connection,
    isOwn: false,
    windowEntries,
    windowBytes,
    isBlocked: false,
    isAnnounced: false,
    batches: [],
    entriesOut: 0,
    bytesOut: 0,
    costTurn: 0,
    costs: { answers: 0, loads: 0, memberLoads: 0 },
    requests: { underWay: 0, fullAtMs: 0 },
    signals: { fullAtMs: 0, turn: 0, bytes: 0 },
  };
  state.connections[slot] = attachment;
  state.connectionCount++;
  state.lagging.add(slot);
  const position = kernel.floor(slot);
  const { nowMs } = wanted;
  connection.send(encodeWelcomeOf(state, device, { position, windowEntries, windowBytes, nowMs }));
  state.events.connected?.(device);
  state.wake();
  return { slot };
}

function clamp(value: number, min: number, max: number): number {
  return Math.min(max, Math.max(min, Math.floor(value)));
}

export function encodeWelcomeOf(
  { limits }: PathState,
  device: DeviceAddress,
  granted: { position: number; windowEntries: number; windowBytes: number; nowMs: number },
): Uint8Array {
  return encodeWelcome({
    device,
    serverTimeMs: granted.nowMs,
    durability: "disk",
    position: granted.position,
    dedupWindowMs: limits.dedupWindowMs,
    dedupWindowCount: limits.dedupWindowCount,
    payloadBytesMax: limits.payloadBytesMax,
    messageBytesMax: limits.messageBytesMax,
    accountsPerSendMax: limits.accountsPerSendMax,
    windowEntries: granted.windowEntries,
    windowBytes: granted.windowBytes,
    silenceMs: limits.silenceMs,
  });
}

/** The kernel already has the newer connection's number: the older one only has to be told and forgotten. */
function replace(state: PathState, older: Attachment): void {
  state.connections[older.slot] = undefined;
  state.connectionCount--;
  older.connection.end("replaced", 0);
}

export function receive(state: PathState, slot: number, message: Uint8Array): void {
  const attachment = state.connections[slot];
  if (attachment === undefined) return;
  if (state.kernel.push(slot, attachment.number, message)) {
    state.wake();
    return;
  }
  state.turnNow();
  if (!state.kernel.push(slot, attachment.number, message)) closeAttachment(state, attachment, "overloaded");
}

export function writable(state: PathState, slot: number): void {
  const attachment = state.connections[slot];
  if (attachment === undefined) return;
  attachment.isBlocked = false;
  state.lagging.add(slot);
  state.wake();
}

/** Gives a connection frames that are not from the tail or its queue. */
export function handOver(state: PathState, attachment: Attachment, bytes: Uint8Array): void {
  const result = attachment.connection.send(bytes);
  if (result === 2) closeAttachment(state, attachment, "tooSlow");
  else if (result === 0) {
    attachment.isBlocked = true;
    state.kernel.goLagging(attachment.slot);
  }
}

/** The socket is gone by itself: what it sent before is still read in the next turn. */
export function detach(state: PathState, slot: number, connection: Connection): void {
  const attachment = state.connections[slot];
  if (attachment === undefined || attachment.connection !== connection) return;
  forget(state, attachment);
  state.closed.push(attachment);
  state.wake();
}

export function dropClosed(state: PathState): void {
  for (const attachment of state.closed.splice(0)) state.kernel.detach(attachment.slot, attachment.number);
}

/** The node ends the connection: nothing that it sent and was not yet read counts. */
export function closeAttachment(
  state: PathState,
  attachment: Attachment,
  code: CodeName,
  retryAfterMs = 0,
): void {
  if (state.connections[attachment.slot] !== attachment) return;
  forget(state, attachment);
  state.kernel.detach(attachment.slot, attachment.number);
  attachment.connection.end(code, retryAfterMs);
}

/**
 * Carries out what a roster's change means here. The kernel gives a removed device no further sequence and lays nothing
 * out for it; what it had lies at or below the ceiling, which the store erases by.
 */
export function rosterChanged(state: PathState, account: AccountRecord, removed: readonly number[]): void {
  const { kernel, store } = state;
  for (const number of removed) {
    const slot = kernel.findDevice(numberedDevice(account.address, number));
    const attachment = slot === undefined ? undefined : state.connections[slot];
    if (attachment !== undefined) closeAttachment(state, attachment, "revoked");
  }
  kernel.loadAccount(account);
  for (const number of removed)
    store.erase(numberedDevice(account.address, number), kernel.sequenceCeiling());
}

function forget(state: PathState, attachment: Attachment): void {
  state.connections[attachment.slot] = undefined;
  state.connectionCount--;
  state.events.disconnected?.(state.kernel.address(attachment.slot));
}
