/** Sealed envelopes to several accounts at once, with libsignal's multi-recipient sealed sender, over real sockets. */
import {
  IdentityKeyPair,
  type PublicKey,
  type SenderCertificate,
  sealedSenderDecryptToUsmc,
  type UnidentifiedSenderMessageContent,
} from "@signalapp/libsignal-client";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type DeviceAddress, deviceParts, formatAddress, numberedDevice } from "../../src/base/address.js";
import { equalBytes, toHex } from "../../src/base/bytes.js";
import type { SealedClient, SealedSharedSendRequest } from "../../src/client/client.js";
import { encodeContent } from "../../src/client/content.js";
import { type Encrypted, RepeatedPayload } from "../../src/client/encrypted-client.js";
import { Authorities, HOUR_MS } from "./authorities.js";
import { until } from "./contract.js";
import { Parties, type Party, type PartyOptions } from "./parties.js";
import { SignalCipher } from "./signal-cipher.js";
import { HEAD_BYTES, joined } from "./signal-multi-recipient.js";
import { BrandAuthority, type Certification, SealingSignalCipher } from "./signal-sealing.js";

const KEYS = 8;
const certification = new Authorities();

/** Takes off the seal alone, and reads what is under it alone: as two who put together what they have. */
class Prying extends SealingSignalCipher {
  async unsealed({ payload, block }: Handed): Promise<UnidentifiedSenderMessageContent> {
    return sealedSenderDecryptToUsmc(joined(payload, block).slice(), this.state.identities);
  }

  readUnsealed(content: UnidentifiedSenderMessageContent, from: DeviceAddress): Promise<Uint8Array> {
    return this.messageFromGroup(content.contents(), content.groupId() as Uint8Array, from);
  }
}
const make = (address: DeviceAddress): SealingSignalCipher => new Prying(address, KEYS, certification);

let parties: Parties<"signal">;
let nobody: SealedClient;

beforeEach(async () => {
  parties = await Parties.open(make);
  nobody = await parties.nobody("whatsapp");
});
afterEach(() => parties.close());

/** What a device was handed sealed. */
interface Handed {
  readonly payload: Uint8Array;
  readonly block: Uint8Array;
  readonly timeMs: number;
}

/** Three people of three brands, two with two devices. Ana may write sealed to all, and has a token of her own. */
async function room(makeAna = make, options: PartyOptions<"signal"> = {}) {
  const requests: SealedSharedSendRequest[] = [];
  const onEncrypted = ({ request }: Encrypted) => {
    if ("shared" in request && "to" in request) requests.push(request);
  };
  const ana = await parties.join("whatsapp/ana/1", makeAna, { sealed: nobody, onEncrypted, ...options });
  const tablet = await parties.join("whatsapp/ana/2");
  const chi = await parties.join("instagram/chi/1");
  const pad = await parties.join("instagram/chi/2");
  const dov = await parties.join("messenger/dov/1");
  const [ownToken] = (await Promise.all([ana, chi, dov].map((one) => share(one, ana)))) as [Uint8Array];
  await until(() => ana.tokens.length === 2, "ana has the tokens");
  const all = [ana, tablet, chi, pad, dov];
  const handed = new Map(all.map((party) => [party, handedTo(party)]));
  return { ana, tablet, chi, pad, dov, all, ownToken, requests, handed };
}

async function share(owner: Party<"signal">, reader: Party<"signal">): Promise<Uint8Array> {
  const deliveryToken = owner.client.deliveryToken.make();
  await owner.client.deliveryToken.set(deliveryToken);
  if (owner !== reader) await owner.encrypted.shareDeliveryToken({ to: [reader.account], deliveryToken });
  return deliveryToken;
}

function handedOf(
  handed: ReadonlyMap<Party<"signal">, Handed[]>,
  party: Party<"signal">,
  index: number,
): Handed {
  return handed.get(party)?.at(index) as Handed;
}

function handedTo(party: Party<"signal">): Handed[] {
  const all: Handed[] = [];
  party.client.on("sealed", ({ payload, block, timeMs }) => {
    all.push({ payload: payload.slice(), block: (block ?? new Uint8Array(0)).slice(), timeMs });
  });
  return all;
}

