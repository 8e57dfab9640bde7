/**
 * People with devices at a node in this process, over its sockets, each device with a cipher: what the tests of ciphers are held with.
 *
 * Every device keeps a copy of all envelopes it was handed, before its cipher sees them: what a thief of its frames has.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type AccountAddress, accountOf, type DeviceAddress, formatAddress } from "../../src/base/address.js";
import { equalBytes, toHex } from "../../src/base/bytes.js";
import {
  type Client,
  createClient,
  createSealedClient,
  type SealedClient,
  type SuiteName,
} from "../../src/client/client.js";
import { decodeContent } from "../../src/client/content.js";
import {
  type Cipher,
  EncryptedClient,
  type EncryptedClientOptions,
  type GroupEnvelope,
  type SharedDeliveryToken,
} from "../../src/client/encrypted-client.js";
import { createNode, type InterlineNode } from "../../src/index.js";

export type MakeCipher<Suite extends SuiteName> = (
  address: DeviceAddress,
) => Cipher<Suite> | Promise<Cipher<Suite>>;

export interface Shown {
  readonly text: string;
  readonly from: string;
}

export interface Transcript {
  readonly text: string;
  readonly to: readonly string[];
}

export type PartyOptions<Suite extends SuiteName> = Partial<EncryptedClientOptions<Suite>>;

export class Party<Suite extends SuiteName> {
  readonly address: DeviceAddress;
  readonly cipher: Cipher<Suite>;
  readonly client: Client;
  readonly encrypted: EncryptedClient<Suite>;
  readonly shown: Shown[] = [];
  /** Of what was shown: what other devices of the account have sent to accounts. */
  readonly transcripts: Transcript[] = [];
  /** Texts that came sealed. */
  readonly sealed: string[] = [];
  /** Of what was shown: what others have sent to several accounts, and which those are. */
  readonly joint: Transcript[] = [];
  readonly tokens: SharedDeliveryToken[] = [];
  readonly unreadable: unknown[] = [];
  readonly stolen: GroupEnvelope[] = [];
  /** Payloads of direct envelopes, and whose. */
  readonly payloads: { readonly payload: Uint8Array; readonly from: DeviceAddress }[] = [];

  constructor(client: Client, cipher: Cipher<Suite>, options: PartyOptions<Suite>) {
    this.client = client;
    this.address = cipher.address;
    this.cipher = cipher;
    this.client.on("envelope", ({ sender, payload, block, group }) => {
      const from = sender.slice() as DeviceAddress;
      if (group === undefined) this.payloads.push({ payload: payload.slice(), from });
      else
        this.stolen.push({
          address: group.address.slice(),
          version: group.version,
          from,
          shared: payload.slice(),
          block: (block ?? new Uint8Array(0)).slice(),
        });
    });
    this.encrypted = new EncryptedClient({
      client: this.client,
      cipher: this.cipher,
      onMessage: ({ plaintext, sender, sentTo, sharedWith, isSealed }) => {
        const text = new TextDecoder().decode(plaintext);
        this.shown.push({ text, from: formatAddress(sender) });
        if (sentTo !== undefined) this.transcripts.push({ text, to: sentTo.map(formatAddress) });
        if (sharedWith !== undefined) this.joint.push({ text, to: sharedWith.map(formatAddress) });
        if (isSealed) this.sealed.push(text);
      },
      onDeliveryToken: (shared) => this.tokens.push(shared),
      onUnreadable: ({ error }) => this.unreadable.push(error),
      // At once: nobody tells a group of a member's new device.
      rosterAgeMs: 0,
      groupWaitMs: 2_000,
      ...options,
    });
  }

  get account(): AccountAddress {
    return accountOf(this.address);
  }

  get name(): string {
    return formatAddress(this.address);
  }

  texts(): string[] {
    return this.shown.map(({ text }) => text);
  }

  send(to: Party<Suite>, text: string) {
    return this.encrypted.send({ to: [to.account], plaintext: new TextEncoder().encode(text) });
  }

  sendSealed(to: Party<Suite>, text: string) {
    return this.encrypted.sendSealed({
      to: to.account,
      deliveryToken: this.#tokenOf(to.account),
      plaintext: new TextEncoder().encode(text),
    });
  }

  /** With the tokens that the others have shared with this device, and as its account's own the one that is given. */
  sendSealedShared(others: readonly Party<Suite>[], text: string, ownToken?: Uint8Array) {
    const to = others.map(({ account }) => ({ account, deliveryToken: this.#tokenOf(account) }));
    if (ownToken !== undefined) to.push({ account: this.account, deliveryToken: ownToken });
    return this.encrypted.sendSealedShared({ to, plaintext: new TextEncoder().encode(text) });
  }

  /** The last that the account has shared with this device. */
  #tokenOf(of: AccountAddress): Uint8Array {
    const shared = this.tokens.findLast(({ account }) => equalBytes(account, of));
    return shared?.deliveryToken ?? new Uint8Array(0);
  }

  sendToGroup(group: Uint8Array, text: string) {
    return this.encrypted.sendToGroup({ group, plaintext: new TextEncoder().encode(text) });
  }
}

export class Parties<Suite extends SuiteName> {
  readonly #node: InterlineNode;
  readonly #directory: string;
  readonly #make: MakeCipher<Suite>;
  readonly all: Party<Suite>[] = [];
  readonly #sealed: SealedClient[] = [];

  private constructor(node: InterlineNode, directory: string, make: MakeCipher<Suite>) {
    this.#node = node;
    this.#directory = directory;
    this.#make = make;
  }

  static async open<Suite extends SuiteName>(make: MakeCipher<Suite>): Promise<Parties<Suite>> {
    const directory = await mkdtemp(join(tmpdir(), "interline-ciphers-"));
    return new Parties(await createNode({ dataDirectory: directory, port: 0 }), directory, make);
  }

  async close(): Promise<void> {
    await Promise.all([...this.all.map(({ client }) => client), ...this.#sealed].map((one) => one.close()));
    await this.#node.stop();
    await rm(this.#directory, { recursive: true });
  }

  /** `brand/account/device`, signed in and with its keys at the node. */
  async join(who: string, make = this.#make, options: PartyOptions<Suite> = {}): Promise<Party<Suite>> {
    const [brand, account, device] = who.split("/") as [string, string, string];
    const address = { brand, account, device: Number(device) };
    const cipher = await make(this.#node.address(address));
    const client = createClient({ url: this.#url, token: () => this.#node.mintToken(address) });
    const party = new Party(client, cipher, options);
    this.all.push(party);
    await party.client.connect();
    await party.encrypted.publishKeys();
    return party;
  }

  /** A connection that speaks for nobody. */
  async nobody(brand: string): Promise<SealedClient> {
    const token = () => this.#node.mintAnonymousToken({ brand });
    const client = createSealedClient({ url: this.#url, token });
    this.#sealed.push(client);
    await client.connect();
    return client;
  }

  get #url(): string {
    return this.#node.url as string;
  }
}

/** The text of a message to a group that a cipher has decrypted. */
export function textOf(content: Uint8Array, from: DeviceAddress): string {
  const read = decodeContent(content, { sender: from, reader: accountOf(from), isGroup: true });
  if (read.kind !== "message") throw new Error("no message");
  return new TextDecoder().decode(read.plaintext);
}

/**
 * What somebody reads of stolen envelopes with the state of a cipher: every shared part is tried without a block and
 * with every block that anybody was given beside it. Tries nothing less than all; answers the texts.
 */
export async function readWith<Suite extends SuiteName>(
  cipher: Cipher<Suite>,
  envelopes: readonly GroupEnvelope[],
): Promise<string[]> {
  /** By shared part, then by block: what is tried once. */
  const distinct = new Map<string, Map<string, GroupEnvelope>>();
  for (const envelope of envelopes) {
    const shared = toHex(envelope.shared);
    const tries = distinct.get(shared) ?? new Map([["", { ...envelope, block: new Uint8Array(0) }]]);
    distinct.set(shared, tries.set(toHex(envelope.block), envelope));
  }
  const texts = new Set<string>();
  for (const tries of distinct.values())
    for (const tried of tries.values()) {
      const plaintext = await cipher.decryptFromGroup(tried).catch(() => undefined);
      if (plaintext !== undefined) texts.add(textOf(plaintext, tried.from));
    }
  return [...texts];
}
