/** What the command says to the program that started it; 0 is done, and 1 and 2 mean what they mean for every verb of `interline`. */
import { CliError, exitCodes } from "../src/cli/output.js";

export const EXIT_COULD_NOT_RUN = exitCodes.failed;
/** The command, a threshold or a workload cannot be meant. */
export const EXIT_USAGE = exitCodes.usage;
/** A threshold does not hold, or `diff --fail-on-regression` found one. */
export const EXIT_FAILED = 3;
/** Lost, repeated or out of order: figures of such a run are worth nothing. */
export const EXIT_WRONG = 4;

/** An error that is the command's, or its workload's, and not the measurement's. */
export function wrongCommand(message: string): CliError {
  return new CliError(message, EXIT_USAGE);
}
