/**
 * What the group workloads say of a system that does wrong: the node behind a proxy that loses, repeats or swaps single
 * deliveries. Servers and generators are those of dist, which `npm test` builds first.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { runGroupFanout } from "../../bench/measure/group-fanout.js";
import { runMixed } from "../../bench/measure/mixed.js";
import { interline } from "../../bench/systems/interline.js";
import type { System } from "../../bench/systems/system.js";
import { workloads } from "../../bench/workloads/workloads.js";
import { type Meddle, MeddlingProxy } from "./meddling-proxy.js";

const dataDirectory = mkdtempSync(join(tmpdir(), "interline-group-judgement-"));
afterAll(() => rmSync(dataDirectory, { recursive: true, force: true }));

/** Interline, whose deliveries pass through this. */
function meddled(meddle: Meddle): System {
  return {
    ...interline,
    async start(options) {
      const running = await interline.start(options);
      const proxy = await MeddlingProxy.start(running.port, meddle);
      return {
        ...running,
        port: Number(new URL(proxy.url).port),
        async stop() {
          proxy.stop();
          await running.stop();
        },
      };
    },
  };
}

const loses: Meddle = (message, count) => (count === 30 ? [] : [message]);
const repeats: Meddle = (message, count) => (count === 30 ? [message, message] : [message]);
/** The same of the tenth delivery of a group send, whatever else is delivered. */
function tenthOfGroups(meddle: (message: Buffer) => readonly Buffer[]): Meddle {
  let count = 0;
  return (message) => {
    const header = (message[1]! & 0x7f) < 126 ? 2 : (message[1]! & 0x7f) === 126 ? 4 : 10;
    if (message.readUInt16BE(header) !== GROUP_DELIVER_HEAD) return [message];
    count += 1;
    return count === 10 ? meddle(message) : [message];
  };
}

const GROUP_DELIVER_HEAD = 0x992d;
const clean = { lost: 0, duplicated: 0, reordered: 0, misdelivered: 0, unreceipted: 0 };
const run = { dataDirectory, onProgress: () => {} };

describe("group-fanout", () => {
  const workload = {
    ...workloads.groupFanout.smoke,
    members: [5],
    inFlight: [1],
    windowMs: 100,
    drainMs: 500,
  };

  it("finds one delivery of a group send that was lost", async () => {
    const [row] = await runGroupFanout({ ...run, workload, system: meddled(loses) });
    expect(row).toMatchObject({ ...clean, lost: 1 });
    expect(row?.deliveredPerSec).toBeGreaterThan(0);
  });

  it("finds one that came twice", async () => {
    const [row] = await runGroupFanout({ ...run, workload, system: meddled(repeats) });
    expect(row).toMatchObject({ ...clean, duplicated: 1 });
  });
});

describe("mixed", () => {
  const smoke = { ...workloads.mixed.smoke, warmUpMs: 100, windowMs: 400, drainMs: 500 };

  it("finds one delivery of a group send that was lost", async () => {
    // Who comes back would get it after all.
    const workload = { ...smoke, churningDevices: 0 };
    const { row } = await runMixed({ ...run, workload, system: meddled(tenthOfGroups(() => [])) });
    expect(row).toMatchObject({ ...clean, lost: 1 });
  });

  it("finds one that came twice", async () => {
    const system = meddled(tenthOfGroups((message) => [message, message]));
    const { row } = await runMixed({ ...run, workload: smoke, system });
    expect(row).toMatchObject({ ...clean, duplicated: 1 });
  });
});
