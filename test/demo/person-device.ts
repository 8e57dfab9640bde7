/**
 * One device of a person: its encryption, its client, and what it shows.
 *
 * It does what a chat app does. Writing: it knows the devices of whom it writes
 * to, makes one ciphertext for each of them and for its owner's other devices,
 * sends them as one envelope, and repairs the envelope when the node refuses it
 * because somebody got a new device. Reading: it decrypts, shows the text (to the
 * tally), and only then the client acks.
 *
 * Invariants. Envelopes are handed to the client in the order in which they
 * were written, one at a time. Nothing here recognises a repetition for the
 * client: one that comes through is counted as shown twice.
 */
import { setImmediate } from "node:timers/promises";
import { type DeviceAddress, formatAddress } from "../../src/base/address.js";
import { toHex } from "../../src/base/bytes.js";
import {
  type Client,
  createClient,
  type Envelope,
  InterlineError,
  type Receipt,
  type Roster,
  type Transport,
} from "../../src/client/client.js";
import type { RosterDifference } from "../../src/wire/protocol.js";
import { RepeatedPayload } from "./encryption-adapter.js";
import { Letter } from "./letter.js";
import { OneAtATime } from "./one-at-a-time.js";
import type { Person } from "./person.js";
import type { SignalDevice } from "./signal-device.js";
import type { Stage } from "./stage.js";

/** Short, so that a restarted node is found again within the time of a story. */
const BACK_OFF = { baseMs: 20, capMs: 150 };
const REPAIRS_MAX = 5;

export interface World {
  readonly stage: Stage;
  readonly url: string;
  readonly transport: Transport;
  readonly mintToken: (device: DeviceAddress) => Promise<string>;
  /** The device with this address, as formatAddress writes it. */
  readonly devices: Map<string, PersonDevice>;
}

export class PersonDevice {
  readonly name: string;
  readonly owner: Person;
  readonly #world: World;
  readonly #stage: Stage;
  readonly #signal: SignalDevice;
  readonly #writing = new OneAtATime();
  readonly #rosters = new Map<string, Roster>();
  /** Envelopes shown, by sender and envelope id. */
  readonly #shown = new Set<string>();
  #showing: Promise<void> = Promise.resolve();
  #client: Client | undefined;
  /** What a chat app keeps between two runs. */
  #kept: { position: number; recentIds: readonly string[] } | undefined;

  constructor(options: { owner: Person; name: string; signal: SignalDevice; world: World }) {
    this.owner = options.owner;
    this.name = options.name;
    this.#signal = options.signal;
    this.#world = options.world;
    this.#stage = options.world.stage;
    this.#world.devices.set(formatAddress(this.address), this);
  }

  get address(): DeviceAddress {
    return this.#signal.address;
  }

  get isOnline(): boolean {
    return this.#client !== undefined;
  }

  /** Private keys, for the search that must not find them anywhere. */
  get secrets(): readonly Uint8Array[] {
    return this.#signal.secrets;
  }