const noneFailed = () => expect(parties.all.flatMap(({ unreadable }) => unreadable)).toEqual([]);
const allRead = (readers: readonly Party<"signal">[], text: string) =>
  until(() => readers.every((reader) => reader.texts().includes(text)), `all read "${text}"`);
const blocksOf = ({ to }: SealedSharedSendRequest) =>
  to.flatMap(({ account, devices }) =>
    devices.map(({ device, block }) => ({
      of: formatAddress(numberedDevice(account as Uint8Array, device)),
      block,
    })),
  );
const blockOf = (request: SealedSharedSendRequest | undefined, party: Party<"signal">): Uint8Array =>
  blocksOf(request as SealedSharedSendRequest).find(({ of }) => of === party.name)?.block ??
  new Uint8Array(0);

test("everybody reads it, on every device, the writer's others as a transcript, and nothing goes by name", async () => {
  const { ana, tablet, chi, pad, dov, all, ownToken, requests, handed } = await room();
  const named: unknown[] = [];
  ana.client.send = (request) => Promise.reject(named.push(request));
  const { durability, leftOut } = await ana.sendSealedShared([chi, dov], "to you both", ownToken);
  expect({ durability, leftOut, named }).toEqual({ durability: "disk", leftOut: [], named: [] });
  await allRead([tablet, chi, pad, dov], "to you both");
  await until(() => handed.get(ana)?.length === 1, "the writer's device is handed its own");
  for (const reader of [chi, pad, dov, tablet])
    expect(reader.shown).toEqual([{ text: "to you both", from: ana.name }]);
  for (const reader of [chi, pad, dov]) expect(reader.sealed).toEqual(["to you both"]);
  const [accountOfChi, accountOfDov] = [chi, dov].map(({ account }) => formatAddress(account));
  expect([chi.joint, pad.joint, dov.joint].map(([first]) => first?.to)).toEqual([
    [accountOfDov],
    [accountOfDov],
    [accountOfChi],
  ]);
  expect([chi.transcripts, dov.transcripts, tablet.joint]).toEqual([[], [], []]);
  expect(tablet.transcripts).toEqual([
    { text: "to you both", to: [accountOfChi as string, accountOfDov as string] },
  ]);
  // The own envelope has been passed over: what comes after it is read.
  await ana.sendSealedShared([chi, dov], "again", ownToken);
  await allRead([tablet, chi, pad, dov], "again");
  await chi.send(ana, "an answer");
  await until(() => ana.shown.length === 1, "ana reads on");
  expect(ana.shown).toEqual([{ text: "an answer", from: chi.name }]);
  noneFailed();
  // One shared part, and what the node gets names nobody: not the writer's address, nor its identity key.
  const [first, second] = requests as [SealedSharedSendRequest, SealedSharedSendRequest];
  expect(requests).toHaveLength(2);
  for (const party of all)
    expect(handed.get(party)?.map(({ payload }) => toHex(payload))).toEqual([
      toHex(first.shared),
      toHex(second.shared),
    ]);
  for (const request of requests)
    for (const bytes of [request.shared, ...blocksOf(request).map(({ block }) => block)])
      expect(Buffer.from(bytes).includes(formatAddress(ana.account))).toBe(false);
});

test("blocks have the sizes that the head of signal-sealing.ts states, the writer's own like the others", async () => {
  const { ana, tablet, chi, pad, dov, ownToken, requests } = await room();
  await ana.send(pad, "so that there is a ratchet");
  const text = "m".repeat(96);
  const payloadBytes = 96 + 2 + 2 * 18;
  for (const _ of [1, 2]) await ana.sendSealedShared([chi, dov], text, ownToken);
  await until(() => dov.shown.length === 2, "dov reads");
  const [first, second] = requests as [SealedSharedSendRequest, SealedSharedSendRequest];
  for (const { shared } of requests) {
    expect(shared.length - payloadBytes).toBeGreaterThan(420);
    expect(shared.length - payloadBytes).toBeLessThan(460);
  }
  expect(blocksOf(second).map(({ block }) => block.length)).toEqual(Array(5).fill(HEAD_BYTES));
  const lengths = [tablet, chi, pad, dov].map((party) => blockOf(first, party).length);
  expect(Math.max(...lengths)).toBeGreaterThan(2_200);
  expect(Math.max(...lengths)).toBeLessThan(2_400);
  expect(lengths).toContain(blockOf(first, ana).length);
  expect(blockOf(first, ana).length).toBe(Math.min(...lengths));
  expect(Math.min(...lengths)).toBeGreaterThan(550);
  expect(Math.min(...lengths)).toBeLessThan(650);
  expect(
    new Set(requests.flatMap(blocksOf).map(({ block }) => toHex(block.subarray(0, HEAD_BYTES)))).size,
  ).toBe(10);
  // A device that is new, alone: the writer's own block is as everybody else's.
  const laptop = await parties.join("messenger/dov/2");
  await ana.sendSealedShared([chi, dov], "to one more", ownToken);
  await allRead([laptop], "to one more");
  const third = requests.at(-1);
  expect(blockOf(third, laptop).length).toBeGreaterThan(HEAD_BYTES + 400);
  expect([ana, tablet, chi, pad, dov].map((party) => blockOf(third, party).length)).toEqual(
    Array(5).fill(HEAD_BYTES),
  );
  noneFailed();
});

