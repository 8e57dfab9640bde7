/**
 * The contestants that do a whole turn (the kernel, tuned JavaScript, and the naive one with msgpackr and Maps) send
 * the same bytes and refuse the same sends, on random batches with everything in them that a send can be refused
 * for; and one that is wrong is caught before anything is timed.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { checkAgreement, type MakeTurn, measureTurn } from "../../bench/kernels/turn.js";
import type { Message, TurnSizes } from "../../bench/kernels/turn-contestant.js";
import { KernelTurn } from "../../bench/kernels/turn-kernel.js";
import { PlainTurn } from "../../bench/kernels/turn-plain.js";
import { TunedTurn } from "../../bench/kernels/turn-tuned.js";
import { workloads } from "../../bench/workloads/workloads.js";
import { FrameBuilder, type SendParty } from "../model/frames.js";
import { chosenSeed, Random } from "../model/random.js";

setFlagsFromString("--expose-gc");
globalThis.gc = runInNewContext("gc");

const MiB = 1024 * 1024;
const sizes: TurnSizes = {
  accounts: 32,
  devices: 128,
  inboxBytes: 4 * MiB,
  layoutBytes: 8 * MiB,
  dedupKeys: 50,
};

/** Accounts of no to four devices; devices in the order in which they are loaded. */
function people(random: Random) {
  let ordinal = 0;
  const accounts = Array.from({ length: sizes.accounts }, (_, i) => ({
    address: Uint8Array.of(0, 1, ...random.bytes(16)),
    version: 1 + random.below(300),
    devices: Array.from({ length: i % 5 }, (_unused, at) => ({ number: 1 + at * 200, ordinal: ++ordinal })),
  }));
  const devices = accounts.flatMap((account) => account.devices.map(({ number }) => ({ account, number })));
  return { accounts, devices };
}

type People = ReturnType<typeof people>;

/** A party as it should be, or with one thing wrong. */
function partyOf(
  random: Random,
  account: People["accounts"][number],
  sender: People["devices"][number],
): SendParty {
  const payload = () => random.bytes(random.pick([0, 1, 15, 16, 17, 300, 1100]));
  let devices = account.devices
    .filter(({ number }) => account !== sender.account || number !== sender.number)
    .map(({ number }) => ({ number, payload: payload() }));
  let { version } = account;
  if (random.chance(0.04)) version++;
  if (random.chance(0.03)) devices = devices.slice(1);
  if (random.chance(0.03)) devices.push({ number: random.pick([7, 201, 601]), payload: payload() });
  if (random.chance(0.02))
    devices.push({ number: 999, payload: payload() }, { number: 999, payload: payload() });
  if (random.chance(0.02) && account === sender.account)
    devices.push({ number: sender.number, payload: payload() });
  return { account: account.address, version, devices };
}

function batchOf(random: Random, { accounts, devices }: People): Message[] {
  return Array.from({ length: random.between(1, 60) }, () => {
    const sender = random.below(devices.length);
    const from = devices[sender]!;
    const count = random.chance(0.03) ? 17 : random.between(1, 4);
    const chosen = new Set(Array.from({ length: count }, () => random.pick(accounts)));
    if (random.chance(0.8)) chosen.add(from.account);
    const parties = [...chosen].map((account) => partyOf(random, account, from));
    if (random.chance(0.03)) parties.push(parties[0]!);
    if (count === 17) while (parties.length < 17) parties.push(parties[0]!);
    // Few ids, so that they are repeated within a batch and long after.
    const id = new Uint8Array(16).fill(random.below(40));
    return { sender, bytes: new FrameBuilder(random).send(id, parties).take() };
  });
}

const makers: readonly MakeTurn[] = [
  (of) => new KernelTurn(of),
  (of) => new TunedTurn(of, false),
  (of) => new TunedTurn(of, true),
  (of) => new PlainTurn(of),
];

describe("a turn", () => {
  it("does the same for every contestant, on random batches", () => {
    const seed = chosenSeed();
    const random = new Random(seed);
    const totals = { accepted: 0, repeats: 0, codes: new Set<number>() };
    for (let world = 0; world < 4; world++) {
      const all = people(random);
      const contestants = makers.map((make) => make(sizes));
      for (const contestant of contestants) for (const account of all.accounts) contestant.load(account);
      for (let batch = 0; batch < 60; batch++) {
        const nowMs = 1_700_000_000_000 + random.below(1e6);
        try {
          const { accepted, repeats, refusals } = checkAgreement(contestants, batchOf(random, all), nowMs);
          totals.accepted += accepted;
          totals.repeats += repeats;
          for (const { code } of refusals) totals.codes.add(code);
        } catch (error) {
          throw new Error(`seed ${seed}: ${(error as Error).message}`);
        }
      }
    }
    expect(totals.accepted).toBeGreaterThan(1000);
    expect(totals.repeats).toBeGreaterThan(100);
    expect([...totals.codes].sort()).toEqual([104, 301, 303]);
  });

  it.each([
    ["gives a wrong sequence", (bytes: Uint8Array) => bytes.fill(bytes[10]! + 1, 10, 11)],
    ["lays out another payload", (bytes: Uint8Array) => bytes.fill(bytes.at(-1)! ^ 1, bytes.length - 1)],
    ["names another sender", (bytes: Uint8Array) => bytes.fill(bytes[32]! ^ 1, 32, 33)],
  ])("is not timed when a contestant %s", (_what, spoil) => {
    let turns = 0;
    class Wrong extends PlainTurn {
      override turn(nowMs: number): void {
        turns++;
        super.turn(nowMs);
      }
      override result() {
        const result = super.result();
        const last = result.sends.at(-1);
        if (last !== undefined) spoil(last.bytes);
        return result;
      }
    }
    const workload = { ...workloads.kernels.smoke, measureMs: 1 };
    const entering = [...makers.slice(0, -1), (of: TurnSizes) => new Wrong(of)];
    expect(() => measureTurn(workload, entering)).toThrow(/differ in what device \d+ gets/);
    expect(turns).toBe(1);
  });
});
