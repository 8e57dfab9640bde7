/** `interline group`: groups of accounts, of any brands. What is sent to them: `send --group`. */
import { Argument, Command } from "commander";
import type { AccountAddress } from "../base/address.js";
import { type GroupRoster, type GroupVersion, InterlineError, type Role } from "../client/client.js";
import { roles } from "../wire/groups.js";
import { type AskFlags, asDevice, askVerb, type DeviceClient, meaning } from "./device-client.js";
import { type CliContext, counted, type Output, table } from "./output.js";
import { groupNamed } from "./recipients.js";

type Asking = DeviceClient & { readonly out: Output };

const WHO = "-b whatsapp -a alice";

export function groupCommand(context: CliContext): Command {
  const command = new Command("group")
    .summary("make groups, and change who is in them")
    .description(
      "Groups of accounts, of any brands. Members are named brand/account, groups brand/id; a group that this account is in may be shortened to 4 digits of its id or more.",
    );
  const verbs = [createVerb, listVerb, showVerb, addVerb, removeVerb, roleVerb, leaveVerb];
  for (const verb of verbs) command.addCommand(verb(context));
  return command;
}

function createVerb(context: CliContext): Command {
  return askVerb(
    "create",
    {
      summary: "make a group, and print its id",
      more: "The account that makes it is its admin; those named here are members.",
      examples: [`group create ${WHO} instagram/bob messenger/carol`, `group create ${WHO} --json`],
    },
    (command) => command.argument("[brand/account...]", "whom to make it with"),
  ).action((members: string[], flags: AskFlags) =>
    asDevice(flags, context, async ({ client, names, out }) => {
      const others = names.accounts(members);
      const { group, version } = await client.groups.create(others);
      const address = names.format(group);
      out.line(address);
      out.note(`version ${version}, ${counted(others.length + 1, "member")}; this account is the admin`);
      out.json({ ok: true, group: address, version });
    }),
  );
}

function listVerb(context: CliContext): Command {
  return askVerb("list", {
    summary: "print the groups that this account is in",
    examples: [`group list ${WHO}`],
  }).action((flags: AskFlags) =>
    asDevice(flags, context, async ({ client, names, out }) => {
      const groups = (await client.groups.list()).map((group) => names.format(group));
      for (const group of groups) out.line(group);
      if (groups.length === 0) out.note("this account is in no group");
      out.json({ ok: true, groups });
    }),
  );
}

function showVerb(context: CliContext): Command {
  return askVerb(
    "show",
    {
      summary: "print who is in a group",
      examples: [`group show ${WHO} whatsapp/3f2a9c01`, `group show ${WHO} whatsapp/3f2a9c01 --json`],
    },
    groupArgument,
  ).action((text: string, flags: AskFlags) =>
    asDevice(flags, context, async (asking) => {
      const { names, out } = asking;
      const { group, version, members } = await rosterOf(asking, await groupNamed(text, asking));
      const rows = members.map(({ account, role }) => ({ account: names.format(account), role }));
      out.line(`${names.format(group)}: version ${version}, ${counted(rows.length, "member")}`);
      out.line();
      const [head, ...lines] = table(
        ["member", "role"],
        rows.map(({ account, role }) => [account, role]),
      );
      out.line(out.bold(head as string));
      for (const line of lines) out.line(line);
      out.json({ ok: true, group: names.format(group), version, members: rows });
    }),
  );
}

function addVerb(context: CliContext): Command {
  return askVerb(
    "add",
    {
      summary: "take accounts into a group; admins may",
      examples: [`group add ${WHO} whatsapp/3f2a9c01 instagram/dora`],
    },
    withMembers,
  ).action((text: string, members: string[], flags: AskFlags) =>
    asDevice(flags, context, (asking) =>
      change(asking, text, members, (of) => asking.client.groups.add(of), {
        notAllowed: "only an admin of the group may do this",
      }),
    ),
  );
}

function removeVerb(context: CliContext): Command {
  return askVerb(
    "remove",
    {
      summary: "take accounts out of a group; admins may",
      more: "Who is removed gets nothing that is sent from then on. An app encrypts for those who are left.",
      examples: [`group remove ${WHO} whatsapp/3f2a9c01 instagram/dora`],
    },
    withMembers,
  ).action((text: string, members: string[], flags: AskFlags) =>
    asDevice(flags, context, (asking) =>
      change(asking, text, members, (of) => asking.client.groups.remove(of), {
        notAllowed:
          'only an admin of the group may do this, and nobody to himself: use "interline group leave"',
      }),
    ),
  );
}

function roleVerb(context: CliContext): Command {
  return askVerb(
    "role",
    {
      summary: "make members admins, or admins members; admins may",
      examples: [`group role ${WHO} whatsapp/3f2a9c01 admin instagram/bob`],
    },
    (command) =>
      groupArgument(command)
        .addArgument(new Argument("<role>", "what they are to be").choices(Object.keys(roles)))
        .argument("<brand/account...>", "whom it is about"),
  ).action((text: string, role: Role, members: string[], flags: AskFlags) =>
    asDevice(flags, context, (asking) =>
      change(asking, text, members, (of) => asking.client.groups.setRole({ ...of, role }), {
        notAllowed: "only an admin of the group may do this",
        lastAdmin: "the group would have no admin: make somebody else one first",
      }),
    ),
  );
}

function leaveVerb(context: CliContext): Command {
  return askVerb(
    "leave",
    {
      summary: "leave a group",
      more: "When no admin is left, the member who has been in it longest becomes one.",
      examples: [`group leave ${WHO} whatsapp/3f2a9c01`],
    },
    groupArgument,
  ).action((text: string, flags: AskFlags) =>
    asDevice(flags, context, async (asking) => {
      const group = await groupNamed(text, asking);
      tell(asking, await explained(asking, group, asking.client.groups.leave(group)));
    }),
  );
}

const groupArgument = (command: Command): Command => command.argument("<group>", "brand/id of the group");
const withMembers = (command: Command): Command =>
  groupArgument(command).argument("<brand/account...>", "whom it is about");

/**
 * What is asked for means the same whatever others have changed meanwhile, so it is asked again for the roster of now. Each
 * time somebody else's change was made, and --timeout ends it.
 */
async function change(
  asking: Asking,
  text: string,
  members: readonly string[],
  ask: (of: GroupVersion & { readonly accounts: readonly AccountAddress[] }) => Promise<GroupVersion>,
  meanings: Parameters<typeof meaning>[0],
): Promise<void> {
  const group = await groupNamed(text, asking);
  const accounts = asking.names.accounts(members);
  for (;;) {
    const { version } = await rosterOf(asking, group);
    try {
      const changed = await explained(asking, group, ask({ group, version, accounts }), meanings);
      return tell(asking, changed);
    } catch (error) {
      if (!(error instanceof InterlineError && error.code === "groupStale")) throw error;
    }
  }
}

function rosterOf(asking: Asking, group: AccountAddress): Promise<GroupRoster> {
  return explained(asking, group, asking.client.groups.get(group));
}

function explained<T>(
  { names }: Asking,
  group: AccountAddress,
  work: Promise<T>,
  meanings: Parameters<typeof meaning>[0] = {},
): Promise<T> {
  const address = names.format(group);
  return meaning(
    {
      notFound: `there is no group ${address}, or this account is no member of it`,
      connectionLost: `the connection was lost: "interline group show" says whether it was done`,
      ...meanings,
    },
    work,
  );
}

function tell({ names, out }: Asking, { group, version }: GroupVersion): void {
  out.line(`${names.format(group)}: version ${version}`);
  out.json({ ok: true, group: names.format(group), version });
}
