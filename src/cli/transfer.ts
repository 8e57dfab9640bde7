/**
 * `interline transfer`: hands a file from one device of an account to another, encrypted from end to end. The new device
 * prints an invitation, the old one is given it. Either may be killed and started again with the same words: it goes on.
 */
import { createReadStream, statSync } from "node:fs";
import { Command } from "commander";
import { toHex } from "../base/bytes.js";
import type { Client } from "../client/client.js";
import {
  type IncomingTransfer,
  inviteTransfer,
  type OutgoingTransfer,
  resumeTransfer,
  sendTransfer,
  type TransferResult,
} from "../client/transfer.js";
import { connectDevice, type DeviceFlags, withDeviceOptions } from "./device-client.js";
import { type CliContext, CliError, counted, exitCodes, formatBytes, Output, timeoutMs } from "./output.js";
import { PartialFile } from "./partial-file.js";

interface TransferFlags extends DeviceFlags {
  readonly into?: string;
  readonly from?: string;
  readonly invitation?: string;
  readonly timeout?: number;
  readonly json?: boolean;
}

const BYTES_MAX = 1024 ** 4;

export function transferCommand(context: CliContext): Command {
  const command = new Command("transfer")
    .summary("hand a file from one device of an account to another")
    .description(
      "The new device prints an invitation; given to the old device, which must be of the same account, it brings the file through the node, which cannot read it.\n" +
        "Who has the invitation and runs the node could forge the file: show it to the old device and to nobody else.\n" +
        "Killed on either side, it goes on where it was when the same command is given again.",
    )
    .option("--into <file>", "new device: receive into this file")
    .option("--from <file>", "old device: send this file")
    .option("--invitation <text>", "old device: what the new one printed")
    .option("--timeout <time>", "give up when it is not done after this time", timeoutMs);
  return withDeviceOptions(command)
    .option("--json", "print one JSON object for the invitation, and one for the result")
    .addHelpText(
      "after",
      "\nExamples:\n  interline transfer --brand whatsapp --account alice --device 2 --into history.bin\n  interline transfer -b whatsapp -a alice --from history.bin --invitation interline-transfer:AQAB…",
    )
    .action((flags: TransferFlags) => run(flags, context));
}

function run(flags: TransferFlags, context: CliContext): Promise<void> {
  const { into, from, invitation } = flags;
  const out = new Output(context, flags);
  if (into !== undefined && from === undefined && invitation === undefined) return receive(into, flags, out);
  if (from !== undefined && invitation !== undefined && into === undefined)
    return send(from, invitation, flags, out);
  throw new CliError("say which side this is: --into, or --from and --invitation", exitCodes.usage);
}

async function receive(path: string, flags: TransferFlags, out: Output): Promise<void> {
  const { file, state } = await PartialFile.open(path);
  const options = { bytesMax: BYTES_MAX, store: file.store.bind(file) };
  let resumed: IncomingTransfer | undefined;
  const prepare = async (made: Client) => {
    resumed = state && (await resumeTransfer(made, state, options));
  };
  const { client } = await connectDevice(flags, out.context, { prepare });
  try {
    const incoming = resumed ?? (await inviteTransfer(client, options));
    out.note(state === undefined ? "give this to the old device:" : "going on; the invitation is still:");
    out.line(incoming.invitation);
    out.json({ invitation: incoming.invitation });
    const result = await ended(incoming, client, flags, out.context);
    await file.finish();
    tell(result, path, out);
  } finally {
    await client.close();
    await file.close();
  }
}

async function send(path: string, invitation: string, flags: TransferFlags, out: Output): Promise<void> {
  const bytesMax = sizeOf(path);
  const { client } = await connectDevice(flags, out.context);
  try {
    const outgoing = sendTransfer(client, { invitation, source: createReadStream(path), bytesMax });
    tell(await ended(outgoing, client, flags, out.context), path, out);
  } finally {
    await client.close();
  }
}

function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch (error) {
    throw new CliError(`${path} cannot be read: ${(error as Error).message}`);
  }
}

function tell({ bytes, digest }: TransferResult, path: string, out: Output): void {
  out.line(`${path}: ${formatBytes(bytes)}, whole`);
  out.note(`both devices have ${counted(bytes, "byte")} with the digest ${toHex(digest)}`);
  out.json({ ok: true, file: path, bytes, digest: toHex(digest) });
}

/** The result, unless time is up, we are interrupted, or something else comes that is not for this command to take. */
async function ended(
  transfer: IncomingTransfer | OutgoingTransfer,
  client: Client,
  { timeout }: TransferFlags,
  { interrupted }: CliContext,
): Promise<TransferResult> {
  let timer: NodeJS.Timeout | undefined;
  const cut = new Promise<never>((_, reject) => {
    const goesOn = "give the same command again to go on";
    if (timeout !== undefined) {
      const late = new CliError(`not done after ${timeout / 1000} s: ${goesOn}`);
      timer = setTimeout(() => reject(late), timeout);
    }
    const stop = () => reject(new CliError(`interrupted: ${goesOn}`));
    if (interrupted.aborted) stop();
    interrupted.addEventListener("abort", stop, { once: true });
    const leave = () => {
      reject(new CliError("envelopes wait for this device: print them with `interline listen` first"));
      // Not taken: it comes again.
      return new Promise(() => undefined);
    };
    client.on("envelope", leave);
    client.on("sealed", leave);
  });
  try {
    return await Promise.race([transfer.done, cut]);
  } finally {
    clearTimeout(timer);
  }
}
