/**
 * One device of a person: its encryption, its client, and what it shows.
 *
 * It does what a chat app does with the SDK: the client encrypts with the
 * Signal protocol for every device of whom it writes to, repairs what the node
 * refuses because somebody got a new device or a group has changed, and decrypts what comes;
 * the device shows the text (to the tally), and only then the client acks.
 *
 * Nothing here recognises a repetition for the client: one that comes through is counted as shown twice.
 */
import { setImmediate } from "node:timers/promises";
import { type DeviceAddress, formatAddress, numberedDevice } from "../../src/base/address.js";
import { toHex } from "../../src/base/bytes.js";
import { type Client, createClient, type Envelope, type Transport } from "../../src/client/client.js";
import {
  type Encrypted,
  EncryptedClient,
  type Message,
  RepeatedPayload,
  type Unreadable,
} from "../../src/client/encrypted-client.js";
import type { SignalCipher } from "../ciphers/signal-cipher.js";
import { Circle } from "./circle.js";
import type { Person } from "./person.js";
import type { Stage } from "./stage.js";

/** Short, so that a restarted node is found again within the time of a story. */
const BACK_OFF = { baseMs: 20, capMs: 150 };

export interface World {
  readonly stage: Stage;
  readonly url: string;
  readonly transport: Transport;
  readonly makeCipher: (address: DeviceAddress) => SignalCipher;
  readonly mintToken: (device: DeviceAddress) => Promise<string>;
  /** The device with this address, as formatAddress writes it. */
  readonly devices: Map<string, PersonDevice>;
}

interface Letter {
  readonly readers: readonly PersonDevice[];
  /** By address, as formatAddress writes it. */
  readonly ciphertexts: Map<string, Uint8Array>;
}

export class PersonDevice {
  readonly name: string;
  readonly owner: Person;
  readonly address: DeviceAddress;
  readonly #world: World;
  readonly #stage: Stage;
  readonly #cipher: SignalCipher;
  /** The texts that it has shown, in their order. */
  readonly read: string[] = [];
  /** Those that came sealed, beside them, and by which device each proves to be. */
  readonly sealed: { readonly from: string; readonly text: string }[] = [];
  /** Envelopes shown, by sender and envelope id. */
  readonly #shown = new Set<string>();
  /** Messages under way, by their text: whom they are for, and what was encrypted last for each of them. */
  readonly #letters = new Map<string, Letter>();
  #showing: Promise<void> = Promise.resolve();
  #online: { readonly client: Client; readonly encrypted: EncryptedClient<"signal"> } | undefined;
  /** What a chat app keeps between two runs, beside the cipher's state. */
  #kept: { position: number; recentIds: readonly string[] } | undefined;

  constructor(options: { owner: Person; name: string; address: DeviceAddress; world: World }) {
    this.owner = options.owner;
    this.name = options.name;
    this.address = options.address;
    this.#cipher = options.world.makeCipher(options.address);
    this.#world = options.world;
    this.#stage = options.world.stage;
    this.#world.devices.set(formatAddress(this.address), this);
  }

  get isOnline(): boolean {
    return this.#online !== undefined;
  }

  /** Private keys, for the search that must not find them anywhere. */
  get secrets(): readonly Uint8Array[] {
    return this.#cipher.secrets;
  }

  /** Everything that the device could decrypt with now, as a copy. */
  stolenState(): SignalCipher {
    return this.#cipher.copy();
  }

  /** The SDK's client of the running app. */
  get client(): Client {
    return this.#running().client;
  }

  get encrypted(): EncryptedClient<"signal"> {
    return this.#running().encrypted;
  }