  /** Starts the app: a new client that goes on where the last one ended. Resolves when it is signed in. */
  async goOnline(): Promise<void> {
    const client = createClient({
      url: this.#world.url,
      token: () => this.#world.mintToken(this.address),
      transport: this.#world.transport,
      backOff: BACK_OFF,
      ...(this.#kept === undefined ? {} : { resume: this.#kept }),
    });
    this.#client = client;
    client.on("envelope", (envelope) => {
      this.#showing = this.#show(envelope);
      return this.#showing;
    });
    client.on("gap", ({ count }) => this.#fault(`was told that ${count} entries were removed`));
    client.on("handlerFailed", ({ error }) => this.#fault(`failed: ${error}`));
    client.on("closed", ({ error }) => {
      if (error !== undefined) this.#fault(`was disconnected for good: ${error.message}`);
    });
    await this.#stage.orEnd(client.connect());
  }

  /** Ends the app, when what it is showing is shown; it keeps its place in its queue. */
  async goOffline(): Promise<void> {
    const client = this.#connected();
    this.#client = undefined;
    await client.close();
    await this.#showing;
    // The client counts the envelope as taken in the same turn, but after us.
    await setImmediate();
    this.#kept = { position: client.position, recentIds: client.recentIds };
  }

  /** Asks the node for the person's devices, as far as it does not know them. */
  async meet(person: Person): Promise<void> {
    await this.#rosterOf(person);
  }

  /** Writes to all devices of the person and to its owner's others; resolves with the receipt. */
  async write(to: Person, content: string): Promise<void> {
    const text = this.#stage.newText(content);
    const readers = [...to.devices, ...this.owner.devices].filter((device) => device !== this);
    this.#stage.tally.written(
      text,
      this.name,
      readers.map(({ name }) => name),
    );
    const letter = new Letter({ text, writer: this.#signal });
    for (let repairs = 0; repairs <= REPAIRS_MAX; repairs++) {
      if (await this.#sendOnce(letter, to)) return;
    }
    this.#fault("could not repair a refused envelope");
  }

  /** Whether the envelope was receipted; false when it was refused and the rosters are repaired. */
  async #sendOnce(letter: Letter, to: Person): Promise<boolean> {
    const { receipt } = await this.#writing.run(() => this.#handOver(letter, to));
    try {
      const { durability } = await receipt;
      if (durability !== "disk") this.#fault(`got a receipt that says ${durability}`);
      this.#stage.tally.receipted(letter.text);
      this.#stage.latestReceipted = letter;
      for (const [reader, ciphertext] of letter.ciphertexts) {
        this.#stage.receiptedCiphertexts.set(reader, ciphertext);
      }
      this.#stage.receipts++;
      return true;
    } catch (error) {
      if (!(error instanceof InterlineError) || error.code !== "rosterStale") throw error;
      for (const difference of error.detail.rosters ?? []) this.#repairRoster(difference);
      this.#stage.refusals++;
      return false;
    } finally {
      this.#stage.inFlight--;
      this.#stage.happened();
    }
  }

  /** The receipt comes in an object: whoever waits for the handing over does not wait for it. */
  async #handOver(letter: Letter, to: Person): Promise<{ receipt: Promise<Receipt> }> {
    const rosters = [await this.#rosterOf(to), await this.#rosterOf(this.owner)];
    const request = await letter.cover(rosters);
    const receipt = this.#connected().send(request);
    this.#stage.tally.submitted(letter.text);
    this.#stage.ciphertexts += request.to.reduce((count, { devices }) => count + devices.length, 0);
    this.#stage.inFlight++;
    this.#stage.happened();
    return { receipt };
  }

  async #show(envelope: Envelope): Promise<void> {
    const from = this.#world.devices.get(formatAddress(envelope.sender))?.name ?? "a stranger";
    const key = `${formatAddress(envelope.sender)}/${toHex(envelope.id)}`;
    try {
      if (this.#shown.has(key)) throw new RepeatedPayload("an envelope came twice");
      this.#shown.add(key);
      const plaintext = await this.#signal.decrypt(envelope.payload, envelope.sender);
      const text = new TextDecoder().decode(plaintext);
      this.#stage.tally.read(this.name, from, text);
      this.#stage.latestRead = text;
    } catch (error) {
      if (error instanceof RepeatedPayload) this.#stage.tally.shownTwice(this.name, from);
      else this.#stage.tally.fault(`${this.name} could not decrypt a message of ${from}: ${error}`);
    }
    this.#stage.happened();
  }

  async #rosterOf(person: Person): Promise<Roster> {
    const key = formatAddress(person.account);
    const known = this.#rosters.get(key);
    if (known !== undefined) return known;
    const roster = await this.#stage.orEnd(this.#connected().roster(person.account));
    this.#rosters.set(key, roster);
    return roster;
  }

  /** The roster as it is, from the one the refused envelope was made for. */
  #repairRoster({ account, version, missing, surplus }: RosterDifference): void {
    const key = formatAddress(account);
    const known = this.#rosters.get(key);
    if (known !== undefined && known.version >= version) return;
    const devices = (known?.devices ?? []).filter((device) => !surplus.includes(device));
    this.#rosters.set(key, { account, version, devices: [...devices, ...missing] });
  }

  #connected(): Client {
    if (this.#client === undefined) throw new Error(`${this.name} is offline`);
    return this.#client;
  }

  #fault(what: string): void {
    this.#stage.tally.fault(`${this.name} ${what}`);
    this.#stage.happened();
  }
}
