/** `kernels`: what the kernels do, against JavaScript, with tinybench. */
import type { Command } from "commander";
import type { KernelResult } from "../kernels/result.js";
import { describeEnvironment } from "../measure/environment.js";
import { kernelsMs, runKernels } from "../measure/kernels.js";
import { kernelsReport } from "../report/kernels-report.js";
import { environmentReport, print, writeResults } from "../report/output.js";
import { progress } from "../report/progress.js";
import { type KernelsWorkload, workloads } from "../workloads/workloads.js";
import { judgeRows } from "./judge.js";
import { type CommonOptions, pick, withCommonOptions } from "./options.js";
import { type ThresholdOptions, withThresholds } from "./thresholds.js";

export function addKernels(program: Command): void {
  withThresholds(withCommonOptions(program.command("kernels")))
    .description("the kernels against JavaScript: dedup, parse, route, gather, CRC; time and memory")
    .addHelpText(
      "after",
      `
Examples:
  npm run bench -- kernels --json kernels.json
  npm run bench -- kernels --threshold 'route/1000000@js-tuned:times_kernel>=1'`,
    )
    .action(async (options: CommonOptions & ThresholdOptions) => {
      const environment = describeEnvironment(options.dataDirectory);
      print(environmentReport(environment));
      const kernels = await kernelsSection(pick(workloads.kernels, options), options.progress);
      await writeResults(options, environment, { rows: [], kernels });
      judgeRows([], options, kernels);
    });
}

export async function kernelsSection(workload: KernelsWorkload, isShown: boolean): Promise<KernelResult[]> {
  progress.plan(kernelsMs(workload), isShown);
  const results = await runKernels(workload, progress.step);
  print(kernelsReport(results));
  return results;
}
