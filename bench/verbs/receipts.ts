/** `receipts`: Interline with 64 messages in flight per device: do receipts keep flowing? */
import type { Command } from "commander";
import { describeEnvironment } from "../measure/environment.js";
import { environmentReport, print, writeResults } from "../report/output.js";
import { type PairsOptions, withPairsOptions } from "./options.js";
import { receiptRows, reportReceipts } from "./pairs.js";

export function addReceipts(program: Command): void {
  withPairsOptions(program.command("receipts"))
    .description("receipts with 64 messages in flight per device: p99, and the longest time without any")
    .addHelpText("after", "\nExample:\n  npm run bench -- receipts --seconds 20 --rounds 1")
    .action(async (options: PairsOptions) => {
      const environment = describeEnvironment(options.dataDirectory);
      print(environmentReport(environment));
      const rows = await receiptRows(options);
      reportReceipts(rows);
      if (options.json !== undefined) await writeResults(options.json, environment, { rows });
    });
}
