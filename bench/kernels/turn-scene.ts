/**
 * What the turn is measured with: accounts that are resident, and batches of sends. A batch is used again and again
 * under new ids; the accounts it names are drawn once, from all of them, by a seeded generator.
 */
import { accountAddress } from "../../src/base/address.js";
import type { ResidentAccount } from "../../src/kernel/kernel.js";
import { encodeClientFrame } from "../../src/wire/client-frames.js";
import { fillPayload } from "../generator/payload.js";
import { Random } from "../generator/random.js";
import type { Message, TurnSizes } from "./turn-contestant.js";

export interface Scene {
  readonly sizes: TurnSizes;
  /** Each is good until the next is asked for: there may be millions. */
  readonly accounts: () => Iterable<ResidentAccount>;
  readonly batches: readonly (readonly Message[])[];
  /** What a batch is counted in: sends, accounts or entries. */
  readonly units: number;
}

const MiB = 1024 * 1024;
const BRAND = 1;
const DEDUP_KEYS = 1 << 16;
/** Where an id begins in a send: 93 02 c4 10. */
const ID_AT = 4;
const ID_BYTES = 16;
const NO_DEVICES: ResidentAccount["devices"] = [];

interface Plan {
  /** The first so many accounts have one device, which sends; each sends one message a batch. */
  readonly senders: number;
  readonly accounts: number;
  /** Of each account that does not send. */
  readonly devicesPerAccount: number;
  readonly recipientsPerSend: number;
  readonly payloadBytes: number;
  readonly batches: number;
  /** Recipients are senders, too. */
  readonly amongSenders?: boolean;
}

/** As in the canonical workload: devices send to one another, one device an account. */
export function pairsScene(payloadBytes: number): Scene {
  const senders = 1024;
  const plan = {
    senders,
    accounts: senders,
    devicesPerAccount: 1,
    recipientsPerSend: 1,
    payloadBytes,
    batches: 4,
    amongSenders: true,
  };
  return sceneOf(plan, senders);
}

/** Sends for all devices of an account, so that laying out is most of the work. */
export function gatherScene(payloadBytes: number): Scene {
  const devicesPerAccount = 16;
  const plan = {
    senders: 64,
    accounts: 64 + 256,
    devicesPerAccount,
    recipientsPerSend: 1,
    payloadBytes,
    batches: 4,
  };
  return sceneOf(plan, 64 * devicesPerAccount);
}

/** Sends that name many accounts without devices: they are found, held against their rosters, and nothing is laid out. */
export function routeScene(accounts: number): Scene {
  const recipientsPerSend = 16;
  const senders = 64;
  const plan = {
    senders,
    accounts: senders + accounts,
    devicesPerAccount: 0,
    recipientsPerSend,
    payloadBytes: 0,
    // All of them in turn touch more memory than caches hold, if there are enough accounts.
    batches: Math.min(256, Math.ceil((2 * accounts) / (senders * recipientsPerSend))),
  };
  return sceneOf(plan, senders * recipientsPerSend);
}

function sceneOf(plan: Plan, units: number): Scene {
  const { senders, accounts, devicesPerAccount, batches } = plan;
  const random = new Random(1);
  return {
    units,
    sizes: {
      accounts,
      devices: senders + (accounts - senders) * devicesPerAccount,
      inboxBytes: 2 * MiB,
      layoutBytes: 4 * MiB,
      dedupKeys: DEDUP_KEYS,
    },
    accounts: () => accountsOf(plan),
    batches: Array.from({ length: batches }, () =>
      Array.from({ length: senders }, (_, sender) => ({ sender, bytes: frameOf(plan, sender, random) })),
    ),
  };
}

function* accountsOf({ senders, accounts, devicesPerAccount }: Plan): Generator<ResidentAccount> {
  const address = accountAddress(BRAND, new Uint8Array(16));
  let ordinal = 0;
  for (let i = 0; i < accounts; i++) {
    const count = i < senders ? 1 : devicesPerAccount;
    const devices =
      count === 0
        ? NO_DEVICES
        : Array.from({ length: count }, (_, at) => ({ number: at + 1, ordinal: ++ordinal }));
    writeAddress(address, i);
    yield { address, version: versionOf(i), devices };
  }
}

/** Every account has a version of its own: whoever finds the wrong one refuses the send. */
function versionOf(account: number): number {
  return account + 1;
}

function writeAddress(address: Uint8Array, account: number): void {
  for (let word = 0; word < 4; word++) {
    const bits = mixed(account + word * 0x9e3779b1);
    const at = 2 + 4 * word;
    address[at] = bits >>> 24;
    address[at + 1] = bits >>> 16;
    address[at + 2] = bits >>> 8;
    address[at + 3] = bits;
  }
}

function addressOf(account: number): Uint8Array {
  const address = accountAddress(BRAND, new Uint8Array(16));
  writeAddress(address, account);
  return address;
}

/** A permutation of 32-bit numbers that looks random (the last step of MurmurHash3). */
function mixed(value: number): number {
  let h = value >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

function frameOf(plan: Plan, sender: number, random: Random): Uint8Array {
  const count = plan.amongSenders ? plan.senders : plan.accounts - plan.senders;
  const first = plan.amongSenders ? 0 : plan.senders;
  const chosen = new Set<number>();
  while (chosen.size < plan.recipientsPerSend) {
    const account = first + random.below(count);
    if (account !== sender) chosen.add(account);
  }
  const payload = new Uint8Array(plan.payloadBytes);
  fillPayload(payload);
  return encodeClientFrame({
    kind: "send",
    id: new Uint8Array(ID_BYTES),
    accounts: [...chosen].map((account) => ({
      account: addressOf(account),
      version: versionOf(account),
      devices: Array.from({ length: plan.devicesPerAccount }, (_, at) => ({ device: at + 1, payload })),
    })),
  });
}

let lastId = 0;

/** Gives every send of the batch an id that was never used. */
export function renew(batch: readonly Message[]): void {
  for (const { bytes } of batch) {
    const id = ++lastId;
    bytes[ID_AT] = id >>> 24;
    bytes[ID_AT + 1] = id >>> 16;
    bytes[ID_AT + 2] = id >>> 8;
    bytes[ID_AT + 3] = id;
  }
}
