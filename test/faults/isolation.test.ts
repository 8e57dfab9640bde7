/**
 * C3: brands may use the same key ids, account ids, device numbers and envelope
 * ids without any effect on each other.
 */
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import type { SeededRandom } from "../demo/seeded-random.js";
import type { Actor } from "../support/actor.js";
import { Fleet } from "../support/fleet.js";
import { describeFaults, judge } from "../support/judge.js";
import { buildMutant } from "../support/mutant.js";
import { NodeUnderTest } from "../support/node-under-test.js";
import { scanOutput } from "../support/output-scan.js";
import { amount, seededRandom, tell } from "../support/scale.js";
import { type ConnectionEnded, Stranger } from "../support/stranger.js";
import { traceableId } from "../support/trace.js";
import { mint, World, type WorldAccount, type WorldDevice } from "../support/world.js";

const BRANDS = amount({ short: 5, full: 10 });
const OPERATIONS = amount({ short: 30_000, full: 5_000_000 });
const ACCOUNTS = 4;
const RESTART_EVERY = amount({ short: 10_000, full: 500_000 });
const TURN_MS = 5;
/** Of a device that is away. */
const UNANSWERED_MAX = 50;
const TOKEN_INVALID = 201;

/** Devices of the same name in every brand, doing the same things under the same envelope ids. */
async function operations(random: SeededRandom, count: number, build?: string) {
  const world = new World({
    brands: BRANDS,
    accountsPerBrand: ACCOUNTS,
    devices: (account) => (account === 0 ? 2 : 1),
  });
  const node = await NodeUnderTest.create({
    world,
    limits: { spillAgeMs: 80 },
    ...(build === undefined ? {} : { build }),
  });
  const fleet = new Fleet({ world, port: node.port, random });
  try {
    await node.start();
    await fleet.register();
    fleet.wantAll();
    const connecting = fleet.keepConnected();
    let restarts = 0;
    for (let done = 0; done < count; ) {
      for (let i = 0; i < 4; i++) done += twins(fleet, world, random);
      if (random.fraction() < 0.01) comeOrGo(fleet, random);
      await delay(fleet.unansweredCount > 2_000 ? TURN_MS : 0);
      if (Math.floor(done / RESTART_EVERY) > restarts) {
        restarts++;
        await restart(node, fleet);
      }
    }
    await fleet.drain(build === undefined ? undefined : 1_500);
    fleet.release();
    await connecting;
    if (build === undefined) scanOutput(node, world, fleet.history);
    return judge(fleet.history.events, { gaps: "none", mayBeUnanswered: build !== undefined });
  } finally {
    fleet.release();
    await node.discard();
  }
}

/** The same envelope id from the same device of several brands, to the same account of brands at random. */
function twins(fleet: Fleet, world: World, random: SeededRandom): number {
  const id = traceableId();
  const sender = random.between(0, fleet.actors.length / BRANDS - 1);
  const target = random.between(0, ACCOUNTS - 1);
  let sends = 0;
  for (let brand = 0; brand < BRANDS; brand++) {
    const actor = fleet.actors[brand * (fleet.actors.length / BRANDS) + sender] as Actor;
    const to = world.accounts[random.between(0, BRANDS - 1) * ACCOUNTS + target] as WorldAccount;
    if (to === actor.device.account && to.devices.length === 1) continue;
    if (actor.unanswered.length > UNANSWERED_MAX) continue;
    actor.send([to], random.between(40, 300), id);
    sends++;
  }
  return sends;
}

/** One device goes, or comes again; its namesakes of other brands must not notice. */
function comeOrGo(fleet: Fleet, random: SeededRandom): void {
  const actor = random.pick(fleet.actors);
  actor.isWanted = !actor.isWanted;
  if (!actor.isWanted) actor.drop();
}

async function restart(node: NodeUnderTest, fleet: Fleet): Promise<void> {
  fleet.hold();
  await node.kill();
  await fleet.silence();
  fleet.history.note({ op: "killed", how: "restart" });
  await node.start();
  fleet.resume();
}

test("what one brand's devices do under the same names and ids never shows at another's", async () => {
  const verdict = await operations(seededRandom("isolation"), OPERATIONS);
  tell(
    `${BRANDS} brands, ${verdict.sent} sends under shared ids, ${verdict.delivered} deliveries, ` +
      `${verdict.kills} restarts, ${verdict.faults.length} faults`,
  );
  expect(describeFaults(verdict)).toBe("");
});

test("control: accounts on disk that go by their id alone are caught", async () => {
  const mutant = buildMutant("brandOutOfKey");
  try {
    const random = seededRandom("isolation, brandOutOfKey");
    const caught = await operations(random, 3_000, mutant.build).then(
      (verdict) => verdict.faults.length,
      () => 1,
    );
    tell(`brandOutOfKey: ${caught} faults, or no start at all`);
    expect(caught).toBeGreaterThan(0);
  } finally {
    mutant.remove();
  }
});

/** Who gets in as `device` with a token that `key`'s brand signed: undefined, or the code of the refusal. */
async function signIn(port: number, token: string): Promise<number | undefined> {
  try {
    const stranger = await Stranger.open({ port, token });
    stranger.drop();
    return undefined;
  } catch (error) {
    return (error as ConnectionEnded).end.code;
  }
}

/** Every brand's key, all under one key id, signs for a device of every brand. */
async function crossSigned(build?: string) {
  const world = new World({ brands: BRANDS, accountsPerBrand: 1, devices: () => 1 });
  const node = await NodeUnderTest.create({ world, ...(build === undefined ? {} : { build }) });
  const foreign: (number | undefined)[] = [];
  const own: (number | undefined)[] = [];
  try {
    await node.start();
    for (const device of world.devices as WorldDevice[]) {
      for (const { key } of world.brands) {
        const code = await signIn(node.port, mint(device, { key }));
        (key === device.account.brand.key ? own : foreign).push(code);
      }
    }
    if (build === undefined) scanOutput(node, world);
    return { foreign, own };
  } finally {
    await node.discard();
  }
}

test("a brand's key signs nobody of another brand in, whatever its key id", async () => {
  const { foreign, own } = await crossSigned();
  expect(own).toEqual(Array(BRANDS).fill(undefined));
  expect(foreign).toEqual(Array(BRANDS * (BRANDS - 1)).fill(TOKEN_INVALID));
});

test("control: keys that are found by their id alone are caught", async () => {
  const mutant = buildMutant("keyByIdAlone");
  try {
    expect((await crossSigned(mutant.build)).foreign).toContain(undefined);
  } finally {
    mutant.remove();
  }
});
