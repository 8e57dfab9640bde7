/** Sealed sends in the path: over a connection of nobody, to accounts by their delivery tokens, on the same way as every send. */
import { createHash } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { accountOf } from "../../src/base/address.js";
import { limits } from "../../src/rules/limits.js";
import type { ClientFrame } from "../../src/wire/client-frames.js";
import { codes } from "../../src/wire/codes.js";
import { encodeSealedSend, isSealed, type SealedSendFrame } from "../../src/wire/sealed.js";
import { type Device, envelopeId, World } from "./harness.js";
import { Unidentified } from "./unidentified.js";

const TOKEN = new Uint8Array(16).fill(7);
const OTHER = new Uint8Array(16).fill(8);

let world: World;
let one: Device;
let two: Device;
beforeEach(() => open());
afterEach(() => world.remove());

async function open(bounds: Parameters<typeof World.open>[0] = {}): Promise<void> {
  world = await World.open({ ...bounds, limits: { sealedRefusalMs: 10, ...bounds.limits } });
  one = await world.device(1, 1, 1).connect();
  two = await world.device(1, 1, 2).connect();
  await world.store.changeDeliveryTokens(accountOf(one.address), { kind: "set", token: TOKEN });
  await world.settle();
}

async function reopenWith(bounds: Parameters<typeof World.open>[0]): Promise<void> {
  await world.remove();
  await open(bounds);
}

/** A connection that speaks for nobody, with sends to the account of `one`. */
class Nobody extends Unidentified {
  constructor(brand = 2) {
    super(world, brand);
  }

  send(id: number, text: string, more: Partial<SealedSendFrame> = {}): this {
    const account = accountOf(one.address);
    const devices = [1, 2].map((device) => ({ device, payload: Buffer.from(text) }));
    const frame = { id: envelopeId(id), deliveryToken: TOKEN, account, version: 2, devices };
    return this.say({ kind: "sealedSend", ...frame, ...more });
  }
}

/** All that a device was sent and that is sealed. */
const sealedOf = (device: Device) => device.connection.of("deliver").filter(({ sender }) => isSealed(sender));
const textsOf = (device: Device) => sealedOf(device).map(({ payload }) => Buffer.from(payload).toString());

const REFUSED = codes.deliveryTokenRefused.code;

