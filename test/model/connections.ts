/** The model of a device's connection: new, live, gone. */
import type { ModelDevice } from "./residents.js";

export interface Window {
  readonly windowEntries: number;
  readonly windowBytes: number;
}

/** A new connection: nothing of an older one is its own, and all that is not acked is to be sent again. */
export function begin(device: ModelDevice, connection: number, window: Window): void {
  device.connection = connection;
  device.isLive = false;
  device.cursor = device.floor;
  device.position = 0;
  device.positionDurable = 0;
  device.positionTold = 0;
  device.inFlightBytes = 0;
  device.liveBase = device.floor;
  device.windowEntries = window.windowEntries;
  device.windowBytes = window.windowBytes;
}

/** Entries that the kernel has sent itself and that are not acked. */
export function inFlight(device: ModelDevice): number {
  return device.cursor - Math.max(device.floor, device.liveBase);
}

/** False when entries above its cursor wait in the tail, or nobody is there. */
export function goLive(device: ModelDevice): boolean {
  if (device.connection === 0) return false;
  if (device.runs.length > 0 && device.last > device.cursor) return false;
  // Nothing that was ever queued lies between the cursor and the last sequence: that is no flight.
  if (device.last > device.cursor) setCursor(device, device.last);
  device.isLive = true;
  return true;
}

/** What was sent up to there is the host's to count. */
export function setCursor(device: ModelDevice, sequence: number): void {
  device.cursor = sequence;
  device.liveBase = sequence;
  device.inFlightBytes = 0;
}

export function disconnect(device: ModelDevice): void {
  device.connection = 0;
  device.isLive = false;
}
