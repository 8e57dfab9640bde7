/** Sealed sends to several accounts: one shared part, a block for each device, every account by its own token, all or none. */
import { createHash } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { accountOf } from "../../src/base/address.js";
import { toHex } from "../../src/base/bytes.js";
import { limits } from "../../src/rules/limits.js";
import { checkDirectory } from "../../src/store/store.js";
import { encodeClientFrame } from "../../src/wire/client-frames.js";
import { codes } from "../../src/wire/codes.js";
import { encodeSealedSharedSend, isSealed, type SealedAccount } from "../../src/wire/sealed.js";
import { type Device, envelopeId, World } from "./harness.js";
import { Unidentified } from "./unidentified.js";

let world: World;
/** Devices 1 and 2 of account 1, and of account 2 its only one. */
let phone: Device;
let tablet: Device;
let bob: Device;
beforeEach(() => open());
afterEach(() => world.remove());

async function open(options: Parameters<typeof World.open>[0] = {}): Promise<void> {
  world = await World.open({ ...options, limits: { sealedRefusalMs: 10, ...options.limits } });
  phone = await world.device(1, 1, 1).connect();
  tablet = await world.device(1, 1, 2).connect();
  bob = await world.device(2, 2).connect();
  await setToken(phone);
  await setToken(bob);
  await world.settle();
}

async function reopenWith(options: Parameters<typeof World.open>[0]): Promise<void> {
  await world.remove();
  await open(options);
}

const tokenOf = (device: Device) => createHash("md5").update(accountOf(device.address)).digest();
const setToken = (device: Device) =>
  world.store.changeDeliveryTokens(accountOf(device.address), { kind: "set", token: tokenOf(device) });

const blocks = (text: string, ...numbers: number[]) =>
  numbers.map((device) => ({ device, block: Buffer.from(`${text}${device}`) }));
const toAlice = (more: Partial<SealedAccount> = {}): SealedAccount => ({
  ...{
    account: accountOf(phone.address),
    deliveryToken: tokenOf(phone),
    version: 2,
    devices: blocks("a", 1, 2),
  },
  ...more,
});
const toBob = (more: Partial<SealedAccount> = {}): SealedAccount => ({
  ...{ account: accountOf(bob.address), deliveryToken: tokenOf(bob), version: 1, devices: blocks("b", 1) },
  ...more,
});
const nobodysAccount = () => new Uint8Array(18).fill(9).fill(0, 0, 1).fill(1, 1, 2);

class Nobody extends Unidentified {
  constructor(brand = 3) {
    super(world, brand);
  }

  send(id: number, text: string, accounts: readonly SealedAccount[] = [toAlice(), toBob()]): this {
    return this.say({
      kind: "sealedSharedSend",
      ...{ id: envelopeId(id), shared: Buffer.from(text), accounts },
    });
  }

  /** What refusals say besides their code. */
  get details(): unknown[] {
    return this.connection.of("refusal").map(({ detail }) => ({
      ...detail,
      ...(detail.accounts && { accounts: detail.accounts.map(toHex) }),
    }));
  }
}

/** All that a device was sent by nobody in particular. */
const sealedOf = (device: Device) =>
  device.connection.of("sharedDeliver").filter(({ sender }) => isSealed(sender));
const textsOf = (device: Device) =>
  sealedOf(device).map(({ shared, block }) => `${Buffer.from(shared)}+${Buffer.from(block)}`);
const hexOf = (device: Device) => toHex(accountOf(device.address));

const REFUSED = codes.deliveryTokenRefused.code;