describe("who holds the token", () => {
  it("reaches every device of the account, with a receipt after the flush, and no sender but the one of all", async () => {
    const nobody = new Nobody();
    expect(nobody.connection.frames.map(({ kind }) => kind)).toEqual(["welcome", "live"]);
    world.holdCommits = true;
    nobody.send(1, "psst");
    world.turn();
    expect(textsOf(one)).toEqual(["psst"]);
    expect(textsOf(two)).toEqual(["psst"]);
    expect(nobody.answers).toEqual([]);
    world.holdCommits = false;
    for (const letGo of world.heldCommits.splice(0)) letGo();
    await world.settle();
    expect(nobody.answers).toEqual(["receipt 1 2"]);
    const [delivered] = sealedOf(one);
    expect(Buffer.from(delivered?.sender ?? []).toString("hex")).toBe(`0000${"ff".repeat(16)}0000`);
    // As docs/protocol.md says it is made.
    const id = createHash("sha256").update("interline sealed v1").update(accountOf(one.address));
    expect(delivered?.id).toEqual(new Uint8Array(id.update(envelopeId(1)).digest().subarray(0, 16)));
    expect(sealedOf(two)[0]?.id).toEqual(delivered?.id);
  });

  it("may repeat what had no receipt, on any connection, and it is delivered once", async () => {
    new Nobody().send(1, "psst");
    await world.settle();
    const again = new Nobody().send(1, "psst").send(2, "next");
    await world.settle();
    expect(again.answers).toEqual(["receipt 2 2"]);
    expect(textsOf(one)).toEqual(["psst", "next"]);
    expect(world.kernel.counters().duplicates).toBe(1);
  });

  it("cannot have another's envelope taken for a repeat with the id that was delivered", async () => {
    new Nobody().send(1, "genuine");
    await world.settle();
    const seen = sealedOf(one)[0]?.id as Uint8Array;
    const mallory = new Nobody().say({
      kind: "sealedSend",
      id: seen,
      deliveryToken: TOKEN,
      account: accountOf(one.address),
      version: 2,
      devices: [1, 2].map((device) => ({ device, payload: Buffer.from("other") })),
    });
    new Nobody().send(3, "later");
    await world.settle();
    expect(mallory.answers).toEqual(["receipt 1 2"]);
    expect(textsOf(one)).toEqual(["genuine", "other", "later"]);
    expect(world.kernel.counters().duplicates).toBe(0);
  });

  it("is told the devices when they are not all covered, and nothing was sent", async () => {
    const nobody = new Nobody().send(1, "psst", { version: 0, devices: [] });
    await world.settle();
    expect(nobody.connection.of("refusal")).toMatchObject([
      { position: 1, code: 301, detail: { rosters: [{ version: 2, missing: [1, 2], surplus: [] }] } },
    ]);
    nobody.send(1, "psst");
    await world.settle();
    expect(nobody.answers).toEqual(["refusal 1 301", "receipt 2 2"]);
    expect(textsOf(one)).toEqual(["psst"]);
  });

  it("goes on with the old token for the overlap after a rotation, and not at all after a revocation", async () => {
    const account = accountOf(one.address);
    await world.store.changeDeliveryTokens(account, { kind: "rotate", token: OTHER, overlapMs: 500 });
    const nobody = new Nobody().send(1, "old").send(2, "new", { deliveryToken: OTHER });
    await world.settle();
    world.later(500);
    nobody.send(3, "too old").send(4, "new still", { deliveryToken: OTHER });
    await world.settle();
    await world.store.changeDeliveryTokens(account, { kind: "revoke" });
    nobody.send(5, "gone", { deliveryToken: OTHER });
    await world.settle();
    world.later(10).turn();
    expect(textsOf(one)).toEqual(["old", "new", "new still"]);
    expect(nobody.answers).toEqual([
      ...["receipt 2 2", `refusal 3 ${REFUSED}`, "receipt 4 2", `refusal 5 ${REFUSED}`],
    ]);
  });

  it("waits in the queue of a device that is away, in order with what others send, also over a restart", async () => {
    const bob = await world.device(2, 2).connect();
    one.leave();
    bob.send(1, "before", one, two);
    world.turn();
    new Nobody().send(1, "psst");
    world.turn();
    bob.send(2, "after", one, two);
    await world.settle();
    await world.spillAll();
    await world.close();
    world = await World.open({ directory: world.directory });
    one = await world.device(1, 1, 1).connect();
    await world.settle();
    const texts = one.connection
      .of("deliver")
      .filter(({ sender }) => sender[1] !== 0 || isSealed(sender))
      .map(({ payload }) => Buffer.from(payload).toString());
    expect(texts).toEqual(["before", "psst", "after"]);
    // The window knows it after the restart too.
    const again = new Nobody().send(1, "psst");
    await world.settle();
    expect(again.answers).toEqual(["receipt 1 2"]);
    expect(textsOf(one)).toEqual(["psst"]);
  });
});