test("a cipher that does not fill its own block is seen to be told from the others", async () => {
  class Careless extends Prying {
    protected override fillBytesFor(): number {
      return 0;
    }
  }
  const { ana, chi, dov, ownToken, requests } = await room(
    (address) => new Careless(address, KEYS, certification),
  );
  await ana.sendSealedShared([chi, dov], "once", ownToken);
  const shortest = blocksOf(requests[0] as SealedSharedSendRequest).filter(
    ({ block }) => block.length === HEAD_BYTES,
  );
  expect(shortest.map(({ of }) => of)).toEqual([ana.name]);
});

test("accounts are listed in one order, whoever writes and in whatever order they are named", async () => {
  const { ana, chi, dov, ownToken, requests } = await room();
  await ana.sendSealedShared([chi, dov], "one", ownToken);
  await ana.sendSealedShared([dov, chi], "two", ownToken);
  const listed = requests.map(({ to }) => to.map(({ account }) => formatAddress(account as Uint8Array)));
  expect(listed).toEqual(Array(2).fill([ana, chi, dov].map(({ account }) => formatAddress(account)).sort()));
});

test("without the own account the transcript goes by name, as of a sealed send", async () => {
  const { ana, tablet, chi, dov, handed } = await room();
  await ana.sendSealedShared([chi, dov], "not to me");
  await allRead([tablet, chi, dov], "not to me");
  expect(tablet.transcripts.map(({ to }) => to)).toEqual([
    [chi, dov].map(({ account }) => formatAddress(account)),
  ]);
  expect([tablet.sealed, handed.get(tablet), handed.get(ana)]).toEqual([[], [], []]);
  const send = ana.client.send.bind(ana.client);
  ana.client.send = () => Promise.reject(new Error("not now"));
  await expect(ana.sendSealedShared([chi, dov], "nor this")).rejects.toMatchObject({
    code: "transcriptFailed",
  });
  ana.client.send = send;
  await allRead([chi, dov], "nor this");
  noneFailed();
});

