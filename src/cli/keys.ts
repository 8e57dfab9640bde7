/** `interline keys`: a device's public keys in the node's key directory, and those of others. Bytes to the engine and here. */
import { Command, Option } from "commander";
import { toHex } from "../base/bytes.js";
import type { KeyBundles, KeyStocks, SuiteName } from "../client/client.js";
import { keyKindNames, keySuites } from "../wire/keys.js";
import type { BrandNames } from "./brand-names.js";
import { deliveryToken } from "./delivery-token.js";
import { type AskFlags, asDevice, askVerb, connectSealed, inTime, meaning } from "./device-client.js";
import { keysOf } from "./key-file.js";
import { type CliContext, CliError, counted, exitCodes, Output, table } from "./output.js";

interface FileFlags extends AskFlags {
  readonly from?: string;
}

interface ClaimFlags extends AskFlags {
  readonly suite: SuiteName;
  readonly sealed?: boolean;
  readonly deliveryToken?: string;
}

const WHO = "-b whatsapp -a alice";
const BASE64_LINE = /.{1,76}/g;

export function keysCommand(context: CliContext): Command {
  const command = new Command("keys")
    .summary("store a device's public keys, and claim those of others")
    .description(
      `A device's public keys, as opaque bytes by kind and id (${keyKindNames.join(", ")}). Apps do this through interline/encrypted, which makes the keys, keeps them in stock and checks them.`,
    );
  for (const verb of [uploadVerb, stockVerb, claimVerb, digestVerb]) command.addCommand(verb(context));
  return command;
}

function uploadVerb(context: CliContext): Command {
  return askVerb(
    "upload",
    {
      summary: "put keys in the place of all stored ones of their kinds",
      more: "Kinds that are not named stay as they are. Of one-time keys those that were handed out before are not stored again. A new identity removes every other Signal key that is not uploaded with it.",
      examples: [
        `keys upload ${WHO} identity:1=identity.key signedPreKey:1=signed.key`,
        `keys upload ${WHO} --from keys.json`,
      ],
    },
    (command) =>
      command
        .argument("[kind:id=file...]", "keys, each in a file of its own")
        .option("--from <file>", "JSON: { kind: [{ id, key in base64 }] }; - for standard input"),
  ).action((words: string[], flags: FileFlags) => {
    const keys = keysOf(words, flags.from);
    if (Object.keys(keys).length === 0) {
      throw new CliError("say which keys: kind:id=file, or --from", exitCodes.usage);
    }
    return asDevice(flags, context, async ({ client, out }) =>
      tellStocks(out, await client.keys.upload(keys)),
    );
  });
}

function stockVerb(context: CliContext): Command {
  return askVerb("stock", {
    summary: "print how many of the device's keys the node holds",
    examples: [`keys stock ${WHO}`, `keys stock ${WHO} --json`],
  }).action((flags: AskFlags) =>
    asDevice(flags, context, async ({ client, out }) => tellStocks(out, await client.keys.stock())),
  );
}

function claimVerb(context: CliContext): Command {
  return askVerb(
    "claim",
    {
      summary: "take a bundle of another device's keys, to begin a conversation with it",
      more: "One-time keys in it are given to nobody else, and gone from the node's stock. Keys are printed in base64. With --sealed the node does not know who claims; of yourself only --brand is said.",
      examples: [
        `keys claim ${WHO} instagram/bob/1 --suite signal --json`,
        "keys claim -b whatsapp --sealed --delivery-token 5f0e… instagram/bob/1 --suite mls",
      ],
    },
    (command) =>
      command
        .argument("<brand/account/device>", "whose keys")
        .addOption(
          new Option("--suite <suite>", "of which keys the bundle is made")
            .choices(Object.keys(keySuites))
            .makeOptionMandatory(),
        )
        .option("--sealed", "without telling the node who claims")
        .option("--delivery-token <hex>", "with --sealed: of the device's account"),
  ).action((text: string, flags: ClaimFlags) => {
    const { suite, sealed = false } = flags;
    if (sealed !== (flags.deliveryToken !== undefined)) {
      throw new CliError("a sealed claim wants --sealed and --delivery-token", exitCodes.usage);
    }
    if (flags.deliveryToken !== undefined) return claimSealed(text, flags, flags.deliveryToken, context);
    return asDevice(flags, context, ({ client, names, out }) => {
      const claim = client.keys.claim(names.device(text), suite);
      return tellBundle(out, names, text, claim);
    });
  });
}

