/** `group-fanout`: one message to 10, 100, 1,000 and 10,000 members, beside `publish` to a topic. */
import type { Command } from "commander";
import { defaultDataDirectory, describeEnvironment } from "../measure/environment.js";
import { type FanoutRow, runGroupFanout } from "../measure/group-fanout.js";
import { environmentReport, print } from "../report/output.js";
import { progress } from "../report/progress.js";
import { figure, table } from "../report/table.js";
import { workloads } from "../workloads/workloads.js";
import { EXIT_WRONG } from "./exit-codes.js";
import { wholeList } from "./options.js";

interface FanoutOptions {
  readonly smoke: boolean;
  readonly dataDirectory: string;
  readonly members?: readonly number[];
  readonly inFlight?: readonly number[];
}

export function addGroupFanout(program: Command): void {
  program
    .command("group-fanout")
    .description("one message to every member of a group, beside uWebSockets.js publish")
    .option("--members <list>", "members of the group, as in 10,1000", wholeList)
    .option("--in-flight <list>", "messages under way, as in 1,8", wholeList)
    .option("--smoke", "a few seconds in all, to see that everything works; the figures mean nothing", false)
    .option("--data-directory <directory>", "where the node keeps its data", defaultDataDirectory())
    .addHelpText("after", "\nExample:\n  npm run bench -- group-fanout --members 1000")
    .action(async ({ smoke, dataDirectory, members, inFlight }: FanoutOptions) => {
      print(environmentReport(describeEnvironment(dataDirectory)));
      const sized = smoke ? workloads.groupFanout.smoke : workloads.groupFanout.full;
      const workload = { ...sized, ...(members && { members }), ...(inFlight && { inFlight }) };
      const rows = await runGroupFanout({ workload, dataDirectory, onProgress: progress.step });
      print(fanoutReport(rows));
      const isWrong = rows.some(({ lost, wrong, unreceipted }) => lost + wrong + unreceipted > 0);
      if (isWrong) process.exitCode = EXIT_WRONG;
    });
}

function fanoutReport(rows: readonly FanoutRow[]): string {
  return table(rows, [
    { head: "members", cell: (row) => `${row.members}` },
    { head: "in flight", cell: (row) => `${row.inFlight}` },
    { head: "system", cell: (row) => row.system, align: "left" },
    { head: "durability", cell: (row) => row.durability, align: "left" },
    { head: "deliveries/s", cell: (row) => figure(row.deliveredPerSec) },
    { head: "CPU µs each", cell: (row) => figure(row.cpuUsPerDelivery) },
    {
      head: "× publish",
      cell: ({ ratio }) => `${figure(ratio.median)} (${figure(ratio.min)}–${figure(ratio.max)})`,
    },
    { head: "p99 ms", cell: (row) => figure(row.deliveryP99Ms) },
    { head: "lost", cell: (row) => `${row.lost}` },
    { head: "wrong", cell: (row) => `${row.wrong}` },
  ]);
}