describe("a roster that has changed", () => {
  test("is learned from the sealed connection, a new device gets the key, and a removed one reads no more", async () => {
    const { ana, tablet, chi, pad, dov, ownToken, handed } = await room();
    const asked: string[] = [];
    const roster = ana.client.roster.bind(ana.client);
    ana.client.roster = (account) => {
      asked.push(formatAddress(account as Uint8Array));
      return roster(account);
    };
    const claim = ana.client.keys.claim.bind(ana.client.keys);
    ana.client.keys.claim = (device, suite) => {
      asked.push(formatAddress(device as Uint8Array));
      return claim(device, suite);
    };
    await ana.sendSealedShared([chi, dov], "before", ownToken);
    await allRead([tablet, chi, pad, dov], "before");
    await pad.client.close();
    const laptop = await parties.join("messenger/dov/2");
    await chi.client.devices.remove(2);
    const refusals: string[] = [];
    nobody.on("refused", ({ error }) => refusals.push(error.code));
    await ana.sendSealedShared([chi, dov], "after", ownToken);
    await allRead([tablet, chi, dov, laptop], "after");
    expect(refusals).toEqual(["rosterStale"]);
    expect(asked).toEqual([]);
    expect(laptop.texts()).toEqual(["after"]);
    noneFailed();
    expect(await readTogether(pad, chi, handed, ana, -1)).toBeUndefined();
    // The same two had before what was sent before: the attempt is one that could succeed.
    expect(await readTogether(pad, chi, handed, ana, 0)).toBe("a repeat");
  });

  test("is learned together with one that was never known", async () => {
    const { ana, tablet, chi, pad, dov, ownToken } = await room();
    await ana.sendSealedShared([chi], "to chi alone", ownToken);
    await allRead([tablet, chi, pad], "to chi alone");
    const laptop = await parties.join("instagram/chi/3");
    await ana.sendSealedShared([chi, dov], "to both", ownToken);
    await allRead([tablet, chi, pad, laptop, dov], "to both");
    noneFailed();
  });

  test("is seen to be read on by who was removed, under another's seal, when the cipher keeps its key", async () => {
    class Careless extends Prying {
      protected override mustReplace(): boolean {
        return false;
      }
    }
    const { ana, chi, pad, dov, ownToken, handed } = await room(
      (address) => new Careless(address, KEYS, certification),
    );
    await ana.sendSealedShared([chi, dov], "before", ownToken);
    await allRead([chi, pad, dov], "before");
    await chi.client.devices.remove(2);
    await ana.sendSealedShared([chi, dov], "after", ownToken);
    await allRead([chi, dov], "after");
    expect(await readTogether(pad, chi, handed, ana, -1)).toContain("after");
  });

  /** What a removed device reads of an envelope that another one was handed, whose seal that one has taken off. */
  async function readTogether(
    removed: Party<"signal">,
    helper: Party<"signal">,
    handed: ReadonlyMap<Party<"signal">, Handed[]>,
    writer: Party<"signal">,
    index: number,
  ): Promise<string | undefined> {
    const content = await (helper.cipher as Prying).unsealed(handedOf(handed, helper, index));
    // Its own seal is not the other's.
    await expect((removed.cipher as Prying).unsealed(handedOf(handed, helper, index))).rejects.toThrow();
    return (removed.cipher as Prying).readUnsealed(content, writer.address).then(
      (plaintext) => new TextDecoder().decode(plaintext),
      (error) => (error instanceof RepeatedPayload ? "a repeat" : undefined),
    );
  }
});

test("one refused token keeps it from everybody, and the error says whose it is", async () => {
  const { ana, tablet, chi, dov, ownToken } = await room();
  const fresh = dov.client.deliveryToken.make();
  await dov.client.deliveryToken.set(fresh);
  await expect(ana.sendSealedShared([chi, dov], "too late", ownToken)).rejects.toMatchObject({
    code: "deliveryTokenRefused",
    detail: { accounts: [dov.account] },
  });
  await ana.sendSealedShared([chi], "to chi alone", ownToken);
  await dov.encrypted.shareDeliveryToken({ to: [ana.account], deliveryToken: fresh });
  await until(() => ana.tokens.length === 3, "ana has the new token");
  await ana.sendSealedShared([chi, dov], "to both", ownToken);
  await allRead([tablet, chi, dov], "to both");
  expect([tablet, chi, dov].map((reader) => reader.texts())).toEqual([
    ["to chi alone", "to both"],
    ["to chi alone", "to both"],
    ["to both"],
  ]);
  noneFailed();
});

test("a device without keys is left out and named, and the others read", async () => {
  const { ana, chi, dov, ownToken, requests } = await room();
  const keyless = await parties.join("messenger/dov/2", (address) => {
    const cipher = make(address);
    cipher.refill = async () => undefined;
    return cipher;
  });
  expect((await ana.sendSealedShared([chi, dov], "hello", ownToken)).leftOut).toEqual([keyless.address]);
  await allRead([chi, dov], "hello");
  await until(() => keyless.unreadable.length === 1, "it reads nothing");
  const request = requests.at(-1);
  expect(blockOf(request, keyless).length).toBe(blockOf(request, ana).length);
});

test("an app that was installed anew, under the same number, is given the key again once its identity is told", async () => {
  const { ana, chi, dov, ownToken } = await room();
  // By name: so the node tells of a new identity.
  await ana.client.keys.claim(dov.address, "signal");
  await ana.sendSealedShared([chi, dov], "before", ownToken);
  await allRead([chi, dov], "before");
  const { position } = dov.client;
  await ana.send(dov, "the last");
  await until(() => dov.texts().includes("the last") && dov.client.position > position, "dov has taken it");
  await dov.client.close();
  const noticed = ana.client.once("notice");
  const anew = await parties.join("messenger/dov/1");
  expect((await noticed).body.notice).toBe("identity");
  await ana.sendSealedShared([chi, dov], "after", ownToken);
  await allRead([chi, anew], "after");
  expect([...chi.unreadable, ...anew.unreadable]).toEqual([]);
});

