/**
 * C8 for sealed senders, who send to one account or to several, or ask for a device's keys: a wrong delivery token, an account that takes no sealed envelopes, and no account are refused by the
 * same bytes, and at no other time than chance makes (Welch's t-test). The work is the same but for the microsecond in
 * which LMDB copies a row that is there; without the delay before the answer some thousand samples would show it.
 */
import { randomBytes } from "node:crypto";
import { afterAll, expect, test } from "vitest";
import { buildMutant } from "../support/mutant.js";
import { NodeUnderTest } from "../support/node-under-test.js";
import { scanOutput } from "../support/output-scan.js";
import { amount, seededRandom, tell } from "../support/scale.js";
import { Stranger } from "../support/stranger.js";
import { bin, map, type OpenedParty, text } from "../support/stranger-codec.js";
import { welchT } from "../support/timing.js";
import { mintAnonymous, World } from "../support/world.js";

const SAMPLES = amount({ short: 1_500, full: 100_000 });
const CONTROL_SAMPLES = 240;
const DELAY_MS = 2;
const GOOD_TOKEN = randomBytes(16);
const T_MAX = 4.5;
/** Accounts of each kind: none is in a cache by being the only one. */
const ACCOUNTS = 16;
const KINDS = ["another token", "no token", "no account"] as const;
/** How it is asked: to one account, with two others whose tokens are good, or for the keys of one of its devices. */
const FORMS = ["one account", "several accounts", "keys"] as const;
type Form = (typeof FORMS)[number];

const nodes: NodeUnderTest[] = [];
afterAll(async () => {
  for (const node of nodes) await node.discard();
});

interface Measured {
  /** Milliseconds, by kind. */
  readonly times: readonly number[][];
  /** The different refusals that came, as text. */
  readonly answers: ReadonlySet<string>;
}

async function measure(form: Form, samples: number, build?: string): Promise<Measured> {
  const world = new World({ brands: 1, accountsPerBrand: 2 * ACCOUNTS + 2, devices: () => 1 });
  const node = await NodeUnderTest.create({
    world,
    limits: {
      sealedConnectionMessages: 10 * samples,
      sealedConnectionKiB: 10 * samples,
      sealedClaimTokens: 10 * samples,
      sealedRefusalMs: DELAY_MS,
    },
    ...(build !== undefined && { build }),
  });
  nodes.push(node);
  await node.start();
  for (const [i, device] of world.devices.entries()) {
    const stranger = await Stranger.open({ port: node.port, token: world.token(device) });
    const hasToken = i < ACCOUNTS || i >= 2 * ACCOUNTS;
    const token = i < ACCOUNTS ? randomBytes(16) : GOOD_TOKEN;
    if (hasToken) await stranger.request("deliveryToken.set", map({ token: bin(token) }));
    stranger.drop();
  }
  const addresses = world.accounts.map(({ address }) => address);
  const there = addresses.slice(0, 2 * ACCOUNTS);
  const nobody = there
    .slice(0, ACCOUNTS)
    .map((address) => Buffer.concat([address.subarray(0, 2), randomBytes(16)]));
  const targets = [there.slice(0, ACCOUNTS), there.slice(ACCOUNTS), nobody];
  const measured = await ask(node.port, world, samples, {
    targets,
    form,
    others: addresses.slice(2 * ACCOUNTS),
  });
  await node.kill();
  scanOutput(node, world);
  return measured;
}