describe("who holds all tokens", () => {
  it("reaches every device of every account with its own block, under one id, receipted after the flush", async () => {
    const nobody = new Nobody();
    world.holdCommits = true;
    nobody.send(1, "psst");
    world.turn();
    expect([phone, tablet, bob].map(textsOf)).toEqual([["psst+a1"], ["psst+a2"], ["psst+b1"]]);
    expect(nobody.answers).toEqual([]);
    world.holdCommits = false;
    for (const letGo of world.heldCommits.splice(0)) letGo();
    await world.settle();
    expect(nobody.answers).toEqual(["receipt 1 2"]);
    // As docs/protocol.md says it is made.
    const digest = createHash("sha256").update("interline sealed shared v1").update(envelopeId(1)).digest();
    for (const device of [phone, tablet, bob])
      expect(sealedOf(device)[0]?.id).toEqual(new Uint8Array(digest.subarray(0, 16)));
    expect(toHex(sealedOf(bob)[0]?.sender as Uint8Array)).toBe(`0000${"ff".repeat(16)}0000`);
  });

  it("may repeat it on any connection, and also without an account that was there: it is delivered once", async () => {
    new Nobody().send(1, "psst");
    await world.settle();
    const again = new Nobody().send(1, "psst").send(1, "psst", [toAlice()]).send(2, "next");
    await world.settle();
    expect(again.answers).toEqual(["receipt 3 2"]);
    expect(textsOf(phone)).toEqual(["psst+a1", "next+a1"]);
    expect(textsOf(bob)).toEqual(["psst+b1", "next+b1"]);
    expect(world.kernel.counters().duplicates).toBe(2);
  });

  it("cannot have another's envelope taken for a repeat with the id that was delivered", async () => {
    new Nobody().send(1, "genuine");
    await world.settle();
    const seen = sealedOf(bob)[0]?.id as Uint8Array;
    const mallory = new Nobody().say({
      kind: "sealedSharedSend",
      ...{ id: seen, shared: Buffer.from("other"), accounts: [toBob()] },
    });
    await world.settle();
    expect(mallory.answers).toEqual(["receipt 1 2"]);
    expect(textsOf(bob)).toEqual(["genuine+b1", "other+b1"]);
  });

  it("is told all rosters that differ, and nothing was sent; then under the same id it is", async () => {
    const nobody = new Nobody();
    nobody.send(1, "psst", [toAlice({ version: 0, devices: [] }), toBob({ devices: blocks("b", 1, 9) })]);
    await world.settle();
    expect(nobody.connection.of("refusal")).toMatchObject([
      {
        code: 301,
        detail: {
          rosters: [
            { version: 2, missing: [1, 2], surplus: [] },
            { version: 1, missing: [], surplus: [9] },
          ],
        },
      },
    ]);
    expect(textsOf(bob)).toEqual([]);
    nobody.send(1, "psst");
    await world.settle();
    expect(nobody.answers).toEqual(["refusal 1 301", "receipt 2 2"]);
    expect([phone, bob].map(textsOf)).toEqual([["psst+a1"], ["psst+b1"]]);
  });

  it("waits in the queues of devices that are away, its shared part once, over a restart, until the last has it", async () => {
    for (const device of [phone, tablet, bob]) device.leave();
    new Nobody().send(1, "psst");
    await world.settle();
    await world.spillAll();
    expect(world.store.stats().sharedParts).toBe(1);
    await world.close();
    world = await World.open({ directory: world.directory });
    phone = await world.device(1, 1, 1).connect();
    tablet = await world.device(1, 1, 2).connect();
    await world.settle();
    expect([phone, tablet].map(textsOf)).toEqual([["psst+a1"], ["psst+a2"]]);
    const again = new Nobody().send(1, "psst");
    await world.settle();
    expect(again.answers).toEqual(["receipt 1 2"]);
    expect(textsOf(phone)).toEqual(["psst+a1"]);
    bob = await world.device(2, 2).connect();
    await world.settle();
    expect(textsOf(bob)).toEqual(["psst+b1"]);
    for (const device of [phone, tablet, bob]) device.ack(Math.max(...device.connection.sequences));
    await world.settle();
    await world.spillAll();
    for (let i = 0; i < 3; i++) await world.store.sweep(world.wallMs, 10_000);
    const report = await checkDirectory(world.directory);
    expect([report.findings, report.queues.rows, report.shared.parts]).toEqual([[], 0, 0]);
  });

  it("comes in order with sealed sends and sends of devices", async () => {
    const nobody = new Nobody();
    bob.send(1, "before", phone, tablet);
    world.turn();
    nobody.send(1, "first").say({
      kind: "sealedSend",
      ...{ id: envelopeId(2), deliveryToken: tokenOf(phone), account: accountOf(phone.address), version: 2 },
      devices: [1, 2].map((device) => ({ device, payload: Buffer.from("second") })),
    });
    await world.settle();
    expect(nobody.answers).toEqual(["receipt 2 2"]);
    expect(phone.connection.entries).toEqual(["before", "first+a1", "second"]);
  });
});