async function claimSealed(text: string, flags: ClaimFlags, hex: string, context: CliContext): Promise<void> {
  const token = deliveryToken(hex);
  const { client, names } = await connectSealed(flags, context);
  try {
    const claim = client.claimKeys({ device: names.device(text), suite: flags.suite, deliveryToken: token });
    await inTime(tellBundle(new Output(context, flags), names, text, claim), flags.timeout, "no answer");
  } finally {
    await client.close();
  }
}

function digestVerb(context: CliContext): Command {
  return askVerb(
    "digest",
    {
      summary: "print digests of what the node holds, or compare it with own records",
      more: "With --from the file lists the device's keys that were uploaded and not replaced, handed out or not; kinds that it leaves out are not compared. A difference is a failure.",
      examples: [`keys digest ${WHO}`, `keys digest ${WHO} --from keys.json`],
    },
    (command) =>
      command.option("--from <file>", "own records, as keys upload takes them; - for standard input"),
  ).action((flags: FileFlags) => {
    const own = flags.from === undefined ? undefined : keysOf([], flags.from);
    return asDevice(flags, context, async ({ client, out }) => {
      if (own !== undefined) return tellDifferences(out, await client.keys.differences(own));
      const { kinds } = await client.keys.digest();
      const rows = keyKindNames.map((kind) => ({ kind, ...kinds[kind], digest: toHex(kinds[kind].digest) }));
      const cells = rows.map(({ kind, count, digest }) => [kind, count, digest]);
      for (const line of table(["kind", "keys", "SHA-256"], cells)) out.line(line);
      out.json({ ok: true, kinds: Object.fromEntries(rows.map(({ kind, ...more }) => [kind, more])) });
    });
  });
}

function tellDifferences(out: Output, differing: readonly string[]): void {
  out.json({ ok: differing.length === 0, differing });
  if (differing.length > 0) {
    const text = `the node holds other keys than the file lists: ${differing.join(", ")}`;
    throw new CliError(text, exitCodes.failed, { isInResult: true });
  }
  out.line("the node holds what the file lists");
}

function tellStocks(out: Output, stocks: KeyStocks): void {
  const rows = keyKindNames.map((kind) => [kind, stocks[kind].count, stocks[kind].claimedThrough || ""]);
  for (const line of table(["kind", "keys", "handed out up to id"], rows)) out.line(line);
  out.json({ ok: true, stocks });
}

async function tellBundle(
  out: Output,
  names: BrandNames,
  text: string,
  claim: Promise<KeyBundles[SuiteName]>,
): Promise<void> {
  const device = names.format(names.device(text));
  const meanings = {
    notFound: `${device} is not registered, or cannot be reached from here`,
    keysMissing: `${device} has no keys of this suite: it uploads them first`,
  };
  const { isLastResort, ...kinds } = await meaning(meanings, claim);
  const keys = Object.entries(kinds).flatMap(([kind, key]) =>
    typeof key === "object" ? [{ kind, ...key }] : [],
  );
  for (const { kind, id, key } of keys) {
    out.line(`${kind} ${id}, ${counted(key.length, "byte")}:`);
    for (const line of base64(key).match(BASE64_LINE) ?? []) out.line(`  ${line}`);
  }
  if (isLastResort)
    out.note("the last resort is in it, which others get, too: no one-time key was to be had");
  const inJson = keys.map(({ kind, id, key }) => [kind, { id, key: base64(key) }]);
  out.json({ ok: true, device, ...Object.fromEntries(inJson), isLastResort });
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