/** One question at a time, each of a kind by chance. */
async function ask(
  port: number,
  world: World,
  samples: number,
  {
    targets,
    others,
    form,
  }: { readonly targets: readonly Buffer[][]; readonly others: readonly Buffer[]; readonly form: Form },
): Promise<Measured> {
  const random = seededRandom("sealed enumeration");
  const times: number[][] = KINDS.map(() => []);
  const answers = new Set<string>();
  let answered: () => void = () => {};
  let account: Buffer = Buffer.alloc(0);
  const [brand] = world.brands;
  const stranger = await Stranger.open({
    port,
    token: mintAnonymous(brand as NonNullable<typeof brand>),
    refusal: (_position, code, detail) => {
      const isAsked = (detail.get("accounts") as Buffer | undefined)?.equals(account);
      if (isAsked) detail.set("accounts", "the one");
      answers.add(JSON.stringify([code, ...detail]));
      answered();
    },
    receipt: () => answers.add("receipt"),
  });
  for (let i = 0; i < samples; i++) {
    const kind = Math.floor(random.fraction() * KINDS.length);
    const own = times[kind] as number[];
    account = (targets[kind] as Buffer[])[own.length % ACCOUNTS] as Buffer;
    const startedMs = performance.now();
    const refused = new Promise<void>((resolve) => {
      answered = resolve;
    });
    const party = { account, version: 1, devices: [{ device: 1, payload: Buffer.alloc(32) }] };
    if (form === "keys") {
      const device = bin(Buffer.concat([account, Buffer.of(0, 1)]));
      const body = map({ device, suite: text("signal"), deliveryToken: bin(randomBytes(16)) });
      void stranger.request("keys.claim", body).then(({ code, retryAfterMs, body: said }) => {
        answers.add(JSON.stringify([code, ...(retryAfterMs === 0 ? [] : [retryAfterMs]), ...said]));
        answered();
      });
    } else if (form === "one account") stranger.sendSealed(randomBytes(16), randomBytes(16), party);
    else {
      const [first, last] = others.map((other) => ({ ...party, account: other, deliveryToken: GOOD_TOKEN }));
      const asked = { ...party, deliveryToken: randomBytes(16) };
      stranger.sendSealedShared(randomBytes(16), Buffer.alloc(32), [first, asked, last] as OpenedParty[]);
    }
    await refused;
    own.push(performance.now() - startedMs);
  }
  stranger.drop();
  return { times, answers };
}

/** Of each two kinds. */
function ts(times: readonly number[][]): number[] {
  const [token, none, nobody] = times as [number[], number[], number[]];
  return [welchT(token, none), welchT(token, nobody), welchT(none, nobody)];
}

const inText = (values: readonly number[]) => values.map((t) => t.toFixed(2)).join(", ");

test.each(FORMS)(
  "%s: neither bytes nor time tell a wrong token from an account that takes none, or from nobody",
  async (form) => {
    const { times, answers } = await measure(form, SAMPLES);
    const found = ts(times);
    const least = Math.min(...times.flat());
    tell(
      `${form}: ${times.map(({ length }) => length).join(", ")} samples, t = ${inText(found)}, least ${least.toFixed(1)} ms`,
    );
    const detail = form === "several accounts" ? [["accounts", "the one"]] : [];
    expect([...answers]).toEqual([JSON.stringify([220, ...detail])]);
    for (const t of found) expect(Math.abs(t)).toBeLessThan(T_MAX);
    // Nobody is told before the delay; both ends count whole milliseconds.
    expect(least).toBeGreaterThan(DELAY_MS - 1.5);
  },
);

test("control: a node that says at once that nobody takes sealed envelopes there is found out", async () => {
  const mutant = buildMutant("sealedNobodyAtOnce");
  try {
    for (const form of ["one account", "several accounts"] as const) {
      const found = ts((await measure(form, CONTROL_SAMPLES, mutant.build)).times);
      tell(`control, ${form}: t = ${inText(found)}`);
      expect(Math.abs(found[1] as number)).toBeGreaterThan(T_MAX);
    }
  } finally {
    mutant.remove();
  }
});

test("control: a node that says at once that nobody claims keys there is found out", async () => {
  const mutant = buildMutant("sealedClaimAtOnce");
  try {
    const found = ts((await measure("keys", CONTROL_SAMPLES, mutant.build)).times);
    tell(`control, keys: t = ${inText(found)}`);
    expect(Math.abs(found[1] as number)).toBeGreaterThan(T_MAX);
  } finally {
    mutant.remove();
  }
});

test("control: a difference of an eighth of the spread is found out by as many samples as are taken here", () => {
  const random = seededRandom("sealed enumeration, shifted");
  const spread = () => random.fraction() + random.fraction();
  const count = Math.floor(SAMPLES / KINDS.length);
  const shifted = Array.from({ length: count }, () => spread() + 0.25);
  expect(Math.abs(welchT(shifted, Array.from({ length: count }, spread)))).toBeGreaterThan(T_MAX);
});
