/**
 * The command line as a whole: one verb from each file, what they have in
 * common, and how every failure becomes an exit code. What only one verb needs and is large (a node, the store, the
 * benchmark) is loaded when it runs: a person waits for every one of them to begin.
 */
import { Command, CommanderError } from "commander";
import { accountCommand } from "./account.js";
import { benchCommand } from "./bench.js";
import { checkCommand } from "./check.js";
import { contactCommand } from "./contact.js";
import { deliveryTokenCommand } from "./delivery-token.js";
import { demoCommand } from "./demo.js";
import { deviceCommand } from "./device.js";
import { groupCommand } from "./group.js";
import { inspectCommand } from "./inspect.js";
import { keysCommand } from "./keys.js";
import { listenCommand } from "./listen.js";
import { loadCommand } from "./load.js";
import { asksForJson, type CliContext, exitCodes, hasColours, tellFailure } from "./output.js";
import { pushCommand } from "./push.js";
import { resolveCommand } from "./resolve.js";
import { rosterCommand } from "./roster.js";
import { sendCommand } from "./send.js";
import { serveCommand } from "./serve.js";
import { signalCommand } from "./signal.js";
import { tokenCommand } from "./token.js";
import { transferCommand } from "./transfer.js";

/** Longer lines are hard to read, and this much a terminal has. */
const COLUMNS_MAX = 100;

/** Runs one command and resolves with the exit code. Rejects only for a bug of ours. */
export async function runProgram(
  parameters: readonly string[],
  context: CliContext,
  version: string,
): Promise<number> {
  const program = new Command("interline")
    .enablePositionalOptions()
    .description(
      "A message-routing engine: several chat apps share one back end, end-to-end encrypted, durable, in one process.",
    )
    .version(version, "-V, --version")
    .helpCommand("help [command]", "show what a command does")
    .addHelpText(
      "after",
      "\nExit codes: 0 done, 1 failed, 2 wrong command or configuration.\nStart with: interline serve",
    );
  const verbs = [
    serveCommand,
    tokenCommand,
    sendCommand,
    listenCommand,
    groupCommand,
    signalCommand,
    contactCommand,
    deliveryTokenCommand,
    deviceCommand,
    rosterCommand,
    resolveCommand,
    keysCommand,
    pushCommand,
    accountCommand,
    transferCommand,
    inspectCommand,
    checkCommand,
    demoCommand,
    benchCommand,
    loadCommand,
  ];
  for (const verb of verbs) program.addCommand(verb(context));
  shape(program, context);
  try {
    await program.parseAsync(parameters, { from: "user" });
    // The benchmark's verbs set theirs.
    return Number(process.exitCode ?? exitCodes.ok);
  } catch (error) {
    // Help and the version are no failures.
    if (error instanceof CommanderError && error.exitCode === 0) return exitCodes.ok;
    const code = tellFailure(error, context, asksForJson(parameters));
    if (code === undefined) throw error;
    return code;
  }
}

/** Errors come to us instead of ending the process, and everything goes to the context's streams; of all below it, too. */
function shape(command: Command, context: CliContext, path = ""): void {
  for (const one of command.commands) shape(one, context, `${path}${one.name()} `);
  command
    .exitOverride()
    .showHelpAfterError(`(see: interline ${path}--help)`)
    .configureOutput({
      writeOut: (text) => void context.out.write(text),
      writeErr: (text) => void context.err.write(text),
      getOutHelpWidth: () => Math.min(context.out.columns ?? COLUMNS_MAX, COLUMNS_MAX),
      getErrHelpWidth: () => Math.min(context.err.columns ?? COLUMNS_MAX, COLUMNS_MAX),
      getOutHasColors: () => hasColours(context.out, context.environment),
      getErrHasColors: () => hasColours(context.err, context.environment),
    });
}
