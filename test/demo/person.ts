/** A person of the cast: one account of one brand, and the devices signed in with it. */
import { type AccountAddress, accountAddress, deviceAddress } from "../../src/base/address.js";
import { PersonDevice, type World } from "./person-device.js";

export class Person {
  /** As the story calls them. */
  readonly name: string;
  readonly account: AccountAddress;
  /** Those signed in so far: the story's own knowledge of whom a message is for. */
  readonly devices: PersonDevice[] = [];
  readonly #brandNumber: number;
  /** 16 bytes; the same in two brands for people of the same name. */
  readonly accountId: Uint8Array;
  readonly #world: World;

  constructor(options: { name: string; brandNumber: number; accountId: Uint8Array; world: World }) {
    this.name = options.name;
    this.#world = options.world;
    this.account = accountAddress(options.brandNumber, options.accountId);
    this.#brandNumber = options.brandNumber;
    this.accountId = options.accountId;
  }

  /** The device whose name in the story ends so. */
  device(label: string): PersonDevice {
    const device = this.devices.find(({ name }) => name.endsWith(label));
    if (device === undefined) throw new Error(`${this.name} has no ${label}`);
    return device;
  }

  /** Gets one more device: it makes its keys, signs in and uploads the public ones. */
  async addDevice(label: string): Promise<PersonDevice> {
    const address = deviceAddress({
      brand: this.#brandNumber,
      account: this.accountId,
      device: this.devices.length + 1,
    });
    const device = new PersonDevice({
      owner: this,
      name: `${this.name}'s ${label}`,
      address,
      world: this.#world,
    });
    await device.goOnline();
    this.devices.push(device);
    return device;
  }
}
