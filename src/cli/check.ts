/** `interline check`: verifies a data directory and says what it found. It changes nothing. */
import { Command } from "commander";
import { BrandNames, configFor, configOption, type DirectoryFlags, dataOption } from "./brand-names.js";
import { type CliContext, CliError, counted, exitCodes, formatBytes, Output, wholeNumber } from "./output.js";

interface CheckFlags extends DirectoryFlags {
  readonly findings: number;
  readonly json?: boolean;
}

export function checkCommand(context: CliContext): Command {
  return new Command("check")
    .summary("verify a data directory")
    .description(
      "Reads every row of a data directory and verifies checksums, sequences, totals and references. Exit code 1 when something is wrong.\n" +
        "A node may have it open; totals are compared only when none has.",
    )
    .option("--findings <number>", "show at most so many", wholeNumber(1, 1_000_000), 100)
    .addOption(dataOption())
    .addOption(configOption())
    .option("--json", "print one JSON object")
    .addHelpText(
      "after",
      "\nExamples:\n  interline check\n  interline check --data-directory /var/lib/interline --json",
    )
    .action((flags: CheckFlags) => run(flags, context));
}

async function run(flags: CheckFlags, context: CliContext): Promise<void> {
  const out = new Output(context, flags);
  const config = configFor(flags, context);
  const names = BrandNames.of(config);
  const { checkDirectory } = await import("../store/check.js");
  const report = await checkDirectory(config.dataDirectory, { findingsMax: flags.findings });
  const findings = report.findings.map(({ address, ...finding }) => ({
    ...finding,
    ...(address === undefined ? {} : { address: names.format(address) }),
  }));
  out.json({ ...report, findings });
  const { journal, queues, dedup, accounts, groups, contacts, keys, push, findingCount } = report;
  const devices = counted(queues.devices, "device");
  const entries = (count: number) => counted(count, "entry", "entries");
  out.line(`accounts  ${accounts.accounts} with ${counted(accounts.devices, "device")}`);
  out.line(`groups    ${groups.groups} with ${counted(groups.members, "member")}`);
  out.line(`contacts  ${counted(contacts.agreements, "agreement")}`);
  out.line(`queues    ${entries(queues.entries)} for ${devices}, ${formatBytes(queues.bytes)}`);
  out.line(
    `journal   ${counted(journal.blocks, "commit")} with ${entries(journal.entries)} and ${counted(journal.acks, "ack")}`,
  );
  out.line(`keys      ${counted(keys.keys, "key")} of ${counted(keys.devices, "device")}`);
  out.line(`dedup     ${counted(dedup.keys, "key")} in ${counted(dedup.rows, "row")}`);
  out.line(`push      ${counted(push.targets, "target")}`);
  for (const { table, kind, detail, address, number } of findings) {
    const where = [address, number].filter((part) => part !== undefined).join(" ");
    out.line(`${kind} in ${table}${where === "" ? "" : ` at ${where}`}: ${detail}`);
  }
  if (!report.ok) {
    const what = counted(findingCount, "thing is", "things are");
    throw new CliError(`${what} wrong in ${config.dataDirectory}`, exitCodes.failed, { isInResult: true });
  }
  out.line(out.green("nothing is wrong"));
}
