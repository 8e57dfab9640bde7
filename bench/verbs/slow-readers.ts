/** `slow-readers`: what healthy devices notice of others that read nothing. */
import type { Command } from "commander";
import { describeEnvironment } from "../measure/environment.js";
import { runSlowReaders, type SlowReadersResult } from "../measure/slow-readers.js";
import { environmentReport, print, progress, writeResults } from "../report/output.js";
import { pairsReport } from "../report/pairs-report.js";
import { figure } from "../report/table.js";
import { interline } from "../systems/interline.js";
import { workloads } from "../workloads/workloads.js";
import { judgeRows } from "./judge.js";
import { type CommonOptions, pick, withCommonOptions } from "./options.js";
import { type ThresholdOptions, withThresholds } from "./thresholds.js";

export function addSlowReaders(program: Command): void {
  withThresholds(withCommonOptions(program.command("slow-readers")))
    .description("pairs among 1,000 devices while 200 others read nothing, or a little now and then")
    .addHelpText("after", "\nExample:\n  npm run bench -- slow-readers --json slow-readers.json")
    .action(async (options: CommonOptions & ThresholdOptions) => {
      const { dataDirectory } = options;
      const environment = describeEnvironment(dataDirectory);
      print(environmentReport(environment));
      const workload = pick(workloads.slowReaders, options);
      const slowReaders = await runSlowReaders({
        workload,
        system: interline,
        dataDirectory,
        onProgress: progress,
      });
      print(slowReadersReport(slowReaders));
      await writeResults(options, environment, { rows: [], slowReaders });
      judgeRows([slowReaders.quiet, slowReaders.besideSlow], options);
    });
}

function slowReadersReport(result: SlowReadersResult): string {
  const { quiet, besideSlow, slowDevices, tricklingDevices, feedPerSec, seed, evicted } = result;
  return [
    pairsReport([quiet, besideSlow]),
    "",
    `${figure(slowDevices)} more devices are sent ${figure(feedPerSec)}/s; in every second round they do not read,`,
    `but for ${figure(tricklingDevices)} of them now and then. The node ended ${figure(evicted)} of their connections.`,
    `healthy devices' delivery p99 beside slow readers, × quiet: ${figure(result.deliveryP99Ratio)}; seed ${seed}`,
  ].join("\n");
}
