/**
 * `interline serve`: a node in the foreground.
 *
 *   first SIGINT or SIGTERM    drain: accepted work is committed and receipted, devices are told to
 *                              come back later, the store is closed; exit code 0
 *   second                     exit at once; what was receipted is on disk anyway
 *   storage failed             devices are told, one line in the log, exit code 1 within seconds
 */
import { Command } from "commander";
import { type Config, logLevels } from "../config.js";
import type { InterlineNode } from "../index.js";
import type { Log } from "../ops/log.js";
import { oneCoreAdvice } from "../ops/one-core.js";
import { configFor, configOption, type DirectoryFlags, dataOption } from "./brand-names.js";
import { urlOf } from "./device-client.js";
import { type CliContext, CliError, exitCodes, hasColours, Output } from "./output.js";

interface ServeFlags extends DirectoryFlags {
  readonly json?: boolean;
}

/** For what devices are told to leave the process before it ends. */
const FAREWELL_MS = 500;

export function serveCommand(context: CliContext): Command {
  return new Command("serve")
    .summary("run a node")
    .description(
      "Runs a node until it is told to stop. The first SIGINT or SIGTERM drains it, a second ends it at once.",
    )
    .option("-p, --port <number>", "port (INTERLINE_PORT, 7400); 0 takes a free one")
    .option("-H, --host <address>", "address to listen on (INTERLINE_HOST, 127.0.0.1)")
    .addOption(dataOption())
    .addOption(configOption())
    .option("--tls-cert <file>", "certificate chain, PEM (INTERLINE_TLS_CERT_FILE)")
    .option("--tls-key <file>", "private key, PEM (INTERLINE_TLS_KEY_FILE)")
    .option("--log-level <level>", `${logLevels.join(", ")} (INTERLINE_LOG_LEVEL, info)`)
    .option("--json", "print one JSON object when ready, and log JSON lines")
    .addHelpText(
      "after",
      "\nExamples:\n  interline serve\n  interline serve --port 0 --data-directory /var/lib/interline --json\n  interline serve --config /etc/interline.json",
    )
    .action((flags: ServeFlags) => run(flags, context));
}

async function run(flags: ServeFlags, context: CliContext): Promise<void> {
  const out = new Output(context, flags);
  const config = configFor(flags, context);
  const isTerminal = context.err.isTTY === true && !out.isJson;
  const { createLog } = await import("../ops/log.js");
  const log = createLog({
    level: config.logLevel,
    isReadable: isTerminal,
    hasColours: hasColours(context.err, context.environment),
    sink: context.err,
  });
  warn(config, log);
  const { file: _, ...options } = config;
  const { createNode } = await import("../index.js");
  const node = await createNode({ ...options, isLogReadable: isTerminal });
  const url = urlOf({ ...config, port: node.port ?? config.port });
  out.json({ ok: true, url, port: node.port, dataDirectory: config.dataDirectory, pid: process.pid });
  for (const line of howToTry(config, url, out)) out.line(line);
  await untilStopped(node, context, log);
}

function warn(config: Config, log: Log): void {
  if (config.brands === undefined) {
    log.warn(
      "DEVELOPMENT BRANDS: their keys lie in the data directory, and whoever reads them signs in as anybody",
    );
  }
  const isLocal = (host: string): boolean => /^(127\.|::1$|localhost$)/.test(host);
  if (config.admin !== undefined && !isLocal(config.admin.host)) {
    log.warn("the admin API listens beyond this machine, without TLS: keep it inside your network", {
      host: config.admin.host,
    });
  }
  if (!isLocal(config.host) && config.tls === undefined) {
    log.warn("listening beyond this machine without TLS: tokens can be read on the way", {
      host: config.host,
    });
  }
  const advice = oneCoreAdvice();
  if (advice !== undefined) log.info(advice);
}

/** Commands to copy, as this program was started and for this node. */
function howToTry(config: Config, url: string, out: Output): string[] {
  const { invocation, workingDirectory } = out.context;
  const at = url === "ws://127.0.0.1:7400" ? "" : ` --url ${url}`;
  const isUsual = config.dataDirectory === `${workingDirectory}/interline-data`;
  const data = isUsual ? "" : ` --data-directory ${quoted(config.dataDirectory)}`;
  const command = (verb: string, rest: string) => `  ${out.bold(`${invocation} ${verb}`)} ${rest}`;
  const head = [`${out.green("Interline serves")} at ${url}, data in ${config.dataDirectory}`];
  if (config.brands !== undefined) return [...head, "Stop it with Ctrl+C."];
  return [
    ...head,
    "",
    "Try it. In a second terminal:",
    command("listen", `--brand instagram --account bob${at}${data}`),
    "In a third:",
    command("send", `--brand whatsapp --account alice --to instagram/bob --text "hello"${at}${data}`),
    "A token for a client of your own:",
    command("token", `--brand whatsapp --account alice${data}`),
    "",
    `Health: ${url.replace(/^ws/, "http")}/health/ready    Stop it with Ctrl+C.`,
    "",
  ];
}

async function untilStopped(node: InterlineNode, context: CliContext, log: Log): Promise<void> {
  const interrupted = new Promise<undefined>((resolve) => {
    if (context.interrupted.aborted) resolve(undefined);
    context.interrupted.addEventListener("abort", () => resolve(undefined), { once: true });
  });
  const failure = await Promise.race([node.failed, interrupted]);
  if (failure !== undefined) return failedWith(failure);
  log.info("draining");
  const lateFailure = await Promise.race([node.failed, node.stop()]);
  if (lateFailure instanceof Error) return failedWith(lateFailure);
}

/** The node has told its devices already. */
async function failedWith(failure: Error): Promise<never> {
  await new Promise((resolve) => setTimeout(resolve, FAREWELL_MS));
  throw new CliError(`${failure.message}; nothing after that was receipted`, exitCodes.failed);
}

/** For a shell. */
function quoted(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
