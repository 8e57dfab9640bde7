/** `interline push`: where a device is woken while it is away. */
import { Command } from "commander";
import { type AskFlags, asDevice, askVerb, meaning } from "./device-client.js";
import type { CliContext } from "./output.js";

const WHO = "-b whatsapp -a alice";
const NO_PUSH = "this node wakes nobody: it has no push configured";

export function pushCommand(context: CliContext): Command {
  const command = new Command("push")
    .summary("say where a device is woken while it is away")
    .description(
      "A push target is where the node sends a wake-up, which says nothing but connect, when something is stored for the device while it is away.",
    );
  for (const verb of [kindsVerb, registerVerb, removeVerb]) command.addCommand(verb(context));
  return command;
}

function kindsVerb(context: CliContext): Command {
  return askVerb("kinds", {
    summary: "print the kinds of targets that the node takes from the device's brand",
    examples: [`push kinds ${WHO}`, `push kinds ${WHO} --json`],
  }).action((flags: AskFlags) =>
    asDevice(flags, context, async ({ client, out }) => {
      const kinds = await meaning({ requestUnknown: NO_PUSH }, client.push.describe());
      for (const { kind, publicKey } of kinds)
        out.line(publicKey === undefined ? kind : `${kind}  ${publicKey}`);
      if (kinds.length === 0) out.note("none for this brand");
      out.json({ ok: true, kinds });
    }),
  );
}

function registerVerb(context: CliContext): Command {
  return askVerb(
    "register",
    {
      summary: "register where the device is woken, in place of an earlier target",
      more: "For webPush the target is the subscription's endpoint, for webhook whatever the brand's gateway understands.",
      examples: [
        `push register ${WHO} webhook alices-phone`,
        `push register ${WHO} webPush https://push.example/abc`,
      ],
    },
    (command) =>
      command
        .argument("<kind>", "one of those that interline push kinds prints")
        .argument("<target>", "where to"),
  ).action((kind: string, target: string, flags: AskFlags) =>
    asDevice(flags, context, async ({ client, out }) => {
      const meanings = {
        requestUnknown: NO_PUSH,
        notAllowed: `the node takes no ${kind} targets from this brand: "interline push kinds" prints those it takes`,
      };
      await meaning(meanings, client.push.register({ kind, target }));
      out.line(`registered (${kind})`);
      out.json({ ok: true, kind });
    }),
  );
}

function removeVerb(context: CliContext): Command {
  return askVerb("remove", {
    summary: "have the device woken no more",
    examples: [`push remove ${WHO}`],
  }).action((flags: AskFlags) =>
    asDevice(flags, context, async ({ client, out }) => {
      await meaning({ requestUnknown: NO_PUSH }, client.push.unregister());
      out.line("no wake-ups any more");
      out.json({ ok: true });
    }),
  );
}
