/** One device of `interline demo`: a client, its keys, and what it has read. */
import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { accountOf } from "../base/address.js";
import { equalBytes } from "../base/bytes.js";
import { type Client, createClient, type Receipt, type SendRequest } from "../client/client.js";
import type { InterlineNode } from "../index.js";
import { DemoCipher, encryptFor } from "./demo-cipher.js";
import { CliError } from "./output.js";

export interface Person {
  readonly brand: string;
  readonly account: string;
}

interface Settings {
  readonly person: Person;
  readonly number: number;
  readonly name: string;
  readonly mint: () => Promise<string>;
  /** Everybody's devices: where the apps would have a key directory. */
  readonly devices: readonly DemoDevice[];
}

export class DemoDevice {
  readonly person: Person;
  readonly number: number;
  readonly name: string;
  /** What it has read, in order. */
  readonly texts: string[] = [];
  readonly #mint: () => Promise<string>;
  readonly #devices: readonly DemoDevice[];
  readonly #cipher: DemoCipher;
  #client: Client | undefined;
  #resume: { position: number; recentIds: readonly string[] } | undefined;

  private constructor(settings: Settings, cipher: DemoCipher) {
    this.person = settings.person;
    this.number = settings.number;
    this.name = settings.name;
    this.#mint = settings.mint;
    this.#devices = settings.devices;
    this.#cipher = cipher;
  }

  static async create(settings: Settings): Promise<DemoDevice> {
    return new DemoDevice(settings, await DemoCipher.create());
  }

  async join(url: string, onText: (text: string) => void): Promise<void> {
    const resume = this.#resume;
    const client = createClient({
      url,
      token: this.#mint,
      backOff: { baseMs: 50, capMs: 500 },
      ...(resume === undefined ? {} : { resume }),
    });
    this.#client = client;
    client.on("envelope", async ({ payload }) => {
      const text = await this.#cipher.decrypt(payload);
      this.texts.push(text);
      onText(text);
    });
    await client.connect();
    await this.isLive();
  }

  /** Gone; what it has taken so far it remembers. */
  async leave(): Promise<void> {
    const client = this.#client;
    if (client === undefined) return;
    this.#client = undefined;
    this.#resume = { position: client.position, recentIds: client.recentIds };
    await client.close();
  }

  async isLive(): Promise<void> {
    const client = this.#connected();
    while (client.state !== "live") {
      if (client.state === "closed") throw new CliError(`${this.name} was turned away`);
      await Promise.race([client.once("state"), delay(1_000)]);
    }
  }

  async hasRead(count: number, timeoutMs: number): Promise<void> {
    const endMs = performance.now() + timeoutMs;
    while (this.texts.length < count) {
      if (performance.now() > endMs) throw new CliError(`${this.name} did not get its message in time`);
      await delay(5);
    }
  }

  /** One ciphertext for each device of the recipient and for our own others, under one id. */
  async prepare(to: Person, node: InterlineNode, text: string): Promise<SendRequest> {
    const client = this.#connected();
    const ownAddress = node.address({ ...this.person, device: this.number });
    const own = accountOf(ownAddress);
    const recipient = accountOf(node.address({ ...to, device: 1 }));
    const rosters = await Promise.all([recipient, own].map((account) => client.roster(account)));
    const accounts = await Promise.all(
      rosters.map(async ({ account, version, devices }) => {
        const others = devices.filter((device) => !(equalBytes(account, own) && device === this.number));
        const person = equalBytes(account, own) ? this.person : to;
        return {
          account,
          version,
          devices: await Promise.all(others.map((device) => this.#sealed(person, device, text))),
        };
      }),
    );
    return { id: randomBytes(16), to: accounts.filter(({ devices }) => devices.length > 0) };
  }

  send(request: SendRequest): Promise<Receipt> {
    return this.#connected().send(request);
  }

  async #sealed(person: Person, number: number, text: string) {
    const device = this.#devices.find(
      (each) =>
        each.person.brand === person.brand &&
        each.person.account === person.account &&
        each.number === number,
    );
    if (device === undefined)
      throw new CliError(`nobody knows a key for device ${number} of ${person.account}`);
    return { device: number, payload: await encryptFor(device.#cipher.publicKey, text) };
  }

  #connected(): Client {
    if (this.#client === undefined) throw new CliError(`${this.name} is not connected`);
    return this.#client;
  }
}
