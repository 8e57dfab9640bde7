/** Sealed envelopes through the SDK's seam, with libsignal's sealed sender, over real sockets. */
import { IdentityKeyPair, type PublicKey, type SenderCertificate } from "@signalapp/libsignal-client";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type DeviceAddress, deviceParts, formatAddress, numberedDevice } from "../../src/base/address.js";
import type { SealedClient, SealedEnvelope } from "../../src/client/client.js";
import { RepeatedPayload, type SharedDeliveryToken } from "../../src/client/encrypted-client.js";
import { Authorities, HOUR_MS } from "./authorities.js";
import { until } from "./contract.js";
import { Parties, type Party } from "./parties.js";
import { SignalCipher } from "./signal-cipher.js";
import { BrandAuthority, type Certification, SealingSignalCipher } from "./signal-sealing.js";

const KEYS = 8;
const certification = new Authorities();

const make = (address: DeviceAddress) => certification.cipher(address, KEYS);

let parties: Parties<"signal">;
let nobody: SealedClient;

beforeEach(async () => {
  parties = await Parties.open(make);
  nobody = await parties.nobody("whatsapp");
});
afterEach(() => parties.close());

/** Two accounts of two devices each; the first may write to the second sealed. */
async function quartet(makeAna = make) {
  const ana = await parties.join("whatsapp/ana/1", makeAna, { sealed: nobody });
  const tablet = await parties.join("whatsapp/ana/2");
  const chi = await parties.join("instagram/chi/1");
  const pad = await parties.join("instagram/chi/2");
  const deliveryToken = chi.client.deliveryToken.make();
  await chi.client.deliveryToken.set(deliveryToken);
  await chi.encrypted.shareDeliveryToken({ to: [ana.account], deliveryToken });
  await until(() => ana.tokens.length === 1 && tablet.tokens.length === 1, "ana has the token");
  return { ana, tablet, chi, pad, deliveryToken };
}

const none = (...all: Party<"signal">[]) => expect(all.flatMap(({ unreadable }) => unreadable)).toEqual([]);

test("every device of the recipient reads who wrote, the writer's others get the transcript, the node names nobody", async () => {
  const { ana, tablet, chi, pad } = await quartet();
  const envelopes: SealedEnvelope[] = [];
  chi.client.on("sealed", (envelope) => {
    envelopes.push({ ...envelope, payload: envelope.payload.slice() });
  });
  const { durability } = await ana.sendSealed(chi, "guess who");
  expect(durability).toBe("disk");
  await until(() => chi.shown.length === 1 && pad.shown.length === 1, "chi reads on both");
  expect([...chi.shown, ...pad.shown]).toEqual([
    { text: "guess who", from: ana.name },
    { text: "guess who", from: ana.name },
  ]);
  expect([chi.sealed, pad.sealed]).toEqual([["guess who"], ["guess who"]]);
  await until(() => tablet.shown.length === 1, "the tablet has the transcript");
  expect(tablet.transcripts).toEqual([{ text: "guess who", to: [formatAddress(chi.account)] }]);
  expect([tablet.sealed, ana.shown]).toEqual([[], []]);
  // An answer by name turns the same ratchet, and the next sealed message too.
  await chi.send(ana, "you are ana");
  await until(() => ana.shown.length === 1, "ana reads");
  await ana.sendSealed(chi, "I am");
  await until(() => chi.shown.length === 2 && pad.shown.length === 3, "chi reads again");
  none(ana, tablet, chi, pad);
  // The certificate names the sender in clear; nothing of it may be seen outside the seal.
  const name = formatAddress(ana.account);
  const certificate = certification.certificateFor(ana.address, IdentityKeyPair.generate().publicKey);
  expect(Buffer.from(certificate.serialize()).includes(name)).toBe(true);
  expect(envelopes.map(({ payload }) => Buffer.from(payload).includes(name))).toEqual([false, false]);
});

