/**
 * Parse, route and gather: the stages of a turn, which the kernel does in one call, told apart by what the sends are.
 *
 *   parse    a turn of sends that are all repeats: each is read whole and found in the window, and goes no further
 *   route    a turn of sends to accounts without devices, minus the same turn as repeats: accounts are found and held
 *            against their rosters, and nothing is laid out
 *   gather   a turn of sends to sixteen devices each, minus the same turn as repeats: one account is found for
 *            sixteen entries, which get their sequences and are laid out
 *   turn     a turn of the canonical workload's sends, whole
 *
 * The kernel is the one that the node runs; JavaScript does the same turns. Before anything is timed, all
 * contestants take all batches, and every outcome and every byte that they would send must be the same.
 */
import { assert } from "../../src/base/assert.js";
import type { KernelsWorkload } from "../workloads/workloads.js";
import { weighed } from "./memory.js";
import { alternate, type KernelName, type KernelResult, resultsOf, type Timed } from "./result.js";
import type { Message, TurnContestant, TurnResult, TurnSizes } from "./turn-contestant.js";
import { KernelTurn } from "./turn-kernel.js";
import { PlainTurn } from "./turn-plain.js";
import { gatherScene, pairsScene, renew, routeScene, type Scene } from "./turn-scene.js";
import { TunedTurn } from "./turn-tuned.js";

const NOW_MS = 1_700_000_000_000;

export type MakeTurn = (sizes: TurnSizes) => TurnContestant;

const makeKernel: MakeTurn = (sizes) => new KernelTurn(sizes);
const makeTuned: MakeTurn = (sizes) => new TunedTurn(sizes, false);
const makeAhead: MakeTurn = (sizes) => new TunedTurn(sizes, true);
const makePlain: MakeTurn = (sizes) => new PlainTurn(sizes);
const makers: readonly MakeTurn[] = [makeKernel, makeTuned, makePlain];

/** Parse and the whole turn, of the canonical workload's sends. */
export function measureTurn(workload: KernelsWorkload, entering = makers): KernelResult[] {
  const scene = pairsScene(workload.payloadBytes);
  const contestants = agreeing(entering, scene).map(({ contestant }) => contestant);
  const { fresh, repeats } = timesOf(contestants, scene, workload);
  return [
    ...resultsOf(measured("parse", "send", 0, scene), contestants, repeats, null),
    ...resultsOf(measured("turn", "send", 0, scene), contestants, fresh, null),
  ];
}

export function measureGather(workload: KernelsWorkload): KernelResult[] {
  const scene = gatherScene(workload.payloadBytes);
  const contestants = agreeing(makers, scene).map(({ contestant }) => contestant);
  const ns = differences(timesOf(contestants, scene, workload));
  return resultsOf(measured("gather", "entry", 0, scene), contestants, ns, null);
}

/** The Map of strings is left out where there are more than `objectsMax` accounts. */
export function measureRoute(workload: KernelsWorkload, accounts: number): KernelResult[] {
  const scene = routeScene(accounts);
  const tables = [makeKernel, makeTuned, makeAhead];
  const entering = accounts <= workload.objectsMax ? [...tables, makePlain] : tables;
  const filled = agreeing(entering, scene);
  const contestants = filled.map(({ contestant }) => contestant);
  const ns = differences(timesOf(contestants, scene, workload));
  const bytesPerEntry = filled.map(({ bytes }) => bytes / accounts);
  return resultsOf(measured("route", "account", accounts, scene), contestants, ns, bytesPerEntry);
}

function measured(kernel: KernelName, unit: string, windowKeys: number, { units }: Scene) {
  return { kernel, unit, windowKeys, batchKeys: units };
}

interface Filled {
  readonly contestant: TurnContestant;
  /** What it takes beyond one that holds next to nothing. */
  readonly bytes: number;
}

/** Contestants with the scene's accounts in them, which have agreed on every batch; throws when they do not. */
function agreeing(entering: readonly MakeTurn[], scene: Scene): Filled[] {
  const filled = entering.map((make) => {
    const small = weighed(() => make({ ...scene.sizes, accounts: 1, devices: 1 }));
    const whole = weighed(() => {
      const contestant = make(scene.sizes);
      for (const account of scene.accounts()) contestant.load(account);
      return contestant;
    });
    return { contestant: whole.made, bytes: whole.bytes - small.bytes };
  });
  const contestants = filled.map(({ contestant }) => contestant);
  for (const batch of scene.batches) {
    renew(batch);
    const { accepted } = checkAgreement(contestants, batch, NOW_MS);
    assert(accepted === batch.length, "every send of the scene is accepted");
  }
  const last = scene.batches.at(-1) ?? [];
  const { repeats } = checkAgreement(contestants, last, NOW_MS + 1);
  assert(repeats === last.length, "and is known when it is repeated");
  return filled;
}

/** Throws unless all contestants do the same with the batch, which is what they have done with it. */
export function checkAgreement(
  contestants: readonly TurnContestant[],
  batch: readonly Message[],
  nowMs: number,
): TurnResult {
  const [first, ...others] = contestants.map((contestant) => {
    contestant.take(batch);
    contestant.turn(nowMs);
    return { name: contestant.name, result: contestant.result() };
  });
  assert(first !== undefined, "there is a contestant");
  for (const { name, result } of others) {
    const where = differenceOf(first.result, result);
    assert(where === undefined, `${name} and ${first.name} differ in ${where}`);
  }
  return first.result;
}

function differenceOf(a: TurnResult, b: TurnResult): string | undefined {
  if (a.accepted !== b.accepted || a.repeats !== b.repeats) return "how many sends they accept";
  const refusals = ({ refusals }: TurnResult) => refusals.map(({ device, code }) => `${device}: ${code}`);
  if (refusals(a).join() !== refusals(b).join()) return "what they refuse";
  if (a.sends.length !== b.sends.length) return "how many devices get something";
  const at = a.sends.findIndex(({ device, bytes }, i) => {
    const other = b.sends[i]!;
    return device !== other.device || Buffer.compare(bytes, other.bytes) !== 0;
  });
  return at < 0 ? undefined : `what device ${a.sends[at]?.device} gets`;
}

interface Times {
  /** Per unit, one figure a round, in the order of the contestants. */
  readonly fresh: readonly (readonly number[])[];
  readonly repeats: readonly (readonly number[])[];
}

function timesOf(contestants: readonly TurnContestant[], scene: Scene, workload: KernelsWorkload): Times {
  const { batches, units } = scene;
  const timed = contestants.flatMap((contestant): Timed[] => {
    let next = 0;
    const take = () => {
      const batch = batches[next]!;
      next = (next + 1) % batches.length;
      renew(batch);
      contestant.take(batch);
    };
    const run = () => contestant.turn(NOW_MS);
    const takeKnown = () => {
      take();
      run();
    };
    return [
      { run, units, before: take },
      { run, units, before: takeKnown },
    ];
  });
  const ns = alternate(timed, workload);
  return {
    fresh: ns.filter((_, at) => at % 2 === 0),
    repeats: ns.filter((_, at) => at % 2 === 1),
  };
}

/** What a turn takes beyond the same turn of repeats, round by round. */
function differences({ fresh, repeats }: Times): number[][] {
  return fresh.map((ns, at) => ns.map((value, round) => value - repeats[at]![round]!));
}
