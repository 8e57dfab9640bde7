/** `receipts`: Interline with 64 messages in flight per device: do receipts keep flowing? */
import type { Command } from "commander";
import { describeEnvironment } from "../measure/environment.js";
import { environmentReport, print, writeResults } from "../report/output.js";
import { pairsReport, receiptsReport } from "../report/pairs-report.js";
import { judgeRows } from "./judge.js";
import { type PairsOptions, withPairsOptions } from "./options.js";
import { receiptRows } from "./pairs.js";
import { type ThresholdOptions, withThresholds } from "./thresholds.js";

export function addReceipts(program: Command): void {
  withThresholds(withPairsOptions(program.command("receipts")))
    .description("receipts with 64 messages in flight per device: p99, and the longest time without any")
    .addHelpText("after", "\nExample:\n  npm run bench -- receipts --seconds 20 --rounds 1")
    .action(async (options: PairsOptions & ThresholdOptions) => {
      const environment = describeEnvironment(options.dataDirectory);
      print(environmentReport(environment));
      const rows = await receiptRows(options);
      print(`${pairsReport(rows)}\n\n${receiptsReport(rows)}`);
      await writeResults(options, environment, { rows });
      judgeRows(rows, options);
    });
}