test("it is read once, intact, by whom its block is for", async () => {
  const { ana, chi, pad, dov, ownToken, handed } = await room();
  await ana.sendSealedShared([chi, dov], "first", ownToken);
  await allRead([chi, pad, dov], "first");
  await pad.client.close();
  await ana.sendSealedShared([chi, dov], "second", ownToken);
  await allRead([chi, dov], "second");
  const { payload, block, timeMs } = handedOf(handed, chi, -1);
  const cipher = chi.cipher as SealingSignalCipher;
  await expect(cipher.openSealed(payload, timeMs, block)).rejects.toBeInstanceOf(RepeatedPayload);
  const flipped = (bytes: Uint8Array, at: number) =>
    bytes.map((byte, i) => (i === (at + bytes.length) % bytes.length ? byte ^ 1 : byte));
  const other = handedOf(handed, dov, -1);
  for (const [shared, own] of [
    [flipped(payload, -20), block],
    [payload, flipped(block, 5)],
    [payload, other.block],
    [payload, new Uint8Array(0)],
    [payload, block.subarray(0, 20)],
    [new Uint8Array(0), block],
    [handedOf(handed, chi, 0).payload, block],
  ] as const)
    await expect(cipher.openSealed(shared, timeMs, own)).rejects.not.toBeInstanceOf(RepeatedPayload);
  await expect(cipher.openSealed(payload, timeMs)).rejects.toThrow();
});

test("who is not named in a joint message refuses it", async () => {
  const { ana, chi, dov } = await room();
  const joint = encodeContent({ kind: "joint", to: [chi.account], plaintext: new Uint8Array(3) });
  const claim = (device: DeviceAddress) => ana.client.keys.claim(device, "signal");
  for (const reader of [chi, dov]) {
    const payload = (await ana.cipher.encryptTo?.(joint, reader.address, claim)) as Uint8Array;
    const rosters = [await ana.client.roster(reader.account), await ana.client.roster(ana.account)];
    const to = rosters.map(({ account, version, devices }) => ({
      account,
      version,
      devices: devices
        .filter((n) => !equalBytes(numberedDevice(account, n), ana.address))
        .map((device) => ({ device, payload })),
    }));
    await ana.client.send({ to });
  }
  await until(() => dov.unreadable.length === 1 && chi.shown.length === 1, "one takes it, one does not");
  expect(String(dov.unreadable[0])).toContain("does not name this account");
  expect([chi.joint, dov.shown]).toEqual([[{ text: "\0\0\0", to: [] }], []]);
});

/** A certificate that somebody has instead of the right one. */
const forgeries: Record<string, (device: DeviceAddress, key: PublicKey) => SenderCertificate> = {
  "that has ended": (device, key) =>
    certification.of(deviceParts(device).brand).certify(device, key, Date.now() - HOUR_MS),
  "that nobody known has signed": (device, key) =>
    new BrandAuthority().certify(device, key, Date.now() + HOUR_MS),
  "for another identity key": (device) =>
    certification.certificateFor(device, IdentityKeyPair.generate().publicKey),
  "for another device, which the reader knows": (device, key) => {
    const { brand } = deviceParts(device);
    return certification.of(brand).certify(numberedDevice(device.slice(0, 18), 2), key, Date.now() + HOUR_MS);
  },
};
const forging = (which: string): Certification => ({
  certificateFor: forgeries[which] as Certification["certificateFor"],
  trustRoot: (brand) => certification.trustRoot(brand),
});

test.each(Object.keys(forgeries))("a certificate %s is refused, and nothing is shown", async (which) => {
  const { ana, tablet, chi, pad, dov } = await room(
    (address) => new SealingSignalCipher(address, KEYS, forging(which)),
  );
  await tablet.send(chi, "the tablet's own");
  await until(() => chi.shown.length === 1 && pad.shown.length === 1, "chi knows the tablet");
  await ana.sendSealedShared([chi, dov], "as somebody else");
  await until(() => [chi, pad, dov].every(({ unreadable }) => unreadable.length === 1), "they refuse it");
  expect([chi, pad, dov].map((reader) => reader.texts())).toEqual([
    ["the tablet's own"],
    ["the tablet's own"],
    [],
  ]);
});

