/**
 * What a gap counts: of what was removed everything that the device had not acked by then, and nothing that it had. The
 * node cannot know what a device took without acking it, so that such counts too: never too few, and too many by no more
 * than was on the way (docs/protocol.md).
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { limits } from "../../src/rules/limits.js";
import { type Device, World } from "./harness.js";

const KEPT = 6;
const TAKEN = 5;
const SENT = 12;

let world: World;
let [alice, bob]: Device[] = [];
beforeEach(async () => {
  world = await World.open({ limits: { queueEntriesMax: KEPT } });
  alice = await world.device(1, 1).connect();
  bob = await world.device(2, 2).connect();
});
afterEach(() => world.remove());

const texts = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, i) => `${from + i}`);

/** Bob takes some, acks as many of them, and is away while the rest comes. Returns the sequences of what he took. */
async function takenAndAway(acked: number): Promise<number[]> {
  for (let i = 1; i <= TAKEN; i++) alice?.send(i, `${i}`, bob as Device);
  world.turn();
  const { sequences } = (bob as Device).connection;
  expect(bob?.connection.texts).toEqual(texts(1, TAKEN));
  if (acked > 0) bob?.ack(sequences[acked - 1] as number);
  await world.later(500).settle();
  bob?.leave();
  for (let i = TAKEN + 1; i <= SENT; i++) alice?.send(i, `${i}`, bob as Device);
  return sequences;
}

describe("a gap that quota leaves", () => {
  it.each([0, 1, 3, TAKEN])("counts what of it was not acked, when %d were", async (acked) => {
    const sequences = await takenAndAway(acked);
    await world.spillAll();
    await bob?.connect();
    const [gap, ...others] = (bob as Device).connection.of("gap");
    expect(others).toEqual([]);
    const removed = SENT - KEPT;
    const lost = removed - TAKEN;
    expect(gap).toMatchObject({ reason: 1, count: removed - acked });
    // No fewer than were lost; no more than that and what was taken without an ack.
    expect(gap?.count).toBeGreaterThanOrEqual(lost);
    expect(gap?.count).toBeLessThanOrEqual(lost + TAKEN - acked);
    expect(TAKEN - acked).toBeLessThanOrEqual(limits.windowEntriesDefault);
    expect(gap?.sequence).toBeGreaterThan(sequences.at(-1) as number);
    expect(bob?.connection.texts).toEqual(texts(removed + 1, SENT));
  });

  it("counts the same for a device that says only afterwards what it has, and says nothing to one that has all of it", async () => {
    const sequences = await takenAndAway(0);
    await world.spillAll();
    await bob?.connect({ resume: sequences[2] as number });
    expect(bob?.connection.of("gap")).toMatchObject([{ reason: 1, count: SENT - KEPT }]);
    const gap = bob?.connection.of("gap")[0]?.sequence as number;
    bob?.leave();
    await bob?.connect({ resume: gap });
    expect(bob?.connection.of("gap")).toEqual([]);
    expect(bob?.connection.texts).toEqual(texts(SENT - KEPT + 1, SENT));
  });
});

it("a gap that age leaves counts what of it was not acked, and no more", async () => {
  await takenAndAway(3);
  await world.spillAll();
  await world.store.sweep(world.wallMs + limits.retentionMs + 1, 1_000);
  await bob?.connect();
  const counts = (bob as Device).connection.of("gap").map(({ count, reason }) => [reason, count]);
  expect(counts).toEqual([
    [1, SENT - KEPT - 3],
    [2, KEPT],
  ]);
  expect(bob?.connection.texts).toEqual([]);
});
