/**
 * How devices are called in protocols that address by name: eight ASCII bytes
 * each (`d0000017`), so that writing one into a frame is two stores.
 */
import { assert } from "../../src/base/assert.js";

export const DEVICE_NAME_BYTES = 8;

const DEVICES_MAX = 10_000_000;

export function deviceName(device: number): string {
  assert(device < DEVICES_MAX, "a device's number has seven digits at most");
  return `d${String(device).padStart(DEVICE_NAME_BYTES - 1, "0")}`;
}

export class DeviceNames {
  readonly #halves: Uint32Array;

  constructor(devices: number) {
    this.#halves = new Uint32Array(2 * devices);
    const name = Buffer.alloc(DEVICE_NAME_BYTES);
    for (let device = 0; device < devices; device++) {
      name.write(deviceName(device), "latin1");
      this.#halves[2 * device] = name.readUInt32BE(0);
      this.#halves[2 * device + 1] = name.readUInt32BE(4);
    }
  }

  write(view: DataView, at: number, device: number): void {
    view.setUint32(at, this.#halves[2 * device]!);
    view.setUint32(at + 4, this.#halves[2 * device + 1]!);
  }
}