  /** Starts the app: a new client that goes on where the last one ended. Resolves when its keys are at the node. */
  async goOnline(): Promise<void> {
    const client = createClient({
      url: this.#world.url,
      token: () => this.#world.mintToken(this.address),
      transport: this.#world.transport,
      backOff: BACK_OFF,
      ...(this.#kept === undefined ? {} : { resume: this.#kept }),
    });
    client.on("envelope", (envelope) => this.#overhear(envelope));
    const encrypted = new EncryptedClient({
      client,
      cipher: this.#cipher,
      onEncrypted: (made) => this.#handedOver(made),
      onMessage: (message) => {
        this.#showing = this.#show(message);
        return this.#showing;
      },
      onUnreadable: (unreadable) => this.#cannotRead(unreadable),
    });
    this.#online = { client, encrypted };
    client.on("refused", ({ willRetry }) => {
      if (willRetry) return;
      this.#stage.refusals++;
      this.#stage.inFlight--;
      this.#stage.happened();
    });
    client.on("gap", ({ count }) => this.#fault(`was told that ${count} entries were removed`));
    client.on("handlerFailed", ({ error }) => this.#fault(`failed: ${error}`));
    client.on("closed", ({ error }) => {
      if (error !== undefined) this.#fault(`was disconnected for good: ${error.message}`);
    });
    await this.#stage.orEnd(client.connect());
    await this.#stage.orEnd(encrypted.publishKeys());
  }

  /** Ends the app, when what it is showing is shown; it keeps its place in its queue. */
  async goOffline(): Promise<void> {
    const { client } = this.#running();
    this.#online = undefined;
    await client.close();
    await this.#showing;
    // The client counts the envelope as taken in the same turn, but after us.
    await setImmediate();
    this.#kept = { position: client.position, recentIds: client.recentIds };
  }

  /** Writes to all devices of the person and to its owner's others, or of the circle's members; resolves with the receipt. */
  async write(to: Person | Circle, content: string): Promise<void> {
    const text = this.#stage.newText(content);
    const plaintext = new TextEncoder().encode(text);
    const { encrypted } = this.#running();
    const owners = to instanceof Circle ? [] : this.owner.devices;
    const readers = [...to.devices, ...owners].filter((device) => device !== this);
    this.#stage.tally.written(
      text,
      this.name,
      readers.map(({ name }) => name),
    );
    this.#letters.set(text, { readers, ciphertexts: new Map() });
    const { durability, leftOut } =
      to instanceof Circle
        ? await encrypted.sendToGroup({ group: to.address, plaintext })
        : { ...(await encrypted.send({ to: [to.account], plaintext })), leftOut: [] };
    if (durability !== "disk") this.#fault(`got a receipt that says ${durability}`);
    if (leftOut.length > 0) this.#fault(`had to leave ${leftOut.length} devices out`);
    this.#receipted(text);
  }

  #handedOver({ plaintext, request }: Encrypted): void {
    const text = new TextDecoder().decode(plaintext);
    const { readers, ciphertexts } = this.#letter(text);
    if ("group" in request)
      for (const { address } of readers) ciphertexts.set(formatAddress(address), request.shared);
    else if ("to" in request && !("shared" in request))
      for (const { account, devices } of request.to)
        for (const { device, payload } of devices)
          ciphertexts.set(formatAddress(numberedDevice(account as Uint8Array, device)), payload);
    for (const ciphertext of ciphertexts.values()) this.#stage.unreceipted.set(endOf(ciphertext), text);
    this.#stage.tally.submitted(text);
    this.#stage.ciphertexts += "group" in request ? 1 + (request.blocks?.length ?? 0) : ciphertexts.size;
    this.#stage.inFlight++;
    this.#stage.happened();
  }

  #receipted(text: string): void {
    const { ciphertexts } = this.#letter(text);
    this.#letters.delete(text);
    for (const ciphertext of ciphertexts.values()) this.#stage.unreceipted.delete(endOf(ciphertext));
    this.#stage.tally.receipted(text);
    this.#stage.latestReceipted = ciphertexts;
    for (const [reader, ciphertext] of ciphertexts) this.#stage.receiptedCiphertexts.set(reader, ciphertext);
    this.#stage.receipts++;
    this.#stage.inFlight--;
    this.#stage.happened();
  }

  #overhear({ group, sender, payload, block }: Envelope): void {
    this.#stage.latestArrived = this.#stage.unreceipted.get(endOf(payload));
    this.#stage.happened();
    if (group === undefined) return;
    this.#stage.overheard.push({
      address: group.address.slice(),
      version: group.version,
      from: sender.slice(),
      shared: payload.slice(),
      block: (block ?? new Uint8Array(0)).slice(),
    });
  }

  async #show({ plaintext, sender, envelope, isSealed }: Message): Promise<void> {
    if (isSealed) {
      this.sealed.push({ from: formatAddress(sender), text: new TextDecoder().decode(plaintext) });
      this.#stage.happened();
      return;
    }
    const from = this.#nameOf(sender);
    const key = `${formatAddress(sender)}/${toHex(envelope.id)}`;
    if (this.#shown.has(key)) this.#stage.tally.shownTwice(this.name, from);
    else {
      this.#shown.add(key);
      const text = new TextDecoder().decode(plaintext);
      this.#stage.tally.read(this.name, from, text);
      this.read.push(text);
      if (envelope.group !== undefined) this.#stage.groupDecrypted++;
    }
    this.#stage.happened();
  }

  #cannotRead({ sender, error }: Unreadable): void {
    const from = this.#nameOf(sender);
    if (error instanceof RepeatedPayload) this.#stage.tally.shownTwice(this.name, from);
    else this.#stage.tally.fault(`${this.name} could not decrypt a message of ${from}: ${error}`);
    this.#stage.happened();
  }

  #letter(text: string): Letter {
    const letter = this.#letters.get(text);
    if (letter === undefined) throw new Error(`${this.name} never wrote this`);
    return letter;
  }

  #nameOf(device: DeviceAddress | undefined): string {
    return (device && this.#world.devices.get(formatAddress(device))?.name) ?? "a stranger";
  }

  #running() {
    if (this.#online === undefined) throw new Error(`${this.name} is offline`);
    return this.#online;
  }

  #fault(what: string): void {
    this.#stage.tally.fault(`${this.name} ${what}`);
    this.#stage.happened();
  }
}

/** Enough to tell ciphertexts apart. */
const endOf = (ciphertext: Uint8Array): string => toHex(ciphertext.subarray(-16));
