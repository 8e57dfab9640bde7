/**
 * Each peer that is installed, with a few devices: everything arrives once and in
 * order, its process is gone afterwards, and it keeps what it says it keeps. Needs dist, which `npm test` builds
 * first; a peer that is not installed (bench/peers/install.sh) is skipped.
 */
import { execFile } from "node:child_process";
import { tmpdir } from "node:os";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import type { RoundResult } from "../../bench/generator/orders.js";
import { Contestant } from "../../bench/measure/contestant.js";
import { runPairs } from "../../bench/measure/pairs.js";
import { isClean } from "../../bench/measure/row.js";
import { withScratchDirectory } from "../../bench/measure/scratch-directory.js";
import { chooseCores } from "../../bench/process/cores.js";
import type { Peer } from "../../bench/systems/peer.js";
import { peers } from "../../bench/systems/peers.js";
import type { RunningSystem, System } from "../../bench/systems/system.js";
import { workloads } from "../../bench/workloads/workloads.js";

const workload = { ...workloads.pairs.smoke, devices: 10, warmUpMs: 50, windowMs: 500 };

/** The system, and the servers that were started of it. */
function watched(system: System): { system: System; started: RunningSystem[] } {
  const started: RunningSystem[] = [];
  return {
    started,
    system: {
      ...system,
      async start(options) {
        const running = await system.start(options);
        started.push(running);
        return running;
      },
    },
  };
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

const ENTRIES = 500;

/** The second half of the devices leaves, is sent to, and comes back. */
async function sendToAway(peer: Peer, directory: string): Promise<RoundResult> {
  const contestant = await Contestant.start(peer, {
    cores: chooseCores(),
    directory,
    devices: 10,
    payloadBytes: 256,
    seed: 1,
    unreceiptedPerDeviceMax: ENTRIES,
  });
  const away = { from: 5, to: 10 };
  const { generator } = contestant;
  try {
    await contestant.open({ from: 0, to: away.to });
    await generator.request("close", away);
    await generator.request("begin");
    const fill = { senders: away.from, ...away, entries: ENTRIES, unreceiptedMax: ENTRIES };
    await generator.request("fill", fill);
    await contestant.open(away);
    return await contestant.finish({ fromMs: 0, toMs: 0, drainMs: 3000 });
  } finally {
    await contestant.stop();
  }
}

describe("peers", () => {
  it.for([...peers.values()])("$name delivers everything once and in order", async (peer, context) => {
    const missing = peer.missing();
    context.skip(missing !== undefined, missing);
    const { system, started } = watched(peer);
    const rows = await runPairs({
      workload,
      systems: [system],
      dataDirectory: tmpdir(),
      onProgress: () => {},
    });
    expect(rows.map(({ inFlight }) => inFlight)).toEqual(workload.inFlight);
    for (const row of rows) {
      expect(row).toMatchObject({ system: peer.name, durability: peer.durability, lost: 0, refused: 0 });
      expect(isClean(row)).toBe(true);
      expect(row.deliveredPerSec).toBeGreaterThan(0);
      if (peer.durability !== "none") expect(row.receiptP50Ms).not.toBeNull();
    }
    expect(started).toHaveLength(1);
    expect(isAlive(started[0]!.pid)).toBe(false);
  });

  const title = "$name keeps messages for devices that are away, unless it says that nothing is kept";
  it.for([...peers.values()])(title, async (peer, context) => {
    const missing = peer.missing();
    context.skip(missing !== undefined, missing);
    const result = await withScratchDirectory(tmpdir(), (directory) => sendToAway(peer, directory));
    const lost = peer.guarantee.includes("nothing kept") ? ENTRIES : 0;
    expect(result).toMatchObject({ sent: ENTRIES, lost, misdelivered: 0, unreceipted: 0 });
  });

  it("that are not installed are named with their installer", async () => {
    const nowhere = { ...process.env, INTERLINE_BENCH_PEERS: "/nowhere" };
    const run = promisify(execFile)(
      process.execPath,
      ["dist/bench/main.js", "--only", "--smoke", "--systems", "aedes"],
      { env: nowhere },
    );
    await expect(run).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/aedes is not installed .*bench\/peers\/install\.sh aedes/),
    });
  });
});
