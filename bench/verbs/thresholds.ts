/** The option `--threshold` of the verbs whose results have rows. */
import { type Command, InvalidArgumentError } from "commander";
import { metrics } from "../report/metrics.js";
import { table } from "../report/table.js";
import { parseThreshold, type Threshold } from "../report/threshold.js";

export interface ThresholdOptions {
  readonly threshold?: readonly Threshold[];
}

export function withThresholds(command: Command): Command {
  return command
    .option(
      "--threshold <expression>",
      "what must hold, else the exit code is 3; may be given several times",
      collected,
    )
    .addHelpText("after", `\n${help()}`);
}

function collected(text: string, earlier: readonly Threshold[] = []): Threshold[] {
  try {
    return [...earlier, parseThreshold(text)];
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}

function help(): string {
  return [
    "A threshold is [workload[/inFlight][@system]:]metric op number, op one of < <= > >= == !=,",
    "as in cpu_ratio<1.1 or pairs/8:cpu_ratio<=0.4 or receipts@interline:receipt_p99_ms<50.",
    "Without a system it is about interline. Metrics:",
    "",
    table(metrics, [
      { head: "metric", cell: ({ name }) => name, align: "left" },
      { head: "what it is", cell: ({ meaning }) => meaning, align: "left" },
    ]),
  ].join("\n");
}
