import { expect, test } from "vitest";
import { accountAddress, type DeviceAddress, deviceAddress, formatAddress } from "../../src/base/address.js";
import type { EncryptionAdapter } from "./encryption-adapter.js";
import { Letter } from "./letter.js";

const ana = accountAddress(1, new Uint8Array(16).fill(0xaa));
const namesake = accountAddress(2, new Uint8Array(16).fill(0xaa));

/** Says for whom it encrypted, and how often. */
class CountingEncryption implements EncryptionAdapter {
  readonly address = deviceAddress({ brand: 1, account: ana.slice(2), device: 1 });
  count = 0;
  async encrypt(_: Uint8Array, to: DeviceAddress) {
    return new TextEncoder().encode(`${++this.count} for ${formatAddress(to)}`);
  }
  async decrypt(): Promise<Uint8Array> {
    throw new Error("not used");
  }
}

const read = (payloads: readonly { device: number; payload: Uint8Array }[]) =>
  payloads.map(({ device, payload }) => `${device}: ${new TextDecoder().decode(payload)}`);

test("a letter covers every listed device but the writing one", async () => {
  const letter = new Letter({ text: "hello", writer: new CountingEncryption() });
  const { to } = await letter.cover([
    { account: namesake, version: 4, devices: [1, 2] },
    { account: ana, version: 7, devices: [1, 3] },
  ]);
  const id = "aa".repeat(16);
  expect(to.map(({ version }) => version)).toEqual([4, 7]);
  expect(read(to[0]?.devices ?? [])).toEqual([`1: 1 for 2/${id}/1`, `2: 2 for 2/${id}/2`]);
  expect(read(to[1]?.devices ?? [])).toEqual([`3: 3 for 1/${id}/3`]);
});

test("a repair makes what was missing, leaves out what is surplus and keeps the rest as it was", async () => {
  const writer = new CountingEncryption();
  const letter = new Letter({ text: "hello", writer });
  const first = await letter.cover([{ account: namesake, version: 4, devices: [1, 2] }]);
  const repaired = await letter.cover([{ account: namesake, version: 6, devices: [2, 3] }]);
  expect(writer.count).toBe(3);
  expect(repaired.to[0]?.version).toBe(6);
  expect(repaired.to[0]?.devices.map(({ device }) => device)).toEqual([2, 3]);
  expect(repaired.to[0]?.devices[0]?.payload).toBe(first.to[0]?.devices[1]?.payload);
});
