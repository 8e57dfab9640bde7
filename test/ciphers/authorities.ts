/** Authorities of brands that sign for their devices, made as they are asked for. */
import { type DeviceAddress, deviceParts } from "../../src/base/address.js";
import { BrandAuthority, type Certification, SealingSignalCipher } from "./signal-sealing.js";

export const HOUR_MS = 3600_000;

export class Authorities implements Certification {
  readonly #made = new Map<number, BrandAuthority>();

  of(brand: number): BrandAuthority {
    const authority = this.#made.get(brand) ?? new BrandAuthority();
    this.#made.set(brand, authority);
    return authority;
  }

  certificateFor(...[device, identityKey]: Parameters<Certification["certificateFor"]>) {
    return this.of(deviceParts(device).brand).certify(device, identityKey, Date.now() + HOUR_MS);
  }

  trustRoot(brand: number) {
    return this.of(brand).trustRoot;
  }

  /** `oneTimeKeyCount`: as of SignalCipher. */
  cipher(address: DeviceAddress, oneTimeKeyCount: number): SealingSignalCipher {
    return new SealingSignalCipher(address, oneTimeKeyCount, this);
  }
}
