/**
 * Signals to a group pass among its members, from the event of who comes until the answer to whose removal, whatever changes at
 * the same time and whenever the node is killed; and nothing of them is on disk.
 */
import { expect, test } from "vitest";
import { GroupSignalLoop, type GroupWrong } from "../support/group-signal-loop.js";
import type { MutantName } from "../support/mutant.js";
import { amount, tell } from "../support/scale.js";
import { checkTraceless, SignalRuns } from "../support/signal-run.js";

const KILLS = amount({ short: 4, full: 200 });
/** A broken build shows within these, or the loop is worth nothing. */
const CONTROL_ROUNDS = 30;

const runs = new SignalRuns<GroupWrong, GroupSignalLoop>(
  { brands: 3, accountsPerBrand: 2, devices: () => 1 },
  { signalsBurst: 1_000_000 },
  (parts) => new GroupSignalLoop(parts),
);

test("nobody who was taken out sends or gets one, and every member does, over kills", async () => {
  const { loop, directory } = await runs.run("signals to a group", 2 * KILLS);
  tell(
    `${loop.kills} kills, ${loop.changes} changes, ${loop.heard} came of ${loop.signals} signals, ${loop.wrongs.length} wrong`,
  );
  expect(loop.wrongs).toEqual([]);
  expect(loop.kills).toBe(KILLS);
  expect(loop.changes).toBeGreaterThan(8 * KILLS);
  expect(loop.heard).toBeGreaterThan(loop.changes);
  const report = await checkTraceless(directory);
  expect(report.groups.groups).toBe(1);
});

test.each([
  ["removedStayInAudience", "leaked"],
  ["signalsComeBack", "echoed"],
] as const satisfies readonly (readonly [MutantName, GroupWrong])[])(
  "control: %s is caught as %s",
  (name, wrong) => runs.control("signals to a group", CONTROL_ROUNDS, name, wrong),
);