describe("who does not", () => {
  const noAccount = { account: new Uint8Array(18).fill(9, 1).fill(0, 0, 1).fill(1, 1, 2) };

  it("gets the same answer for a wrong token, an account without one, and no account, no sooner than the bound", async () => {
    const bob = await world.device(1, 2).connect();
    const cases = [{ deliveryToken: OTHER }, { account: accountOf(bob.address) }, noAccount];
    for (const wrong of cases) {
      const nobody = new Nobody().send(1, "psst", wrong);
      world.turn();
      world.later(9).turn();
      expect(nobody.answers).toEqual([]);
      expect(world.path.isWaiting).toBe(true);
      world.later(1).turn();
      expect(nobody.connection.of("refusal")).toEqual([
        { kind: "refusal", position: 1, code: REFUSED, retryAfterMs: 0, detail: {} },
      ]);
    }
    expect(textsOf(one)).toEqual([]);
  });

  it("is not told the devices, nor that the disk is low or the brand full", async () => {
    world.kernel.setDiskLow(true);
    world.kernel.setCrossing(1, 0, "full");
    const nobody = new Nobody().send(1, "psst", { deliveryToken: OTHER, version: 0, devices: [] });
    world.turn();
    world.later(10).turn();
    expect(nobody.connection.of("refusal")).toMatchObject([{ code: REFUSED, detail: {} }]);
    nobody.send(2, "psst");
    world.turn();
    expect(nobody.answers.at(-1)).toBe(`refusal 2 ${codes.brandQuota.code}`);
    world.kernel.setCrossing(1, 0, "open");
    nobody.send(3, "psst");
    world.turn();
    world.later(100).turn();
    expect(nobody.answers.at(-1)).toBe(`refusal 3 ${codes.diskLow.code}`);
  });

  it("is not let in where the brands are closed, by whatever token", async () => {
    world.kernel.setCrossing(1, 0, "closed");
    const nobody = new Nobody().send(1, "psst");
    world.turn();
    expect(nobody.answers).toEqual([`refusal 1 ${codes.brandsClosed.code}`]);
    world.kernel.setCrossing(1, 0, "open");
  });
});

describe("answers", () => {
  it("come in the order of the sends: a receipt never passes a refusal that is still due", async () => {
    const nobody = new Nobody().send(1, "a").send(2, "b", { deliveryToken: OTHER }).send(3, "c");
    await world.settle();
    expect(nobody.answers).toEqual(["receipt 1 2"]);
    world.later(10).turn();
    expect(nobody.answers).toEqual(["receipt 1 2", `refusal 2 ${REFUSED}`, "receipt 3 2"]);
    expect(textsOf(two)).toEqual(["a", "c"]);
  });

  it("to what is over a bound are refusals of that send alone", async () => {
    const devices = [1, 2].map((device) => ({ device, payload: new Uint8Array(limits.payloadBytesMax + 1) }));
    const nobody = new Nobody().send(1, "", { devices }).say({ kind: "ping", nonce: 5 }).send(2, "b");
    await world.settle();
    expect(nobody.answers).toEqual([`refusal 1 ${codes.payloadTooLarge.code}`, "receipt 2 2"]);
    expect(nobody.connection.of("pong")).toMatchObject([{ nonce: 5 }]);
  });

  it("go to nobody when the connection is gone, and what it sent before it went is still sent", async () => {
    const nobody = new Nobody().send(1, "last words");
    world.path.detach(nobody.slot, nobody.connection);
    await world.settle();
    expect(nobody.answers).toEqual([]);
    expect(textsOf(one)).toEqual(["last words"]);
    expect(world.path.unidentifiedCount).toBe(0);
  });
});

