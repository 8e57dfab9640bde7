/**
 * Connections and their devices: one connection per device, the newest. The kernel knows a connection by a number,
 * so that nothing of an older one (sends still in the inbox, receipts still to come) is taken for the newer one's.
 */
import { numberedDevice } from "../base/address.js";
import type { AccountRecord } from "../store/store.js";
import type { CodeName } from "../wire/codes.js";
import type { Attachment } from "./attachment.js";
import type { Connection } from "./shapes.js";
import type { PathState } from "./state.js";

/** The kernel already has the newer connection's number: the older one only has to be told and forgotten. */
export function replace(state: PathState, older: Attachment): void {
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
