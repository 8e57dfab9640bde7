/**
 * One message on its way into an envelope: the text, and the ciphertext for each device.
 *
 * A ciphertext is made once and kept, because every making moves a ratchet on.
 * When the node refuses the envelope since a roster has changed, what was
 * missing is made in addition, what is surplus is left out, and the rest goes
 * again as it was.
 */
import {
  type AccountAddress,
  type DeviceAddress,
  deviceAddress,
  formatAddress,
} from "../../src/base/address.js";
import type { Roster, SendRequest } from "../../src/client/client.js";
import type { EncryptionAdapter } from "./encryption-adapter.js";

export class Letter {
  readonly text: string;
  /** By the reading device's address, as formatAddress writes it. */
  readonly ciphertexts = new Map<string, Uint8Array>();
  readonly #writer: EncryptionAdapter;
  readonly #plaintext: Uint8Array;

  constructor(options: { text: string; writer: EncryptionAdapter }) {
    this.text = options.text;
    this.#writer = options.writer;
    this.#plaintext = new TextEncoder().encode(options.text);
  }

  /** The envelope that covers exactly the devices of these rosters, the writing one excepted. */
  async cover(rosters: readonly Roster[]): Promise<SendRequest> {
    const writer = formatAddress(this.#writer.address);
    const to = [];
    for (const { account, version, devices: numbers } of rosters) {
      const devices = [];
      for (const device of numbers) {
        const reader = deviceOf(account, device);
        if (formatAddress(reader) === writer) continue;
        devices.push({ device, payload: await this.#ciphertextFor(reader) });
      }
      to.push({ account, version, devices });
    }
    return { to };
  }

  async #ciphertextFor(reader: DeviceAddress): Promise<Uint8Array> {
    const name = formatAddress(reader);
    const made = this.ciphertexts.get(name);
    if (made !== undefined) return made;
    const ciphertext = await this.#writer.encrypt(this.#plaintext, reader);
    this.ciphertexts.set(name, ciphertext);
    return ciphertext;
  }
}

function deviceOf(account: AccountAddress, device: number): DeviceAddress {
  const brand = ((account[0] as number) << 8) | (account[1] as number);
  return deviceAddress({ brand, account: account.subarray(2), device });
}
