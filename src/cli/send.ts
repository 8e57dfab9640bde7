/**
 * `interline send`: one envelope to one or more accounts. It asks for every
 * roster first and covers each device, the sender's own others included; if a
 * roster changes meanwhile the node refuses the send whole, and it asks again.
 */
import { readFileSync } from "node:fs";
import { type Command, Command as CommandClass, Option } from "commander";
import { type AccountAddress, accountOf, type DeviceAddress } from "../base/address.js";
import { equalBytes, toHex } from "../base/bytes.js";
import { type Client, InterlineError, type Receipt, type SendRequest } from "../client/client.js";
import { type BrandNames, deviceNumber } from "./brand-names.js";
import { connectDevice, type DeviceFlags, withDeviceOptions } from "./device-client.js";
import { type CliContext, CliError, counted, exitCodes, Output, timeoutMs } from "./output.js";

const ROSTER_ATTEMPTS = 4;

interface SendFlags extends DeviceFlags {
  readonly to: readonly string[];
  readonly text?: string;
  readonly file?: string;
  readonly timeout: number;
  readonly json?: boolean;
}

type Covered = SendRequest["to"][number];

export function sendCommand(context: CliContext): Command {
  const command = new CommandClass("send")
    .summary("send bytes to every device of an account")
    .description(
      "Sends one envelope to every device of one or more accounts (and to the sender's own other devices), and waits for the receipt.\n" +
        "The payload goes as it is: the engine does not encrypt, that is what the apps at both ends do.",
    )
    .requiredOption("-t, --to <brand/account...>", "whom to send to")
    .option("-x, --text <text>", "the payload, as text")
    .option("-f, --file <path>", "the payload, from a file; - for standard input")
    .addOption(
      new Option("--timeout <time>", "give up when there is no receipt after this time")
        .argParser(timeoutMs)
        .default(30_000, "30s"),
    );
  return withDeviceOptions(command)
    .option("--json", "print one JSON object")
    .addHelpText(
      "after",
      '\nExamples:\n  interline send --brand whatsapp --account alice --to instagram/bob --text "hello"\n  interline send -b whatsapp -a alice -t instagram/bob -t messenger/carol --file letter.bin --json',
    )
    .action((flags: SendFlags) => run(flags, context));
}

async function run(flags: SendFlags, context: CliContext): Promise<void> {
  const out = new Output(context, flags);
  const payload = payloadOf(flags);
  const { client, names, welcome } = await connectDevice(flags, context);
  try {
    const targets = flags.to.map((text) => names.account(text));
    const sending = sendCovered(client, welcome.device, targets, payload, names);
    const { receipt, to } = await inTime(sending, flags.timeout);
    const accounts = to.map(({ account, devices }) => ({
      account: names.format(account as AccountAddress),
      devices: devices.map(({ device }) => device),
    }));
    const count = accounts.reduce((sum, { devices }) => sum + devices.length, 0);
    out.line(`accepted for ${counted(count, "device")} (durability: ${receipt.durability})`);
    out.note(`${counted(payload.length, "byte")}, unchanged: the engine does not encrypt`);
    out.json({
      ok: true,
      id: toHex(receipt.id),
      durability: receipt.durability,
      bytes: payload.length,
      accounts,
    });
  } finally {
    await client.close();
  }
}

function payloadOf({ text, file }: SendFlags): Uint8Array {
  if ((text === undefined) === (file === undefined)) {
    throw new CliError("say what to send: either --text or --file", exitCodes.usage);
  }
  if (text !== undefined) return new TextEncoder().encode(text);
  try {
    return readFileSync(file === "-" ? 0 : (file as string));
  } catch (error) {
    throw new CliError(`${file} cannot be read: ${(error as Error).message}`);
  }
}

/** The client would go on trying for ever, and a person at a terminal would not know. */
async function inTime<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const message = `no receipt after ${timeoutMs / 1000} s: whether the node has the envelope is not known`;
    timer = setTimeout(() => reject(new CliError(message)), timeoutMs);
  });
  work.catch(() => undefined);
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Sends to whoever the rosters list; asks again while they change under us. */
async function sendCovered(
  client: Client,
  self: DeviceAddress,
  targets: readonly AccountAddress[],
  payload: Uint8Array,
  names: BrandNames,
): Promise<{ receipt: Receipt; to: readonly Covered[] }> {
  for (let attempt = 1; ; attempt++) {
    const to = await cover(client, self, targets, payload, names);
    try {
      return { receipt: await client.send({ to }), to };
    } catch (error) {
      const isStale = error instanceof InterlineError && error.code === "rosterStale";
      if (!isStale || attempt === ROSTER_ATTEMPTS) throw error;
    }
  }
}

async function cover(
  client: Client,
  self: DeviceAddress,
  targets: readonly AccountAddress[],
  payload: Uint8Array,
  names: BrandNames,
): Promise<Covered[]> {
  const own = accountOf(self);
  const accounts = [...targets.filter((account) => !equalBytes(account, own)), own];
  const rosters = await Promise.all(accounts.map((account) => client.roster(account)));
  const covered = rosters.map(({ account, version, devices }) => ({
    account,
    version,
    devices: devices
      .filter((device) => !(equalBytes(account, own) && device === deviceNumber(self)))
      .map((device) => ({ device, payload })),
  }));
  for (const { account, devices } of covered) {
    if (devices.length > 0 || (equalBytes(account, own) && targets.length + 1 === accounts.length)) continue;
    const name = names.format(account as AccountAddress);
    throw new CliError(`${name} has no device to send to: one signs in with "interline listen" first`);
  }
  return covered.filter(({ devices }) => devices.length > 0);
}
