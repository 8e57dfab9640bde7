/** The demonstration's encryption on its own, without a node: real keys, real ratchets. */
import { expect, test } from "vitest";
import { deviceAddress } from "../../src/base/address.js";
import { RepeatedPayload } from "./encryption-adapter.js";
import { KeyDirectory } from "./key-directory.js";
import { SignalDevice } from "./signal-device.js";

const WHATSAPP = 1;
const INSTAGRAM = 2;
const MESSENGER = 3;
const OPENING = 3;
const RATCHET = 2;

/** Two accounts with this id exist in two brands: nothing may ever mix them up. */
const sharedAccountId = new Uint8Array(16).fill(0xaa);
const otherAccountId = new Uint8Array(16).fill(0xbb);

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (plaintext: Uint8Array) => new TextDecoder().decode(plaintext);

function makeDevice(
  directory: KeyDirectory,
  brand: number,
  options: { account?: Uint8Array; device?: number; oneTimeKeyCount?: number } = {},
): Promise<SignalDevice> {
  return SignalDevice.create({
    address: deviceAddress({
      brand,
      account: options.account ?? sharedAccountId,
      device: options.device ?? 1,
    }),
    directory,
    oneTimeKeyCount: options.oneTimeKeyCount ?? 4,
  });
}

async function pass(from: SignalDevice, to: SignalDevice, message: string): Promise<Uint8Array> {
  const payload = await from.encrypt(bytes(message), to.address);
  expect(text(await to.decrypt(payload, from.address))).toBe(message);
  return payload;
}

test("devices of two brands open a conversation and turn the ratchet in both directions", async () => {
  const directory = new KeyDirectory();
  const ana = await makeDevice(directory, WHATSAPP);
  const chi = await makeDevice(directory, INSTAGRAM);
  expect((await pass(ana, chi, "first"))[0]).toBe(OPENING);
  expect((await pass(ana, chi, "second, before any answer"))[0]).toBe(OPENING);
  expect((await pass(chi, ana, "answer"))[0]).toBe(RATCHET);
  expect((await pass(ana, chi, "third"))[0]).toBe(RATCHET);
});

test("both sides may open at the same moment", async () => {
  const directory = new KeyDirectory();
  const ana = await makeDevice(directory, WHATSAPP);
  const chi = await makeDevice(directory, INSTAGRAM);
  const toChi = await ana.encrypt(bytes("hello chi"), chi.address);
  const toAna = await chi.encrypt(bytes("hello ana"), ana.address);
  expect(text(await chi.decrypt(toChi, ana.address))).toBe("hello chi");
  expect(text(await ana.decrypt(toAna, chi.address))).toBe("hello ana");
  for (let round = 0; round < 3; round++) {
    await pass(ana, chi, `to chi ${round}`);
    await pass(chi, ana, `to ana ${round}`);
  }
});

test("payloads cover their plaintext and have the sizes the head of signal-device.ts states", async () => {
  const directory = new KeyDirectory();
  const ana = await makeDevice(directory, WHATSAPP);
  const chi = await makeDevice(directory, MESSENGER, { account: otherAccountId });
  const message = "m".repeat(96);
  const opening = await pass(ana, chi, message);
  await pass(chi, ana, message);
  const ratchet = await pass(ana, chi, message);
  for (const payload of [opening, ratchet]) {
    expect(Buffer.from(payload).includes("mmmmmmmm")).toBe(false);
  }
  expect(opening.length - message.length).toBeGreaterThan(1700);
  expect(opening.length - message.length).toBeLessThan(1800);
  expect(ratchet.length - message.length).toBeGreaterThan(60);
  expect(ratchet.length - message.length).toBeLessThan(120);
});

test("a payload is decrypted once: its repetition is refused as a duplicate", async () => {
  const directory = new KeyDirectory();
  const ana = await makeDevice(directory, WHATSAPP);
  const chi = await makeDevice(directory, INSTAGRAM);
  const payload = await pass(ana, chi, "once");
  await expect(chi.decrypt(payload, ana.address)).rejects.toBeInstanceOf(RepeatedPayload);
  await pass(ana, chi, "and the conversation goes on");
});

test("an account of the same id in another brand cannot read or forge the message", async () => {
  const directory = new KeyDirectory();
  const ana = await makeDevice(directory, WHATSAPP);
  const chi = await makeDevice(directory, INSTAGRAM);
  const namesake = await makeDevice(directory, MESSENGER);
  await pass(ana, chi, "open");
  await pass(chi, ana, "open");
  await pass(ana, namesake, "open");
  await pass(namesake, ana, "open");
  const payload = await ana.encrypt(bytes("for chi alone"), chi.address);
  await expect(namesake.decrypt(payload, ana.address)).rejects.toThrow();
  await expect(chi.decrypt(payload, namesake.address)).rejects.toThrow();
  expect(text(await chi.decrypt(payload, ana.address))).toBe("for chi alone");
});

test("a payload with one flipped bit is refused, and the intact one still decrypts", async () => {
  const directory = new KeyDirectory();
  const ana = await makeDevice(directory, WHATSAPP);
  const chi = await makeDevice(directory, INSTAGRAM);
  await pass(ana, chi, "open");
  await pass(chi, ana, "open");
  const payload = await ana.encrypt(bytes("intact"), chi.address);
  const flipped = payload.slice();
  const last = flipped.length - 20;
  flipped[last] = (flipped[last] as number) ^ 1;
  await expect(chi.decrypt(flipped, ana.address)).rejects.toThrow();
  expect(text(await chi.decrypt(payload, ana.address))).toBe("intact");
});

test("payloads made all at once, and decrypted all at once, arrive whole", async () => {
  const directory = new KeyDirectory();
  const ana = await makeDevice(directory, WHATSAPP);
  const chi = await makeDevice(directory, INSTAGRAM);
  const bo = await makeDevice(directory, WHATSAPP, { account: otherAccountId });
  const messages = Array.from({ length: 40 }, (_, i) => `message ${i}`);
  const payloads = await Promise.all(
    messages.map((message, i) => (i % 2 ? ana : bo).encrypt(bytes(message), chi.address)),
  );
  const plaintexts = await Promise.all(
    payloads.map((payload, i) => chi.decrypt(payload, (i % 2 ? ana : bo).address)),
  );
  expect(plaintexts.map(text)).toEqual(messages);
});

test("one-time keys are handed out once; after the last one conversations still open", async () => {
  const directory = new KeyDirectory();
  const chi = await makeDevice(directory, INSTAGRAM, { oneTimeKeyCount: 2 });
  const handedOut = [1, 2, 3, 4].map(() => directory.take(chi.address));
  expect(handedOut.map((bundle) => bundle.preKeyId())).toEqual([100, 101, null, null]);
  expect(handedOut.map((bundle) => bundle.kyberPreKeyId())).toEqual([100, 101, 1, 1]);
  for (const device of [1, 2, 3]) {
    await pass(await makeDevice(directory, WHATSAPP, { device }), chi, `from device ${device}`);
  }
});

test("a device that has published no keys cannot be written to", async () => {
  const directory = new KeyDirectory();
  const ana = await makeDevice(directory, WHATSAPP);
  const nobody = deviceAddress({ brand: INSTAGRAM, account: otherAccountId, device: 1 });
  await expect(ana.encrypt(bytes("hello?"), nobody)).rejects.toThrow("published no keys");
});