describe("who does not", () => {
  it("is told which tokens open nothing, alike for all reasons, no sooner than the bound, and nobody was sent anything", async () => {
    const carol = await world.device(1, 3).connect();
    const dave = await world.device(1, 4).connect();
    await setToken(dave);
    await world.store.changeDeliveryTokens(accountOf(dave.address), { kind: "revoke" });
    const wrong = { deliveryToken: tokenOf(bob) };
    const cases: readonly SealedAccount[] = [
      toAlice(wrong),
      { ...toAlice(), account: accountOf(carol.address), deliveryToken: tokenOf(carol) },
      { ...toAlice(), account: accountOf(dave.address), deliveryToken: tokenOf(dave) },
      { ...toAlice(), account: nobodysAccount() },
    ];
    for (const bad of cases) {
      const nobody = new Nobody().send(1, "psst", [bad, toBob()]);
      world.turn();
      world.later(9).turn();
      expect(nobody.answers).toEqual([]);
      world.later(1).turn();
      expect(nobody.answers).toEqual([`refusal 1 ${REFUSED}`]);
      expect(nobody.details).toEqual([{ accounts: [toHex(bad.account)] }]);
    }
    const nobody = new Nobody().send(1, "psst", [...cases, toBob()]);
    world.turn();
    world.later(10).turn();
    expect(nobody.details).toEqual([{ accounts: cases.map(({ account }) => toHex(account)) }]);
    expect([phone, bob].map(textsOf)).toEqual([[], []]);
  });

  it("learns nothing about the other accounts: no roster, no full brand, no spent budget", async () => {
    await reopenWith({ limits: { sealedRecipientMessages: 2, sealedRecipientMessageRefillMs: 3_000 } });
    world.kernel.setDiskLow(true);
    world.kernel.setCrossing(2, 1, "full");
    const stale = toBob({ version: 0, devices: [] });
    const nobody = new Nobody();
    for (let id = 1; id <= 4; id++)
      nobody.send(id, "x", [stale, toAlice({ deliveryToken: new Uint8Array(16) })]);
    world.turn();
    world.later(10).turn();
    expect(nobody.answers).toEqual([1, 2, 3, 4].map((position) => `refusal ${position} ${REFUSED}`));
    expect(new Set(nobody.details.map((detail) => JSON.stringify(detail)))).toEqual(
      new Set([JSON.stringify({ accounts: [hexOf(phone)] })]),
    );
    world.kernel.setCrossing(2, 1, "open");
  });

  it("is not let in where the brands of one are closed, and is told of which", () => {
    world.kernel.setCrossing(2, 1, "closed");
    const nobody = new Nobody().send(1, "psst");
    world.turn();
    expect(nobody.answers).toEqual([`refusal 1 ${codes.brandsClosed.code}`]);
    expect(nobody.details).toEqual([{ accounts: [hexOf(bob)] }]);
    expect(textsOf(phone)).toEqual([]);
    world.kernel.setCrossing(2, 1, "open");
  });

  it("waits for the brand of one that is full", () => {
    world.kernel.setCrossing(2, 1, "full");
    const nobody = new Nobody().send(1, "psst");
    world.turn();
    expect(nobody.answers).toEqual([`refusal 1 ${codes.brandQuota.code}`]);
    expect(nobody.details).toEqual([{ accounts: [hexOf(bob)] }]);
    world.kernel.setCrossing(2, 1, "open");
  });
});

describe("bounds", () => {
  it("of one account refuse the whole send and name it, and the others keep what they had", async () => {
    await reopenWith({ limits: { sealedRecipientMessages: 4, sealedRecipientMessageRefillMs: 1_000 } });
    const nobody = new Nobody();
    nobody.send(1, "x", [toBob()]).send(2, "x", [toBob()]);
    for (let id = 3; id <= 6; id++) nobody.send(id, "both");
    nobody.send(7, "y", [toAlice()]).send(8, "y", [toAlice()]).send(9, "y", [toAlice()]);
    await world.settle();
    const limited = codes.rateLimited.code;
    expect(nobody.answers).toEqual([
      ...["receipt 2 2", ...[3, 4, 5, 6].map((position) => `refusal ${position} ${limited}`)],
      ...["receipt 8 2", `refusal 9 ${limited}`],
    ]);
    expect(nobody.details.slice(0, 4)).toEqual(Array(4).fill({ accounts: [hexOf(bob)] }));
    expect(nobody.details[4]).toEqual({ accounts: [hexOf(phone)] });
    expect(nobody.connection.of("refusal")[0]?.retryAfterMs).toBeGreaterThan(900);
    expect(textsOf(phone)).toEqual(["y+a1", "y+a1"]);
  });

  it("of bytes count the shared part for every device of an account", async () => {
    // Each send is 40 KiB for Bob, and 80 for Alice: half of her 160 is one connection's.
    await reopenWith({ limits: { sealedRecipientKiB: 160, sealedRecipientKiBRefillMs: 60_000 } });
    const nobody = new Nobody();
    const part = "x".repeat(40 * 1_024 - 2);
    nobody.send(1, part).send(2, part).send(3, part, [toBob()]);
    await world.settle();
    expect(nobody.answers).toEqual(["receipt 1 2", `refusal 2 ${codes.rateLimited.code}`, "receipt 3 2"]);
    expect(nobody.details).toEqual([{ accounts: [hexOf(phone)] }]);
  });

  it("of a connection count every account, whatever comes of the send", async () => {
    await reopenWith({ limits: { sealedConnectionMessages: 5, sealedConnectionMessageRefillMs: 60_000 } });
    const nobody = new Nobody();
    const shut = [toAlice(), toBob({ deliveryToken: new Uint8Array(16) })];
    nobody.send(1, "x", shut).send(2, "x", shut).send(3, "x").send(4, "x", [toAlice()]);
    await world.settle();
    world.later(10).turn();
    expect(nobody.answers).toEqual([
      ...[`refusal 1 ${REFUSED}`, `refusal 2 ${REFUSED}`],
      ...[`refusal 3 ${codes.sealedTooFast.code}`, "receipt 4 2"],
    ]);
    expect(nobody.details[2]).toEqual({});
    // More than it may ever send to at once is no send.
    nobody.send(
      5,
      "x",
      Array.from({ length: 6 }, (_, i) => toAlice({ account: new Uint8Array(18).fill(i) })),
    );
    await world.settle();
    expect(nobody.answers.at(-1)).toBe(`refusal 5 ${codes.tooManyRecipients.code}`);
  });

  it("of a shape are refusals of that send alone", async () => {
    const nobody = new Nobody()
      .send(1, "x".repeat(limits.payloadBytesMax + 1))
      .send(2, "x", [toBob({ devices: [{ device: 1, block: new Uint8Array(limits.blockBytesMax + 1) }] })])
      .send(3, "x", [toBob(), toBob()])
      .send(4, "good");
    await world.settle();
    expect(nobody.answers).toEqual([
      ...[`refusal 1 ${codes.payloadTooLarge.code}`, `refusal 2 ${codes.payloadTooLarge.code}`],
      ...[`refusal 3 ${codes.repeatedRecipient.code}`, "receipt 4 2"],
    ]);
    expect(textsOf(bob)).toEqual(["good+b1"]);
  });

  it("of a turn count accounts: who sends to many takes no more turns than who sends to one", async () => {
    await reopenWith({
      limits: { sealedSendsPerTurn: 4, sealedSendsInRow: 4, sealedRecipientMessages: 1_000 },
    });
    const [many, few] = [new Nobody(), new Nobody()];
    for (let id = 1; id <= 6; id++) many.send(id, "m");
    for (let id = 11; id <= 22; id++) few.send(id, "f", [toBob()]);
    for (let i = 0; i < 4; i++) world.turn();
    expect(
      textsOf(bob)
        .map((text) => text[0])
        .join(""),
    ).toBe("mmffffmmffff");
  });
});

