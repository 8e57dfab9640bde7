/**
 * C8: from `accounts.resolve` nobody can tell a name that does not exist from one that is not for the one who asks: the
 * replies are the same bytes, and the times they take differ by no more than chance (Welch's t-test).
 */
import { afterAll, expect, test } from "vitest";
import { buildMutant } from "../support/mutant.js";
import { freePort } from "../support/node-process.js";
import { NodeUnderTest } from "../support/node-under-test.js";
import { scanOutput } from "../support/output-scan.js";
import { amount, seededRandom, tell } from "../support/scale.js";
import { Stranger } from "../support/stranger.js";
import { resolveBody, serviceCall, timingOf, welchT } from "../support/timing.js";
import { World } from "../support/world.js";

const SAMPLES = amount({ short: 20_000, full: 1_000_000 });
const CONTROL_SAMPLES = 2_000;
/** As short as a timer can be: a lookup takes a small part of it, and the samples little time. */
const ANSWER_MS = 1;
const T_MAX = 4.5;
/** Names that exist and may not be reached, and as many that do not exist: none is cached by being the only one. */
const NAMES = 64;

const nodes: NodeUnderTest[] = [];
afterAll(async () => {
  for (const node of nodes) await node.discard();
});

/** The answers to either question, and how long they took. */
async function measure(samples: number, build?: string) {
  const world = new World({ brands: 2, accountsPerBrand: 1, devices: () => 1 });
  const adminPort = await freePort();
  const node = await NodeUnderTest.create({
    world,
    limits: {
      resolvesBurst: 2 * samples,
      resolvesPerSecond: 1,
      requestsBurst: 2 * samples,
      requestsPerSecond: 100,
      resolveAnswerMs: ANSWER_MS,
    },
    more: { admin: { port: adminPort }, crossing: [] },
    ...(build !== undefined && { build }),
  });
  nodes.push(node);
  await node.start();
  const [own, other] = world.accounts;
  const [ownDevice] = own!.devices;
  await serviceCall(adminPort, world.brands[1]!, "PUT", `/v1/accounts/${other!.address.toString("hex", 2)}`);
  for (let i = 0; i < 16; i++)
    await serviceCall(adminPort, world.brands[1]!, "PUT", `/v1/names/${nameText(i)}`, {
      account: other!.address.toString("hex", 2),
    });
  const stranger = await Stranger.open({ port: node.port, token: world.token(ownDevice!) });
  const timing = await timingOf({
    stranger,
    samples,
    random: seededRandom("enumeration"),
    method: "accounts.resolve",
    bodies: [
      (asked) => resolveBody(2, Buffer.from(`there ${asked % 16}`)),
      (asked) => resolveBody(2, Buffer.from(`no one ${asked % NAMES}`)),
    ],
  });
  stranger.drop();
  await node.kill();
  scanOutput(node, world);
  return timing;
}

const nameText = (i: number) => Buffer.from(`there ${i}`).toString("base64url");

test("neither bytes nor time tell a name that is not for us from one that nobody has", async () => {
  const { times, answers } = await measure(SAMPLES);
  const t = welchT(times[0], times[1]);
  tell(
    `${times[0].length} and ${times[1].length} samples, t = ${t.toFixed(2)}, ${answers.size} kind of answer`,
  );
  expect(times[0].length + times[1].length).toBe(SAMPLES);
  expect([...answers]).toEqual([JSON.stringify([611, 0])]);
  expect(Math.abs(t)).toBeLessThan(T_MAX);
});

test("control: an answer that comes early when somebody is there is found out", async () => {
  const mutant = buildMutant("nobodyAtOnce");
  try {
    const { times } = await measure(CONTROL_SAMPLES, mutant.build);
    const t = welchT(times[0], times[1]);
    tell(`control: t = ${t.toFixed(1)}`);
    expect(Math.abs(t)).toBeGreaterThan(T_MAX);
  } finally {
    mutant.remove();
  }
});

test("control: a difference of a hundredth of the spread is found out by as many samples as are taken here", () => {
  const random = seededRandom("enumeration, shifted");
  const spread = () => random.fraction() + random.fraction();
  const shifted = Array.from({ length: SAMPLES }, () => spread() + 0.04);
  const plain = Array.from({ length: SAMPLES }, spread);
  expect(Math.abs(welchT(shifted, plain))).toBeGreaterThan(T_MAX);
});
