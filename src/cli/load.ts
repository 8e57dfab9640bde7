/** `interline load`: a verb of the benchmark (bench/verbs/load.ts), which has its options and is loaded only when asked for. */
import { Command } from "commander";
import type { CliContext } from "./output.js";

export function loadCommand(context: CliContext): Command {
  return new Command("load")
    .summary("put a load on a node that runs already, from several processes")
    .argument("[arguments...]", "see interline load --help")
    .helpOption(false)
    .allowUnknownOption()
    .passThroughOptions()
    .action(async (parameters: string[]) => {
      const { runBench } = await import("../../bench/program.js");
      await runBench(["load", ...parameters], "interline", {
        writeOut: (text) => void context.out.write(text),
        writeErr: (text) => void context.err.write(text),
      });
    });
}
