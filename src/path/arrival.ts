/**
 * A device comes in: from a roster entry that is durable to a connection that is sent welcome, what its queue holds and
 * the live marker, as far as its window takes it, in one send.
 */
import type { DeviceAddress } from "../base/address.js";
import type { AccountRecord } from "../store/store.js";
import type { CodeName } from "../wire/codes.js";
import { encodeWelcome } from "../wire/control.js";
import { newAttachment } from "./attachment.js";
import { advance } from "./catch-up.js";
import { replace } from "./connections.js";
import type { Connection } from "./shapes.js";
import type { PathState } from "./state.js";

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
  const attachment = newAttachment({ slot, number, connection, isOwn: false, windowEntries, windowBytes });
  state.connections[slot] = attachment;
  state.connectionCount++;
  const position = kernel.floor(slot);
  const { nowMs } = wanted;
  state.events.connected?.(device);
  advance(state, attachment, encodeWelcomeOf(state, device, { position, windowEntries, windowBytes, nowMs }));
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
