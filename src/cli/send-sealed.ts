/**
 * `interline send --sealed`: over a connection that speaks for nobody, to accounts whose delivery tokens the sender has.
 * Which devices they have nobody may ask; the node tells those who have the token, when a send covers others.
 */
import type { AccountAddress } from "../base/address.js";
import { toHex } from "../base/bytes.js";
import { InterlineError, type Receipt, type SealedSharedSendRequest } from "../client/client.js";
import type { BrandNames } from "./brand-names.js";
import { deliveryToken } from "./delivery-token.js";
import { type AskFlags, connectSealed, inTime } from "./device-client.js";
import { type CliContext, CliError, counted, exitCodes, Output } from "./output.js";
import { checkSize, type RecipientFlags } from "./recipients.js";

export const NO_RECEIPT = "no receipt: whether the node has the envelope is not known;";

interface SealedSendFlags extends AskFlags, RecipientFlags {
  readonly sealed?: boolean;
  readonly deliveryToken?: readonly string[];
}

type Covered = SealedSharedSendRequest["to"];

export async function sendSealed(
  flags: SealedSendFlags,
  payload: Uint8Array,
  context: CliContext,
): Promise<void> {
  const { to: accounts = [], deliveryToken: texts = [], sealed = false } = flags;
  if (!sealed || accounts.length !== texts.length) {
    throw new CliError(
      "a sealed send wants --sealed, and one --delivery-token for each --to, in the same order",
      exitCodes.usage,
    );
  }
  const tokens = texts.map(deliveryToken);
  const { client, names, welcome } = await connectSealed(flags, context);
  try {
    checkSize(payload, welcome);
    const out = new Output(context, flags);
    const named = accounts.map((text, i): readonly [string, Covered[number]] => {
      const account = names.account(text);
      return [toHex(account), { account, deliveryToken: tokens[i] as Uint8Array, version: 0, devices: [] }];
    });
    // Each once, however often it is named.
    let to: Covered = [...new Map(named).values()];
    const sending = client.sendShared({
      shared: payload,
      to,
      renew: (stale) => {
        to = to.map((one) => {
          const now = stale.find(({ account }) => toHex(account) === toHex(one.account as Uint8Array));
          return now === undefined
            ? one
            : { ...one, version: now.version, devices: covered(one.devices, now) };
        });
        return to;
      },
    });
    const receipt = await inTime(naming(sending, names), flags.timeout, NO_RECEIPT);
    const count = to.reduce((sum, { devices }) => sum + devices.length, 0);
    out.line(`accepted for ${counted(count, "device")}, sealed (durability: ${receipt.durability})`);
    tellReceipt(out, receipt, payload, {
      accounts: to.map(({ account, devices }) => ({
        ...{ account: names.format(account as AccountAddress), devices: devices.map(({ device }) => device) },
      })),
    });
  } finally {
    await client.close();
  }
}

const NOTHING = new Uint8Array(0);

function covered(
  devices: Covered[number]["devices"],
  { missing, surplus }: { readonly missing: readonly number[]; readonly surplus: readonly number[] },
): Covered[number]["devices"] {
  const left = devices.filter(({ device }) => !surplus.includes(device));
  return [...left, ...missing.map((device) => ({ device, block: NOTHING }))];
}

/** Of a refusal that is about some of the accounts, which. */
async function naming<T>(work: Promise<T>, names: BrandNames): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const about = error instanceof InterlineError ? (error.detail.accounts ?? []) : [];
    if (about.length === 0) throw error;
    const { code, message } = error as InterlineError;
    const text = `${message} (${about.map((account) => names.format(account)).join(", ")})`;
    throw new CliError(text, exitCodes.failed, { code });
  }
}

export function tellReceipt(
  out: Output,
  { id, durability }: Receipt,
  payload: Uint8Array,
  more: object,
): void {
  out.note(`${counted(payload.length, "byte")}, unchanged: the engine does not encrypt`);
  out.json({ ok: true, id: toHex(id), durability, bytes: payload.length, ...more });
}
