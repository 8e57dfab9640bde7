/**
 * The path while the machine's wall clock is set forward and back by an hour: what is promised for a time lasts for as
 * much time as passes, and what is shown is the wall clock's.
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { accountOf } from "../../src/base/address.js";
import { limits } from "../../src/rules/limits.js";
import { codes } from "../../src/wire/codes.js";
import { type Device, envelopeId, World } from "./harness.js";
import { Unidentified } from "./unidentified.js";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const STEPS = [
  ["on", [HOUR_MS]],
  ["back", [-HOUR_MS]],
  ["on, on and back", [HOUR_MS, HOUR_MS, -3 * HOUR_MS]],
] as const;

let world: World;
let ann: Device;
let bob: Device;
beforeEach(async () => {
  world = await World.open();
  ann = await world.device(1, 1).connect();
  bob = await world.device(2, 2).connect();
});
afterEach(() => world.remove());

const duplicates = () => world.kernel.counters().duplicates;

async function sendAt(minutes: number, id: number): Promise<void> {
  world.later(minutes * MINUTE_MS);
  ann.send(id, `${id}`, bob);
  await world.settle();
}

/** The node is stopped, `downMs` pass, and it starts again with its clock set by `stepMs`. */
async function restart(stepMs: number): Promise<void> {
  const { directory, wallMs } = world;
  await world.close();
  world = await World.open({ directory, wallMs: wallMs + MINUTE_MS + stepMs });
  ann = await world.device(1, 1).connect();
  bob = await world.device(2, 2).connect();
}

describe.each(STEPS)("a wall clock that is set %s by an hour", (_, steps) => {
  it("lets no repeat through within the window", async () => {
    await sendAt(0, 1);
    await sendAt(9, 2);
    // The window's generation that holds both is the older one from here on.
    await sendAt(2, 3);
    for (const [i, stepMs] of steps.entries()) {
      world.wallMs += stepMs;
      await sendAt(1, 10 + i);
    }
    for (const id of [2, 3]) ann.send(id, "again", bob);
    await world.settle();
    expect(duplicates()).toBe(2);
    expect(bob.connection.texts).not.toContain("again");
  });

  it("takes no key of the window from the disk", async () => {
    await sendAt(0, 1);
    await world.spillAll();
    for (const [i, stepMs] of steps.entries()) {
      world.wallMs += stepMs;
      await sendAt(1, 10 + i);
      await world.spillAll();
      await world.store.sweep(world.wallMs, limits.sweepRows);
    }
    await restart(0);
    await sendAt(0, 1);
    expect(duplicates()).toBe(1);
  });

  it("lets no repeat through when it is set between two runs, or between two before the last", async () => {
    await sendAt(0, 1);
    for (const stepMs of steps) {
      await restart(stepMs);
      await sendAt(0, 10);
      await world.spillAll();
    }
    await restart(0);
    const before = duplicates();
    await sendAt(0, 1);
    expect(duplicates() - before).toBe(1);
  });

  it("neither ends nor prolongs the overlap of a delivery token", async () => {
    const account = accountOf(ann.address);
    const [token, next] = [new Uint8Array(16).fill(7), new Uint8Array(16).fill(8)];
    await world.store.changeDeliveryTokens(account, { kind: "set", token });
    const rotate = { kind: "rotate", token: next, overlapMs: 30 * MINUTE_MS } as const;
    await world.store.changeDeliveryTokens(account, rotate);
    const nobody = new Unidentified(world);
    const send = (id: number) => {
      const devices = [{ device: 1, payload: Buffer.from("psst") }];
      const named = { id: envelopeId(id), account, version: 1, devices };
      nobody.say({ kind: "sealedSend", deliveryToken: token, ...named });
      return world.settle();
    };
    for (const stepMs of steps) world.wallMs += stepMs;
    world.later(30 * MINUTE_MS - 1);
    await send(1);
    world.later(1);
    await send(2);
    world.later(limits.sealedRefusalMs).turn();
    const refused = `refusal 2 ${codes.deliveryTokenRefused.code}`;
    expect(nobody.answers).toEqual(["receipt 1 2", refused]);
  });

  it("is what envelopes are dated with, and their order is that of their sequences", async () => {
    const dated: number[] = [];
    for (const [i, stepMs] of [0, ...steps].entries()) {
      world.wallMs += stepMs;
      dated.push(world.wallMs);
      await sendAt(0, i + 1);
    }
    expect(bob.connection.of("deliver").map(({ timeMs }) => timeMs)).toEqual(dated);
    expect(bob.connection.sequences).toEqual([...bob.connection.sequences].sort((a, b) => a - b));
    expect(bob.connection.texts).toEqual(dated.map((_, i) => `${i + 1}`));
  });
});

it("forgets nothing sooner, and keeps nothing for ever, when time passes and the wall clock stands", async () => {
  await sendAt(0, 1);
  for (const id of [2, 3, 4]) {
    world.wallMs -= 11 * MINUTE_MS;
    await sendAt(11, id);
  }
  await sendAt(0, 1);
  expect(duplicates()).toBe(0);
  expect(bob.connection.texts).toEqual(["1", "2", "3", "4", "1"]);
});
