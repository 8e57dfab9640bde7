/** `kernels`: the WebAssembly kernels against JavaScript, in this process, with tinybench. */
import type { Command } from "commander";
import type { DedupResult } from "../kernels/dedup.js";
import { describeEnvironment } from "../measure/environment.js";
import { dedupReport } from "../report/kernels-report.js";
import { environmentReport, print, progress, writeResults } from "../report/output.js";
import { workloads } from "../workloads/workloads.js";
import { type CommonOptions, pick, withCommonOptions } from "./options.js";

export function addKernels(program: Command): void {
  withCommonOptions(program.command("kernels"))
    .description("the kernels against plain JavaScript: dedup with a window of a million ids")
    .addHelpText("after", "\nExample:\n  taskset -c 1 npm run bench -- kernels")
    .action(async (options: CommonOptions) => {
      const environment = describeEnvironment(options.dataDirectory);
      print(environmentReport(environment));
      const kernels = await dedupSection(options);
      await writeResults(options, environment, { rows: [], kernels });
    });
}

export async function dedupSection(options: CommonOptions): Promise<DedupResult[]> {
  // Here and not above: tinybench is needed for this verb only.
  const { dedupContestants, measureDedup } = await import("../kernels/dedup.js");
  const workload = pick(workloads.dedup, options);
  const results = await measureDedup(workload, dedupContestants(workload), progress);
  print(dedupReport(results));
  return results;
}
