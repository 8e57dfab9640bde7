/** `interline listen`: prints what a device receives, one envelope a line, and acks it once it is printed. */
import { Command } from "commander";
import { toHex } from "../base/bytes.js";
import type { Client, Envelope, Gap, InterlineError } from "../client/client.js";
import type { BrandNames } from "./brand-names.js";
import { connectDevice, type DeviceFlags, withDeviceOptions } from "./device-client.js";
import { type CliContext, CliError, Output, timeoutMs, wholeNumber } from "./output.js";

interface ListenFlags extends DeviceFlags {
  readonly count?: number;
  readonly timeout?: number;
  readonly json?: boolean;
}

const SHOWN_BYTES_MAX = 64;

export function listenCommand(context: CliContext): Command {
  const command = new Command("listen")
    .summary("print what a device receives")
    .description(
      "Signs a device in and prints what was queued for it and what arrives, one envelope a line. A printed envelope is acked: it does not come again.\n" +
        "With --json a payload is base64, and text beside it when it is text.",
    )
    .option("--count <number>", "end after so many envelopes", wholeNumber(1, 1_000_000_000))
    .option("--timeout <time>", "end after this time; a failure if --count was not reached", timeoutMs);
  return withDeviceOptions(command)
    .option("--json", "print one JSON object for each envelope")
    .addHelpText(
      "after",
      "\nExamples:\n  interline listen --brand instagram --account bob\n  interline listen -b instagram -a bob --device 2 --count 1 --timeout 10s --json",
    )
    .action((flags: ListenFlags) => run(flags, context));
}

async function run(flags: ListenFlags, context: CliContext): Promise<void> {
  const out = new Output(context, flags);
  const { client, names, welcome } = await connectDevice(flags, context);
  try {
    out.note(`listening as ${names.format(welcome.device)}; Ctrl+C ends`);
    const seen = await receive(client, flags, {
      interrupted: context.interrupted,
      onEnvelope: (envelope) => printEnvelope(envelope, out, names),
      onGap: (gap) => printGap(gap, out),
      onCut: (error) => out.note(`connection lost (${error.message}), trying again`),
    });
    if (flags.count !== undefined && seen < flags.count && !context.interrupted.aborted) {
      throw new CliError(`${seen} of ${flags.count} envelopes came in time`);
    }
  } finally {
    await client.close();
  }
}

/** Resolves with the number of envelopes when enough have come, time is up, or we are interrupted. */
function receive(
  client: Client,
  { count, timeout }: ListenFlags,
  handlers: {
    readonly interrupted: AbortSignal;
    readonly onEnvelope: (envelope: Envelope) => void;
    readonly onGap: (gap: Gap) => void;
    readonly onCut: (error: InterlineError) => void;
  },
): Promise<number> {
  return new Promise((resolve, reject) => {
    let seen = 0;
    const timer = timeout === undefined ? undefined : setTimeout(() => resolve(seen), timeout);
    if (handlers.interrupted.aborted) resolve(seen);
    handlers.interrupted.addEventListener("abort", () => resolve(seen), { once: true });
    client.on("closed", ({ error }) => {
      clearTimeout(timer);
      if (error === undefined) resolve(seen);
      else reject(error);
    });
    client.on("disconnected", ({ error }) => handlers.onCut(error));
    client.on("gap", handlers.onGap);
    client.on("envelope", (envelope) => {
      if (seen === count) return new Promise(() => undefined);
      handlers.onEnvelope(envelope);
      seen++;
      // The ack leaves when this listener is done; close() sends it before it goes.
      if (seen === count) setImmediate(() => resolve(seen));
      return undefined;
    });
  });
}

function printEnvelope(envelope: Envelope, out: Output, names: BrandNames): void {
  const { sequence, sender, id, timeMs, payload } = envelope;
  const text = textOf(payload);
  const from = names.format(sender);
  // What ends with a line break, as most files and pipes do, is a line; what has more of them would look like several.
  const line = text?.replace(/\r?\n$/, "");
  const shown = line === undefined || /[\t\n\r]/.test(line) ? shownBytes(payload) : line;
  out.line(`${out.dim(new Date(timeMs).toISOString())}  ${from}  ${shown}`);
  out.json({
    sequence,
    from,
    id: toHex(id),
    timeMs,
    payload: Buffer.from(payload).toString("base64"),
    ...(text === undefined ? {} : { text }),
  });
}

function printGap({ sequence, count, reason }: Gap, out: Output): void {
  out.line(out.dim(`(${count} earlier entries were removed undelivered: ${reason})`));
  out.json({ gap: { sequence, count, reason } });
}

/** The payload as text when it is text without control characters but tabs and line breaks: a terminal obeys those. */
function textOf(payload: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(payload);
    return /(?![\t\n\r])[\p{Cc}\p{Cf}\p{Co}\p{Zl}\p{Zp}]/u.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}

function shownBytes(payload: Uint8Array): string {
  const rest = payload.length > SHOWN_BYTES_MAX ? "…" : "";
  return `${payload.length} bytes: ${toHex(payload.subarray(0, SHOWN_BYTES_MAX))}${rest}`;
}
