/** What a stop waits for: all that was accepted by then, and no more than that. */
import { afterEach, beforeEach, expect, it } from "vitest";
import { World } from "./harness.js";

let world: World;
beforeEach(async () => {
  world = await World.open();
});
afterEach(() => world.remove());

/** Whether it resolves while `turn` is made up to so many times. */
async function resolvesWithin(turns: number, settled: Promise<void>, turn: (i: number) => void) {
  let isSettled = false;
  void settled.then(() => {
    isSettled = true;
  });
  for (let i = 0; i < turns && !isSettled; i++) {
    turn(i);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return isSettled;
}

it.each([0, 1])("comes to its end while devices go on sending, with patience %d", async (patience) => {
  const alice = await world.device(1, 1).connect();
  const bob = await world.device(2, 2).connect();
  world.patience = patience;
  alice.send(1, "accepted before", bob);
  const settled = world.path.settled();
  const isSettled = await resolvesWithin(2_000, settled, (i) => {
    alice.send(2 + i, "accepted meanwhile", bob);
    world.later(1).turn();
    bob.ack(bob.connection.sequences.at(-1) as number);
  });
  expect(isSettled).toBe(true);
  expect(alice.connection.of("receipt").at(-1)?.position).toBeGreaterThan(0);
});

it("is over when the storage has failed, without another turn", async () => {
  const alice = await world.device(1, 1).connect();
  alice.send(1, "never committed", alice);
  const settled = world.path.settled();
  world.path.fail();
  expect(await resolvesWithin(3, settled, () => {})).toBe(true);
});
