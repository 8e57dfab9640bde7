/**
 * A process that writes is killed at random moments. Whatever it had said to be
 * durable is there after the next open, once, in order and unchanged; what was
 * acked durably is not.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { checkDirectory } from "../../src/store/store.js";
import { compiledProgram } from "../support/compiled.js";

const KILLS = Number(process.env.STORE_KILLS ?? 8);
const SEED = Number(process.env.STORE_SEED ?? Math.floor(Math.random() * 2 ** 31));
const program = compiledProgram("store-child");
let directory = "";

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "interline-kill-"));
});

afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

function run(verb: string, seed: number): ChildProcess {
  return spawn(process.execPath, [program, verb, directory, String(seed)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
}

/** Starts the writer and kills it some time after it is ready; its lines. */
async function linesUntilKilled(seed: number, killAfterMs: number): Promise<string[]> {
  const child = run("write", seed);
  let output = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    const wasReady = output.includes("\nready\n");
    output += text;
    if (!wasReady && output.includes("\nready\n")) setTimeout(() => child.kill("SIGKILL"), killAfterMs);
  });
  const [[, signal]] = await Promise.all([once(child, "exit"), once(child, "close")]);
  expect(signal, output).toBe("SIGKILL");
  // What stands behind the last line's end is a line that the kill has cut.
  return output.split("\n").slice(0, -1);
}

/** What the lines of all runs so far say must be found, and may. */
class Expectation {
  readonly #durable = new Map<string, Set<number>>();
  readonly #possible = new Map<string, Set<number>>();
  readonly #floors = new Map<string, number>();
  /** Acks that may have become durable. */
  readonly #possibleFloors = new Map<string, number>();
  #epoch = 0;
  readonly #history: (readonly string[])[] = [];
  durableCount = 0;

  /** What the last runs said of a device, for a failure's message. */
  #story(device: string): string {
    const isOfDevice = (line: string): boolean => {
      const [word, name] = line.split(" ");
      return name === device || ["opened", "ready", "done", "spilled"].includes(word as string);
    };
    return this.#history
      .slice(-3)
      .map((lines) => lines.filter(isOfDevice).join("\n"))
      .join("\n--- killed\n");
  }

  take(lines: readonly string[]): void {
    this.#history.push(lines);
    const found = new Map<string, number[]>();
    const tried: [string, number][] = [];
    let isFindingDone = false;
    for (const line of lines) {
      const [word, ...rest] = line.split(" ") as [string, ...string[]];
      if (word === "bad") throw new Error(`corruption reported: ${line}`);
      if (word === "opened") this.#raise(Number(rest[0]));
      if (word === "found") found.set(rest[0] as string, rest.slice(1).map(sequenceOf));
      if (word === "ready") {
        this.#compare(found);
        isFindingDone = true;
      }
      if (word === "try")
        tried.push(...rest.slice(1).map((text): [string, number] => [rest[0] as string, Number(text)]));
      if (word === "ack") raise(this.#possibleFloors, rest[0] as string, Number(rest[1]));
      if (word === "acked") raise(this.#floors, rest[0] as string, Number(rest[1]));
      if (word === "done")
        for (const [device, sequence] of tried.splice(0)) this.#add(this.#durable, device, sequence);
    }
    for (const [device, sequence] of tried) this.#add(this.#possible, device, sequence);
    expect(isFindingDone).toBe(true);
  }

  #raise(epoch: number): void {
    expect(epoch).toBeGreaterThan(this.#epoch);
    this.#epoch = epoch;
  }

  #add(sets: Map<string, Set<number>>, device: string, sequence: number): void {
    if (sequence < this.#epoch * 2 ** 32) throw new Error(`sequence ${sequence} is of an earlier epoch`);
    sets.set(device, (sets.get(device) ?? new Set()).add(sequence));
    if (sets === this.#durable) this.durableCount++;
  }

  #compare(found: Map<string, number[]>): void {
    for (const device of new Set([...found.keys(), ...this.#durable.keys()])) {
      const sequences = found.get(device) ?? [];
      const floor = this.#floors.get(device) ?? 0;
      expect(sequences).toEqual([...new Set(sequences)].sort((a, b) => a - b));
      const required = [...(this.#durable.get(device) ?? [])].filter(
        (sequence) => sequence > Math.max(floor, this.#possibleFloors.get(device) ?? 0),
      );
      const there = new Set(sequences);
      expect(
        required.filter((sequence) => !there.has(sequence)),
        this.#story(device),
      ).toEqual([]);
      const extra = sequences.filter((sequence) => !this.#durable.get(device)?.has(sequence));
      expect(extra.filter((sequence) => !this.#possible.get(device)?.has(sequence))).toEqual([]);
      this.#durable.set(device, new Set([...(this.#durable.get(device) ?? []), ...extra]));
      expect(
        sequences.filter((sequence) => sequence <= floor),
        this.#story(device),
      ).toEqual([]);
    }
    for (const device of this.#possible.keys()) this.#possible.delete(device);
  }
}

function raise(floors: Map<string, number>, device: string, floor: number): void {
  floors.set(device, Math.max(floor, floors.get(device) ?? 0));
}

function sequenceOf(item: string): number {
  if (!item.startsWith("s")) throw new Error(`a gap where no quota was reached: ${item}`);
  return Number(item.slice(1));
}

test(`nothing durable is lost or repeated over ${KILLS} kills (seed ${SEED})`, {
  timeout: 300_000,
}, async () => {
  const expectation = new Expectation();
  for (let kill = 0; kill < KILLS; kill++) {
    const killAfterMs = (((SEED + kill * 7919) >>> 0) % 97) * (kill % 4 === 0 ? 4 : 1);
    expectation.take(await linesUntilKilled((SEED + kill) >>> 0, killAfterMs));
    const report = await checkDirectory(directory);
    expect(report.findings).toEqual([]);
  }
  expect(expectation.durableCount).toBeGreaterThan(KILLS * 10);
});