describe("as many accounts as one send may have", () => {
  const COUNT = limits.accountsPerSharedSendMax;
  const account = (i: number) => {
    const address = new Uint8Array(18).fill(0x40);
    address.set([0, 1, i >> 8, i & 255]);
    return address;
  };
  const all = (more: Partial<SealedAccount> = {}) =>
    Array.from({ length: COUNT }, (_, i) =>
      toAlice({ ...{ account: account(i), devices: blocks("m", 1), version: 1 }, ...more }),
    );

  it("are all reached, all told of their devices, and all refused, in one turn each, and nothing ends", async () => {
    await reopenWith({ residents: 2_048, limits: { sealedConnectionMessageRefillMs: 1 } });
    for (let i = 0; i < COUNT; i++) {
      await world.store.registerDevice(account(i), 1);
      await world.store.changeDeliveryTokens(account(i), { kind: "set", token: tokenOf(phone) });
    }
    await world.settle();
    const spread = [new Nobody(), new Nobody(), new Nobody()] as const;
    spread[0].send(1, "all", all());
    await world.settle();
    expect(spread[0].answers).toEqual(["receipt 1 2"]);
    expect(world.kernel.counters().entries).toBeGreaterThanOrEqual(COUNT);
    // Two full ones in the same turn, all of whose rosters are stale: the most that one turn's sends can ask for.
    const few = new Nobody();
    for (let id = 10; id < 10 + 255; id++) few.send(id, "x", [toBob({ version: 7 })]);
    spread[1].send(2, "all", all({ version: 0, devices: [] }));
    world.turn();
    await world.settle();
    const [stale] = spread[1].connection.of("refusal");
    expect([stale?.code, stale?.detail.rosters?.length]).toEqual([301, COUNT]);
    expect(few.connection.of("refusal").length).toBe(255);
    spread[2].send(3, "all", all({ deliveryToken: tokenOf(bob) }));
    world.turn();
    world.later(10).turn();
    expect(spread[2].connection.of("refusal")[0]?.detail.accounts?.length).toBe(COUNT);
  });
});

it("a device that sends as nobody to several is ended: its connection names it", () => {
  const frame = { id: envelopeId(1), shared: new Uint8Array(1), accounts: [toBob()] };
  world.path.receive(phone.slot, encodeSealedSharedSend({ kind: "sealedSharedSend", ...frame }));
  world.turn();
  expect(phone.connection.ended).toBe("badFrame");
  const ping = encodeClientFrame({ kind: "ping", nonce: 1 });
  world.path.receive(bob.slot, ping);
  world.turn();
  expect(bob.connection.of("pong")).toHaveLength(1);
});
