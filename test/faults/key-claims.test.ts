/**
 * C5: a one-time key is handed out at most once, ever, whenever the node is
 * killed and whatever its device uploads again. C6: nobody takes more of a
 * device's keys than the published limits, by reconnecting or by a kill neither.
 */
import { expect, test } from "vitest";
import { type ClaimEvent, judgeClaims } from "../support/claim-judge.js";
import { claimLoop } from "../support/claim-loop.js";
import { buildMutant, type MutantName } from "../support/mutant.js";
import { NodeUnderTest } from "../support/node-under-test.js";
import { amount, seededRandom, tell } from "../support/scale.js";
import { Stranger } from "../support/stranger.js";
import { array, bin, map, text, uint } from "../support/stranger-codec.js";
import { World, type WorldDevice } from "../support/world.js";

const CLAIMS = amount({ short: 10_000, full: 100_000 });
const KILLS = amount({ short: 10, full: 20 });
const DEVICES = amount({ short: 80, full: 200 });

function summary(events: readonly ClaimEvent[]) {
  const verdict = judgeClaims(events);
  tell(
    `${verdict.kills} kills, ${verdict.oneTime} one-time keys and ${verdict.lastResorts} last resorts handed out, ` +
      `${verdict.count("repeated")} repeats, ${verdict.faults.length} faults`,
  );
  return verdict;
}

test("no one-time key is handed out twice, over concurrent claims, repeated uploads and kills", async () => {
  const random = seededRandom("key claims");
  const verdict = summary(await claimLoop({ random, claims: CLAIMS, kills: KILLS, devices: DEVICES }));
  expect(verdict.faults.slice(0, 20)).toEqual([]);
  expect(verdict.kills).toBe(KILLS);
  // Each claim brings an EC key and a Kyber key, unless the device has none left.
  expect(verdict.oneTime).toBeGreaterThan(CLAIMS);
});

async function faultsOfMutant(name: MutantName): Promise<ReturnType<typeof judgeClaims>> {
  const mutant = buildMutant(name);
  try {
    const events = await claimLoop({
      random: seededRandom(`key claims, ${name}`),
      claims: 10_000,
      kills: 10,
      devices: 40,
      build: mutant.build,
      isEnough: (seen) => judgeClaims(seen).count("repeated") > 0,
    });
    return summary(events);
  } finally {
    mutant.remove();
  }
}

test("control: keys that leave before their removal is flushed are caught as repeated", async () => {
  expect((await faultsOfMutant("claimsBeforeFlush")).count("repeated")).toBeGreaterThan(0);
});

test("control: keys that come back with an upload are caught as repeated", async () => {
  expect((await faultsOfMutant("claimedKeysReturn")).count("repeated")).toBeGreaterThan(0);
});

const STOCK = 100;
const PER_PAIR = 6;

/** What a pair, and then a crowd, got out of a device with 100 keys; with a reconnect and a kill in between. */
async function takenFrom(build?: string): Promise<{ pair: number; refusals: number[]; crowd: number }> {
  const world = new World({ brands: 2, accountsPerBrand: 60, devices: () => 1 });
  const node = await NodeUnderTest.create({ world, ...(build !== undefined && { build }) });
  const [owner, asker, ...crowd] = world.devices as [WorldDevice, WorldDevice, ...WorldDevice[]];
  const ask = map({ device: bin(Buffer.from(owner.address, "hex")), suite: text("signal") });
  const refusals: number[] = [];
  const claim = async (device: WorldDevice, times: number): Promise<number> => {
    const stranger = await Stranger.open({ port: node.port, token: world.token(device) });
    let oneTime = 0;
    for (let i = 0; i < times; i++) {
      const { code, retryAfterMs, body } = await stranger.request("keys.claim", ask);
      if (code !== 0) refusals.push(code, retryAfterMs > 590_000 ? 1 : 0);
      else if (body.has("preKey")) oneTime++;
    }
    await stranger.close();
    return oneTime;
  };
  try {
    await node.start();
    await upload(await Stranger.open({ port: node.port, token: world.token(owner) }));
    let pair = await claim(asker, PER_PAIR + 1);
    pair += await claim(asker, 1);
    await node.kill();
    await node.start();
    pair += await claim(asker, 1);
    let taken = 0;
    for (const device of crowd) taken += await claim(device, 1);
    await node.stop();
    return { pair, refusals, crowd: taken };
  } finally {
    await node.discard();
  }
}

async function upload(stranger: Stranger): Promise<void> {
  const key = (id: number) => map({ id: uint(id), key: bin(Buffer.alloc(33, id)) });
  const one = array([key(1)]);
  const preKey = array(Array.from({ length: STOCK }, (_, i) => key(i + 1)));
  const body = map({ identity: one, signedPreKey: one, lastResortKyber: one, preKey });
  expect(await stranger.request("keys.upload", body)).toMatchObject({ code: 0 });
  await stranger.close();
}

test("a pair gets six claims and a crowd no more than the device's own limit, through reconnects and a kill", async () => {
  const { pair, refusals, crowd } = await takenFrom();
  tell(`the pair took ${pair}, the crowd of 118 took ${crowd}`);
  expect(pair).toBe(PER_PAIR);
  expect(refusals).toEqual([405, 1, 405, 1, 405, 1]);
  // 60 in all, and one for every minute that the test may have taken.
  expect(pair + crowd).toBeGreaterThanOrEqual(60);
  expect(pair + crowd).toBeLessThanOrEqual(62);
});

test("control: a node without limits is caught", async () => {
  const mutant = buildMutant("claimsUnlimited");
  try {
    const { pair, crowd } = await takenFrom(mutant.build);
    tell(`without limits the pair took ${pair}, the crowd ${crowd}`);
    expect(pair).toBeGreaterThan(PER_PAIR);
    expect(pair + crowd).toBe(STOCK);
  } finally {
    mutant.remove();
  }
});
