/** `interline bench`: the benchmark (bench/), which has verbs and help of its own and is loaded only when asked for. */
import { Command } from "commander";
import type { CliContext } from "./output.js";

export function benchCommand(context: CliContext): Command {
  return new Command("bench")
    .summary("measure a node on this machine, beside what one would use instead")
    .argument("[arguments...]", "a verb of the benchmark and its options")
    .helpOption(false)
    .allowUnknownOption()
    .passThroughOptions()
    .action(async (parameters: string[]) => {
      const { runBench } = await import("../../bench/program.js");
      await runBench(parameters, "interline bench", {
        writeOut: (text) => void context.out.write(text),
        writeErr: (text) => void context.err.write(text),
      });
    });
}
