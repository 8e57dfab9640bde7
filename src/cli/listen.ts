/** `interline listen`: prints what a device receives, one envelope a line, and acks it once it is printed. */
import { Command } from "commander";
import type { DeviceAddress } from "../base/address.js";
import type { Client, SealedEnvelope } from "../client/client.js";
import { GROUP_NOTICE } from "../wire/groups.js";
import { connectDevice, type DeviceFlags, withDeviceOptions } from "./device-client.js";
import { ListenLines } from "./listen-lines.js";
import { type CliContext, CliError, Output, timeoutMs, wholeNumber } from "./output.js";

interface ListenFlags extends DeviceFlags {
  readonly signals?: boolean;
  readonly presence?: boolean;
  readonly count?: number;
  readonly timeout?: number;
  readonly json?: boolean;
}

export function listenCommand(context: CliContext): Command {
  const command = new Command("listen")
    .summary("print what a device receives")
    .description(
      "Signs a device in and prints what was queued for it and what arrives, one envelope a line. A printed envelope is acked: it does not come again.\n" +
        "Changes of the groups that its account is in, removed entries and other notices stand where they belong among the envelopes.\n" +
        "With --json a payload is base64, and text beside it when it is text.",
    )
    .option("--signals", "print signals, too: of groups, and of accounts that have agreed to it")
    .option("--presence", "print who comes and goes, of the accounts that have agreed to it")
    .option(
      "--count <number>",
      "end after so many envelopes (and signals and presences, if asked for)",
      wholeNumber(1, 1_000_000_000),
    )
    .option("--timeout <time>", "end after this time; a failure if --count was not reached", timeoutMs);
  return withDeviceOptions(command)
    .option("--json", "print one JSON object for each of them")
    .addHelpText(
      "after",
      "\nExamples:\n  interline listen --brand instagram --account bob\n  interline listen -b instagram -a bob --device 2 --count 1 --timeout 10s --json\n  interline listen -b instagram -a bob --signals --presence",
    )
    .action((flags: ListenFlags) => run(flags, context));
}

async function run(flags: ListenFlags, context: CliContext): Promise<void> {
  const out = new Output(context, flags);
  let arrivals: Arrivals | undefined;
  const { client, names, welcome } = await connectDevice(flags, context, {
    // What comes with the welcome must find its listener.
    prepare: (made, known) => {
      arrivals = new Arrivals(made, new ListenLines(out, known), flags);
    },
  });
  try {
    out.note(`listening as ${names.format(welcome.device)}; Ctrl+C ends`);
    client.on("disconnected", ({ error }) => out.note(`connection lost (${error.message}), trying again`));
    const ended = untilEnd(client, arrivals as Arrivals, flags, context.interrupted);
    if (flags.presence) await Promise.race([client.contacts.watchPresence(), ended]);
    await ended;
  } finally {
    await client.close();
  }
}

/** What comes, printed and counted until there is enough of it. */
class Arrivals {
  seen = 0;
  readonly #countMax: number | undefined;
  #onEnough: () => void = () => {};
  readonly enough: Promise<void>;

  constructor(client: Client, lines: ListenLines, { count, signals = false }: ListenFlags) {
    this.#countMax = count;
    this.enough = new Promise((resolve) => {
      this.#onEnough = resolve;
    });
    client.on("gap", (gap) => lines.gap(gap));
    client.on("notice", (notice) => {
      if (notice.body.notice !== GROUP_NOTICE) lines.notice(notice);
    });
    client.on("group", (event) => lines.groupEvent(event));
    client.on("signal", (signal) => {
      if (signals && this.#counts()) lines.signal(signal);
    });
    client.on("presence", (presence) => {
      if (this.#counts()) lines.presence(presence);
    });
    const take = (envelope: SealedEnvelope, sender?: DeviceAddress): Promise<void> | undefined => {
      if (!this.#counts()) return new Promise(() => undefined);
      lines.envelope(envelope, sender);
      return undefined;
    };
    client.on("envelope", (envelope) => take(envelope, envelope.sender));
    client.on("sealed", (envelope) => take(envelope));
  }

  /** False when there were enough already. */
  #counts(): boolean {
    if (this.seen === this.#countMax) return false;
    this.seen++;
    // The ack leaves when the listener is done; close() sends it before it goes.
    if (this.seen === this.#countMax) setImmediate(this.#onEnough);
    return true;
  }
}

/** Resolves when enough has come, we are interrupted, or time is up with no number asked for. */
async function untilEnd(
  client: Client,
  arrivals: Arrivals,
  { count, timeout, signals, presence }: ListenFlags,
  interrupted: AbortSignal,
): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const closed = client.once("closed").then(({ error }) => {
    if (error !== undefined) throw error;
  });
  const stopped = new Promise<void>((resolve) => {
    if (interrupted.aborted) resolve();
    interrupted.addEventListener("abort", () => resolve(), { once: true });
  });
  const late = new Promise<void>((resolve, reject) => {
    if (timeout === undefined) return;
    const what = signals || presence ? "" : " envelopes";
    timer = setTimeout(() => {
      if (count === undefined) resolve();
      else reject(new CliError(`${arrivals.seen} of ${count}${what} came in time`));
    }, timeout);
  });
  try {
    await Promise.race([arrivals.enough, closed, stopped, late]);
  } finally {
    clearTimeout(timer);
  }
}