test("a token is shared with the account's own devices, and reaches others only as its sender's", async () => {
  const { ana, tablet, chi, pad, deliveryToken } = await quartet();
  const expected: SharedDeliveryToken = { account: chi.account, deliveryToken };
  await until(() => pad.tokens.length === 1, "the pad has its account's token");
  expect([ana.tokens, tablet.tokens, pad.tokens, chi.tokens]).toEqual([
    [expected],
    [expected],
    [expected],
    [],
  ]);
  expect(parties.all.flatMap(({ shown }) => shown)).toEqual([]);
});

test("a device that the writer does not know is told to it by the sealed connection, which gives its keys too, and only its payload is made", async () => {
  const made: string[] = [];
  class Counting extends SealingSignalCipher {
    override sealTo(...[plaintext, to, claim]: Parameters<SealingSignalCipher["sealTo"]>) {
      made.push(formatAddress(to));
      return super.sealTo(plaintext, to, claim);
    }
  }
  const { ana, chi, pad } = await quartet((address) => new Counting(address, KEYS, certification));
  const asked: string[] = [];
  const roster = ana.client.roster.bind(ana.client);
  ana.client.roster = (account) => {
    asked.push(formatAddress(account as Uint8Array));
    return roster(account);
  };
  const claimed: string[] = [];
  const claim = ana.client.keys.claim.bind(ana.client.keys);
  ana.client.keys.claim = (device, suite) => {
    claimed.push(formatAddress(device as Uint8Array));
    return claim(device, suite);
  };
  await ana.sendSealed(chi, "one");
  const laptop = await parties.join("instagram/chi/3");
  await chi.client.devices.remove(2);
  await ana.sendSealed(chi, "two");
  await until(() => laptop.shown.length === 1 && chi.shown.length === 2, "they read");
  expect(made).toEqual([chi, pad, chi, pad, laptop].map(({ name }) => name));
  expect(asked).not.toContain(formatAddress(chi.account));
  expect(claimed.filter((device) => device.startsWith(formatAddress(chi.account)))).toEqual([]);
  expect(pad.texts()).toEqual(["one"]);
  none(chi, laptop);
});

test("without a good token nothing is sent, and no transcript; with a new one it is", async () => {
  const { ana, tablet, chi } = await quartet();
  const fresh = chi.client.deliveryToken.make();
  await chi.client.deliveryToken.set(fresh);
  await expect(ana.sendSealed(chi, "old token")).rejects.toMatchObject({ code: "deliveryTokenRefused" });
  await chi.encrypted.shareDeliveryToken({ to: [ana.account], deliveryToken: fresh });
  await until(() => ana.tokens.length === 2, "ana has the new token");
  await ana.sendSealed(chi, "new token");
  await until(() => chi.shown.length === 1 && tablet.shown.length === 1, "they read");
  expect([chi.texts(), tablet.texts()]).toEqual([["new token"], ["new token"]]);
});

test("what cannot be sealed says why, and nothing is sent", async () => {
  const { ana, tablet, chi } = await quartet();
  const unsealing = await parties.join("whatsapp/eve/1", (address) => new SignalCipher(address, KEYS), {
    sealed: nobody,
  });
  const named = await parties.join("whatsapp/dov/1");
  for (const [party, code] of [
    [unsealing, "cipherCannot"],
    [named, "badArgument"],
  ] as const)
    await expect(party.sendSealed(chi, "no")).rejects.toMatchObject({ code });
  const plaintext = new Uint8Array(1);
  const deliveryToken = new Uint8Array(16);
  await expect(ana.encrypted.sendSealed({ to: ana.account, deliveryToken, plaintext })).rejects.toMatchObject(
    { code: "badArgument" },
  );
  expect([chi.shown, tablet.shown]).toEqual([[], []]);
});

test("when only the transcript fails the error says so, and sendToOwn makes up for it", async () => {
  const { ana, tablet, chi } = await quartet();
  await ana.sendSealed(chi, "one");
  const send = ana.client.send.bind(ana.client);
  ana.client.send = () => Promise.reject(new Error("not now"));
  await expect(ana.sendSealed(chi, "two")).rejects.toMatchObject({
    code: "transcriptFailed",
    cause: { message: "not now" },
  });
  ana.client.send = send;
  await ana.encrypted.sendToOwn({ to: [chi.account], plaintext: new TextEncoder().encode("two") });
  await until(() => chi.shown.length === 2 && tablet.shown.length === 2, "all have both");
  expect(tablet.transcripts.map(({ text }) => text)).toEqual(["one", "two"]);
});

