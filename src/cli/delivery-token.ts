/** `interline delivery-token`: with what others may send sealed envelopes to the account. Sending them: `send --sealed`. */
import { randomBytes } from "node:crypto";
import { Command, Option } from "commander";
import { fromHex, toHex } from "../base/bytes.js";
import type { DeliveryTokenState } from "../client/client.js";
import { DELIVERY_TOKEN_BYTES } from "../wire/sealed.js";
import { type AskFlags, asDevice, askVerb, meaning } from "./device-client.js";
import { type CliContext, CliError, durationMs, exitCodes, type Output } from "./output.js";

const WHO = "-b instagram -a bob";

export function deliveryTokenCommand(context: CliContext): Command {
  const command = new Command("delivery-token")
    .summary("let others send to the account without being named")
    .description(
      `Whoever has an account's delivery token, ${DELIVERY_TOKEN_BYTES} bytes, here as hex, may send sealed envelopes to it. The node keeps only a digest: what is printed is not printed again. Share it end to end, with the account's other devices too.`,
    );
  for (const verb of [showVerb, setVerb, rotateVerb, revokeVerb]) command.addCommand(verb(context));
  return command;
}

function showVerb(context: CliContext): Command {
  return askVerb("show", {
    summary: "print whether the account has a delivery token",
    more: "The token itself is known to those who have it, and not to the node.",
    examples: [`delivery-token show ${WHO}`, `delivery-token show ${WHO} --json`],
  }).action((flags: AskFlags) =>
    asDevice(flags, context, async ({ client, out }) => tell(out, await client.deliveryToken.status())),
  );
}

function setVerb(context: CliContext): Command {
  return askVerb(
    "set",
    {
      summary: "make a delivery token, and print it; the one before ends at once",
      examples: [`delivery-token set ${WHO}`, `delivery-token set ${WHO} 00112233445566778899aabbccddeeff`],
    },
    tokenArgument,
  ).action((text: string | undefined, flags: AskFlags) => {
    const token = text === undefined ? randomBytes(DELIVERY_TOKEN_BYTES) : deliveryToken(text);
    return asDevice(flags, context, async ({ client, out }) =>
      tell(out, await client.deliveryToken.set(token), token),
    );
  });
}

function rotateVerb(context: CliContext): Command {
  return askVerb(
    "rotate",
    {
      summary: "make a delivery token, and print it; the one before is good for a while",
      examples: [`delivery-token rotate ${WHO}`, `delivery-token rotate ${WHO} --overlap 2h`],
    },
    (command) =>
      tokenArgument(command).addOption(
        new Option("--overlap <time>", "for how long the one before is good")
          .argParser(durationMs)
          .default(86_400_000, "1d"),
      ),
  ).action((text: string | undefined, flags: AskFlags & { readonly overlap: number }) => {
    const token = text === undefined ? randomBytes(DELIVERY_TOKEN_BYTES) : deliveryToken(text);
    return asDevice(flags, context, async ({ client, out }) => {
      const notFound = 'there is no token to rotate: make one with "interline delivery-token set"';
      const rotated = client.deliveryToken.rotate(token, { overlapMs: flags.overlap });
      tell(out, await meaning({ notFound }, rotated), token);
    });
  });
}

function revokeVerb(context: CliContext): Command {
  return askVerb("revoke", {
    summary: "let nobody send sealed envelopes to the account any more",
    examples: [`delivery-token revoke ${WHO}`],
  }).action((flags: AskFlags) =>
    asDevice(flags, context, async ({ client, out }) => tell(out, await client.deliveryToken.revoke())),
  );
}

function tokenArgument(command: Command): Command {
  return command.argument("[hex]", "a token that another device has made, in place of a new one");
}

/** Of the command line. */
export function deliveryToken(text: string): Uint8Array {
  const token = /^[0-9a-f]*$/i.test(text) ? fromHex(text.toLowerCase()) : undefined;
  if (token?.length === DELIVERY_TOKEN_BYTES) return token;
  throw new CliError(
    `a delivery token is ${2 * DELIVERY_TOKEN_BYTES} hex digits, as "interline delivery-token set" prints it`,
    exitCodes.usage,
  );
}

/** A new token alone goes to standard output, for a script to take. */
function tell(out: Output, state: DeliveryTokenState, token?: Uint8Array): void {
  const { isSet, previousForMs } = state;
  const before =
    previousForMs > 0 ? `; the one before is good for ${Math.ceil(previousForMs / 60_000)} minutes` : "";
  const sentence = isSet ? `sealed envelopes are taken${before}` : "no sealed envelopes are taken";
  if (token === undefined) out.line(sentence);
  else {
    out.line(toHex(token));
    out.note(sentence);
  }
  out.json({ ok: true, ...(token && { deliveryToken: toHex(token) }), ...state });
}