describe("bounds", () => {
  it("of an account hold over all connections, and one has half of them", async () => {
    await reopenWith({ limits: { sealedRecipientMessages: 4, sealedRecipientMessageRefillMs: 1_000 } });
    const [first, second, third] = [new Nobody(), new Nobody(), new Nobody(3)];
    for (const nobody of [first, second, third]) {
      for (let id = 1; id <= 3; id++) nobody.send(world.monotonicMs++, "x");
      await world.settle();
    }
    const limited = codes.rateLimited.code;
    expect(first.answers).toEqual(["receipt 2 2", `refusal 3 ${limited}`]);
    expect(second.answers).toEqual(["receipt 2 2", `refusal 3 ${limited}`]);
    expect(third.answers).toEqual([1, 2, 3].map((position) => `refusal ${position} ${limited}`));
    expect(textsOf(one).length).toBe(4);
    expect(first.connection.of("refusal")[0]?.retryAfterMs).toBeGreaterThan(900);
  });

  it("of a connection hold over all accounts, whatever comes of its sends", async () => {
    await reopenWith({ limits: { sealedConnectionMessages: 3, sealedConnectionMessageRefillMs: 60_000 } });
    const nobody = new Nobody();
    for (let id = 1; id <= 5; id++) nobody.send(id, "x", { deliveryToken: OTHER });
    world.turn();
    world.later(10).turn();
    const tooFast = codes.sealedTooFast.code;
    expect(nobody.answers.map((answer) => Number(answer.split(" ")[2]))).toEqual([
      ...[REFUSED, REFUSED, REFUSED, tooFast, tooFast],
    ]);
  });

  it("of what is under way make the rest wait unread, and too much of that ends the connection", async () => {
    await reopenWith({ limits: { sealedInFlightMax: 2, sealedUnreadBytesMax: 3_000 } });
    const nobody = new Nobody();
    world.holdCommits = true;
    for (let id = 1; id <= 5; id++) nobody.send(id, "x");
    world.turn();
    world.turn();
    expect(textsOf(one).length).toBe(2);
    world.holdCommits = false;
    for (const letGo of world.heldCommits.splice(0)) letGo();
    await world.settle();
    await world.settle();
    await world.settle();
    expect(textsOf(one).length).toBe(5);
    for (let id = 10; id < 30; id++) nobody.send(id, "x");
    expect(nobody.connection.ended).toBe("overloaded");
    expect(world.path.unidentifiedCount).toBe(0);
  });

  it("of all such connections refuse the next", async () => {
    await reopenWith({ limits: { unidentifiedConnectionsMax: 1 } });
    const nobody = new Nobody();
    expect(() => new Nobody()).toThrow("tooManyConnections");
    world.path.detach(nobody.slot, nobody.connection);
    new Nobody();
  });

  it("of a turn are shared out: nobody waits behind a pipeline of another's", async () => {
    await reopenWith({
      limits: { sealedSendsPerTurn: 4, sealedSendsInRow: 2, sealedRecipientMessages: 1_000 },
    });
    const [busy, quick] = [new Nobody(), new Nobody()];
    for (let id = 1; id <= 50; id++) busy.send(id, "busy");
    quick.send(100, "quick");
    world.turn();
    expect(textsOf(one)).toEqual(["busy", "busy", "quick", "busy"]);
  });

  it("of a turn go round: who was not reached in one is first in the next", async () => {
    await reopenWith({
      limits: { sealedSendsPerTurn: 4, sealedSendsInRow: 2, sealedRecipientMessages: 1_000 },
    });
    for (const name of ["a", "b", "c"]) {
      const nobody = new Nobody();
      for (let id = 1; id <= 20; id++) nobody.send(name.charCodeAt(0) * 100 + id, name);
    }
    world.turn();
    world.turn();
    expect(textsOf(one).join("")).toBe("aabbccaa");
  });
});

describe("a connection that speaks for nobody", () => {
  it.each<[string, () => ClientFrame]>([
    ["a send", () => world.sendFrame(1, "x", [one, two])],
    ["an ack", () => ({ kind: "ack", sequence: 1 })],
    ["an ephemeral", () => ({ kind: "ephemeral", accounts: [] })],
    ["a roster query", () => ({ kind: "rosterQuery", request: 1, account: accountOf(one.address) })],
  ])("is ended by %s", (_, frame) => {
    const nobody = new Nobody().say(frame());
    world.turn();
    expect(nobody.connection.ended).toBe("unidentified");
    expect(nobody.answers).toEqual([]);
  });

  it("is ended by what is no frame, and by the end of all", () => {
    const [bad, good] = [new Nobody(), new Nobody()];
    world.path.receive(bad.slot, Uint8Array.of(0xc1));
    world.turn();
    expect(bad.connection.ended).toBe("badFrame");
    world.path.endAll("draining", () => 0);
    expect(good.connection.ended).toBe("draining");
  });
});

it("a device that sends as nobody is ended: its connection names it", () => {
  const account = accountOf(two.address);
  const frame = { id: envelopeId(1), deliveryToken: TOKEN, account, version: 2, devices: [] };
  world.path.receive(one.slot, encodeSealedSend({ kind: "sealedSend", ...frame }));
  world.turn();
  expect(one.connection.ended).toBe("badFrame");
});