test("who seals with another identity key than the one it has met the reader with is refused", async () => {
  class TwoFaced extends Prying {
    turn(): void {
      Object.assign(this.state, { identityPair: IdentityKeyPair.generate() });
    }
  }
  const { ana, chi, dov } = await room((address) => new TwoFaced(address, KEYS, certification));
  await ana.sendSealedShared([chi, dov], "as I am");
  await allRead([chi, dov], "as I am");
  (ana.cipher as TwoFaced).turn();
  await ana.sendSealedShared([chi, dov], "as another");
  await until(() => [chi, dov].every(({ unreadable }) => unreadable.length === 1), "they refuse it");
  expect(String(chi.unreadable[0])).toContain("another identity");
  expect(dov.texts()).toEqual(["as I am"]);
});

describe("a cipher that seals for single devices alone", () => {
  class Single extends SealingSignalCipher {
    override sealToAll: never = undefined as never;
  }
  const makeSingle = (address: DeviceAddress) =>
    new Single(address, KEYS, certification) as SealingSignalCipher;

  test("sends to each account by itself, and the transcript by name", async () => {
    const { ana, tablet, chi, pad, dov, ownToken, handed } = await room(makeSingle);
    const { durability, leftOut } = await ana.sendSealedShared([chi, dov], "to you both", ownToken);
    expect({ durability, leftOut }).toEqual({ durability: "disk", leftOut: [] });
    await allRead([tablet, chi, pad, dov], "to you both");
    const [accountOfChi, accountOfDov] = [chi, dov].map(({ account }) => formatAddress(account)) as [
      string,
      string,
    ];
    expect([chi.joint, dov.joint].map(([first]) => first?.to)).toEqual([[accountOfDov], [accountOfChi]]);
    expect(tablet.transcripts.map(({ to }) => to)).toEqual([[accountOfChi, accountOfDov]]);
    expect([tablet, ana].map((party) => handed.get(party))).toEqual([[], []]);
    const payloads = [chi, pad, dov].map((party) => handed.get(party)?.map(({ payload }) => toHex(payload)));
    expect(new Set(payloads.flat()).size).toBe(3);
    noneFailed();
  });

  test("stops at the account that refuses it, and says which; those before it have it", async () => {
    const { ana, tablet, chi, dov } = await room(makeSingle);
    await dov.client.deliveryToken.set(dov.client.deliveryToken.make());
    await expect(ana.sendSealedShared([chi, dov], "half way")).rejects.toMatchObject({
      code: "deliveryTokenRefused",
      detail: { accounts: [dov.account] },
    });
    await allRead([chi], "half way");
    expect([tablet.shown, dov.shown]).toEqual([[], []]);
  });
});

test("what cannot be sealed says why, and nothing is sent", async () => {
  const { ana, chi, dov, all } = await room();
  const unsealing = await parties.join("whatsapp/eve/1", (address) => new SignalCipher(address, KEYS), {
    sealed: nobody,
  });
  const named = await parties.join("whatsapp/fay/1");
  for (const [party, code] of [
    [unsealing, "cipherCannot"],
    [named, "badArgument"],
  ] as const)
    await expect(party.sendSealedShared([chi, dov], "no")).rejects.toMatchObject({ code });
  const alone = [{ account: ana.account, deliveryToken: new Uint8Array(16) }];
  for (const to of [[], alone])
    await expect(ana.encrypted.sendSealedShared({ to, plaintext: new Uint8Array(1) })).rejects.toMatchObject({
      code: "badArgument",
    });
  const others = Array.from({ length: 256 }, (_, i) => ({
    account: `1/${i.toString(16).padStart(32, "0")}`,
    deliveryToken: new Uint8Array(16),
  }));
  await expect(
    ana.encrypted.sendSealedShared({ to: others, plaintext: new Uint8Array(1) }),
  ).rejects.toMatchObject({
    code: "badArgument",
  });
  expect(all.flatMap(({ shown }) => shown)).toEqual([]);
});
