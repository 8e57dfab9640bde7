/** `group-fanout`: one message to 10, 100, 1,000 and 10,000 members, beside `publish` to a topic. */
import type { Command } from "commander";
import { groupFanoutMs } from "../measure/durations.js";
import { describeEnvironment } from "../measure/environment.js";
import { runGroupFanout } from "../measure/group-fanout.js";
import { groupFanoutReport } from "../report/group-fanout-report.js";
import { environmentReport, print, writeResults } from "../report/output.js";
import { progress } from "../report/progress.js";
import { interline } from "../systems/interline.js";
import { workloads } from "../workloads/workloads.js";
import { judgeRows } from "./judge.js";
import { type CommonOptions, pick, wholeList, withCommonOptions } from "./options.js";
import { type ThresholdOptions, withThresholds } from "./thresholds.js";

interface GroupFanoutOptions extends CommonOptions, ThresholdOptions {
  readonly members?: readonly number[];
  readonly inFlight?: readonly number[];
}

export function addGroupFanout(program: Command): void {
  withThresholds(withCommonOptions(program.command("group-fanout")))
    .description("one message to every member of a group, beside uWebSockets.js publish")
    .option("--members <list>", "members of the group, as in 10,1000", wholeList)
    .option("--in-flight <list>", "messages under way, as in 1,8", wholeList)
    .addHelpText(
      "after",
      `
A row's workload is named by the members, as in group-fanout-1000/8@interline.

Examples:
  npm run bench -- group-fanout --json fanout.json --html fanout.html
  npm run bench -- group-fanout --members 1000 --threshold 'group-fanout-1000:publish_ratio<=1'`,
    )
    .action(async (options: GroupFanoutOptions) => {
      const { dataDirectory, members, inFlight } = options;
      const environment = describeEnvironment(dataDirectory);
      print(environmentReport(environment));
      const picked = pick(workloads.groupFanout, options);
      const workload = { ...picked, ...(members && { members }), ...(inFlight && { inFlight }) };
      progress.plan(groupFanoutMs(workload, 2), options.progress);
      const rows = await runGroupFanout({
        workload,
        system: interline,
        dataDirectory,
        onProgress: progress.step,
      });
      print(groupFanoutReport(rows));
      await writeResults(options, environment, { rows });
      judgeRows(rows, options);
    });
}