test("a sealed payload is opened once, and after a rotation of the keys too", async () => {
  const { ana, chi } = await quartet();
  const payloads: { payload: Uint8Array; timeMs: number }[] = [];
  chi.client.on("sealed", ({ payload, timeMs }) => {
    payloads.push({ payload: payload.slice(), timeMs });
  });
  await chi.encrypted.renewKeys();
  await ana.sendSealed(chi, "once");
  await until(() => chi.shown.length === 1, "chi reads");
  const { payload, timeMs } = payloads[0] as { payload: Uint8Array; timeMs: number };
  const cipher = chi.cipher as SealingSignalCipher;
  await expect(cipher.openSealed(payload, timeMs)).rejects.toBeInstanceOf(RepeatedPayload);
  const flipped = payload.slice();
  flipped[flipped.length - 20] = (flipped[flipped.length - 20] as number) ^ 1;
  await expect(cipher.openSealed(flipped, timeMs)).rejects.toThrow();
});

const forging = (certificateFor: Certification["certificateFor"]): Certification => ({
  certificateFor,
  trustRoot: (brand) => certification.trustRoot(brand),
});

/** A certificate that somebody has instead of the right one. */
const forgeries: Record<string, (device: DeviceAddress, key: PublicKey) => SenderCertificate> = {
  "that has ended": (device, key) =>
    certification.of(deviceParts(device).brand).certify(device, key, Date.now() - HOUR_MS),
  "that another brand's authority has signed": (device, key) =>
    certification.of(deviceParts(device).brand + 1).certify(device, key, Date.now() + HOUR_MS),
  "that nobody known has signed": (device, key) =>
    new BrandAuthority().certify(device, key, Date.now() + HOUR_MS),
  "for another identity key": (device) =>
    certification.certificateFor(device, IdentityKeyPair.generate().publicKey),
  "for another device, which the reader knows": (device, key) => {
    const { brand } = deviceParts(device);
    return certification.of(brand).certify(numberedDevice(device.slice(0, 18), 2), key, Date.now() + HOUR_MS);
  },
};

test.each(Object.keys(forgeries))("a certificate %s is refused, and nothing is shown", async (which) => {
  const forge = forgeries[which] as Certification["certificateFor"];
  const { ana, tablet, chi, pad } = await quartet(
    (address) => new SealingSignalCipher(address, KEYS, forging(forge)),
  );
  await tablet.send(chi, "the tablet's own");
  await until(() => chi.shown.length === 1 && pad.shown.length === 1, "chi knows the tablet");
  await ana.sendSealed(chi, "as somebody else");
  await until(() => chi.unreadable.length === 1 && pad.unreadable.length === 1, "chi refuses it on both");
  expect([chi.texts(), pad.texts()]).toEqual([["the tablet's own"], ["the tablet's own"]]);
});

test("a recipient that does not look at certificates is seen to show what was sent with a bad one", async () => {
  class Careless extends SealingSignalCipher {
    protected override isCertified(): boolean {
      return true;
    }
  }
  const forge = forgeries["that nobody known has signed"] as Certification["certificateFor"];
  const ana = await parties.join(
    "whatsapp/ana/1",
    (address) => new SealingSignalCipher(address, KEYS, forging(forge)),
    { sealed: nobody },
  );
  const chi = await parties.join("instagram/chi/1", (address) => new Careless(address, KEYS, certification));
  const deliveryToken = chi.client.deliveryToken.make();
  await chi.client.deliveryToken.set(deliveryToken);
  await ana.encrypted.sendSealed({
    to: chi.account,
    deliveryToken,
    plaintext: new TextEncoder().encode("as anybody"),
  });
  await until(() => chi.shown.length === 1, "chi shows it");
});
