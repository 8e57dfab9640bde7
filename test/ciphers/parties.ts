/**
 * People with devices at a node in this process, each device with a cipher: what the tests of ciphers are held with.
 *
 * Every device keeps a copy of all envelopes it was handed, before its cipher sees them: what a thief of its frames has.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type AccountAddress, accountOf, type DeviceAddress, formatAddress } from "../../src/base/address.js";
import { toHex } from "../../src/base/bytes.js";
import type { Client, SuiteName } from "../../src/client/client.js";
import { type Cipher, EncryptedClient, type GroupEnvelope } from "../../src/client/encrypted-client.js";
import { createNode, type InterlineNode } from "../../src/index.js";

export type MakeCipher<Suite extends SuiteName> = (
  address: DeviceAddress,
) => Cipher<Suite> | Promise<Cipher<Suite>>;

export interface Shown {
  readonly text: string;
  readonly from: string;
}

export class Party<Suite extends SuiteName> {
  readonly address: DeviceAddress;
  readonly cipher: Cipher<Suite>;
  readonly client: Client;
  readonly encrypted: EncryptedClient<Suite>;
  readonly shown: Shown[] = [];
  readonly unreadable: unknown[] = [];
  readonly stolen: GroupEnvelope[] = [];
  /** Payloads of direct envelopes, and whose. */
  readonly payloads: { readonly payload: Uint8Array; readonly from: DeviceAddress }[] = [];

  constructor(client: Client, cipher: Cipher<Suite>) {
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
      onMessage: ({ plaintext, sender }) => {
        this.shown.push({ text: new TextDecoder().decode(plaintext), from: formatAddress(sender) });
      },
      onUnreadable: ({ error }) => this.unreadable.push(error),
      // At once: nobody tells a group of a member's new device.
      rosterAgeMs: 0,
      groupWaitMs: 2_000,
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

  sendToGroup(group: Uint8Array, text: string) {
    return this.encrypted.sendToGroup({ group, plaintext: new TextEncoder().encode(text) });
  }
}

export class Parties<Suite extends SuiteName> {
  readonly #node: InterlineNode;
  readonly #directory: string;
  readonly #make: MakeCipher<Suite>;
  readonly all: Party<Suite>[] = [];

  private constructor(node: InterlineNode, directory: string, make: MakeCipher<Suite>) {
    this.#node = node;
    this.#directory = directory;
    this.#make = make;
  }

  static async open<Suite extends SuiteName>(make: MakeCipher<Suite>): Promise<Parties<Suite>> {
    const directory = await mkdtemp(join(tmpdir(), "interline-ciphers-"));
    return new Parties(await createNode({ dataDirectory: directory, listen: false }), directory, make);
  }

  async close(): Promise<void> {
    await Promise.all(this.all.map(({ client }) => client.close()));
    await this.#node.stop();
    await rm(this.#directory, { recursive: true });
  }

  /** `brand/account/device`, signed in and with its keys at the node. */
  async join(who: string, make = this.#make): Promise<Party<Suite>> {
    const [brand, account, device] = who.split("/") as [string, string, string];
    const address = { brand, account, device: Number(device) };
    const cipher = await make(this.#node.address(address));
    const party = new Party(this.#node.attach(address), cipher);
    await party.client.connect();
    await party.encrypted.publishKeys();
    this.all.push(party);
    return party;
  }
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
      if (plaintext !== undefined) texts.add(new TextDecoder().decode(plaintext));
    }
  return [...texts];
}
