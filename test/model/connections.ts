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
  device.liveBase = 0;
  device.windowEntries = window.windowEntries;
  device.windowBytes = window.windowBytes;
}

/** False when entries above its cursor wait in the tail, or nobody is there. */
export function goLive(device: ModelDevice): boolean {
  if (device.connection === 0) return false;
  if (device.runs.length > 0 && device.last > device.cursor) return false;
  // Nothing that was ever queued lies between the cursor and the last sequence: that is no flight.
  const jump = Math.max(0, device.last - device.cursor);
  const counted = device.liveBase === 0 ? device.cursor : Math.max(device.floor, device.liveBase);
  device.liveBase = counted + jump;
  device.cursor += jump;
  device.isLive = true;
  return true;
}

export function disconnect(device: ModelDevice): void {
  device.connection = 0;
  device.isLive = false;
}
