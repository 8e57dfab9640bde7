/** What the command says to the program that started it; 0 is done, and 1 and 2 mean what they mean for every verb of `interline`. */
import { CliError, exitCodes } from "../src/cli/output.js";

export const EXIT_COULD_NOT_RUN = exitCodes.failed;
/** A threshold does not hold, or `diff --fail-on-regression` found one. */
export const EXIT_FAILED = 3;
/** Lost, repeated or out of order: figures of such a run are worth nothing. */
export const EXIT_WRONG = 4;

/** The command, a threshold or a workload cannot be meant; nothing was measured. */
export function wrongCommand(message: string): CliError {
  return new CliError(message, exitCodes.usage);
}
