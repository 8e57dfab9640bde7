/** `interline inspect`: what is in a data directory, live or closed. It changes nothing. */
import { Argument, Command, InvalidArgumentError } from "commander";
import type { Inspector, Page, QueueRowSummary } from "../store/inspect.js";
import { BrandNames, configFor, configOption, type DirectoryFlags, dataOption } from "./brand-names.js";
import {
  type CliContext,
  CliError,
  counted,
  exitCodes,
  formatBytes,
  formatTime,
  Output,
  table,
  wholeNumber,
} from "./output.js";

interface InspectFlags extends DirectoryFlags {
  readonly limit: number;
  readonly cursor?: string;
  readonly json?: boolean;
}

interface View {
  readonly inspector: Inspector;
  readonly names: BrandNames;
  readonly out: Output;
  readonly page: { readonly limit: number; readonly cursor: string | undefined };
}

const subjects = ["overview", "queues", "journal", "accounts", "device"] as const;
type Subject = (typeof subjects)[number];

export function inspectCommand(context: CliContext): Command {
  return new Command("inspect")
    .summary("look into a data directory")
    .description(
      "Shows what is in a data directory, read-only, whether a node has it open or not. Lists come in pages.",
    )
    .addArgument(new Argument("[what]", "what to show").choices(subjects).default("overview"))
    .argument("[device]", "with device: brand/account/number")
    .option("--limit <number>", "lines on a page", wholeNumber(1, 100_000), 50)
    .option("--cursor <cursor>", "the next page, as the one before named it", cursor)
    .addOption(dataOption())
    .addOption(configOption())
    .option("--json", "print one JSON object")
    .addHelpText(
      "after",
      "\nExamples:\n  interline inspect\n  interline inspect queues --limit 20 --json\n  interline inspect device instagram/bob/1",
    )
    .action((what: Subject, device: string | undefined, flags: InspectFlags) =>
      run(what, device, flags, context),
    );
}

/** A key of a table or of the journal, in hex. For commander. */
function cursor(text: string): string {
  if (/^(?:[0-9a-f]{2}){8,}$/.test(text)) return text;
  throw new InvalidArgumentError("Expected what the page before named.");
}

async function run(
  what: Subject,
  device: string | undefined,
  flags: InspectFlags,
  context: CliContext,
): Promise<void> {
  if ((what === "device") !== (device !== undefined)) {
    throw new CliError('"inspect device" wants one device: brand/account/number', exitCodes.usage);
  }
  const config = configFor(flags, context);
  const { asDamage, inspectDirectory } = await import("../store/inspect.js");
  const inspector = inspectDirectory(config.dataDirectory);
  try {
    const view = {
      inspector,
      names: BrandNames.of(config),
      out: new Output(context, flags),
      page: { limit: flags.limit, cursor: flags.cursor },
    };
    if (what === "device") showDevice(view, device as string);
    else shows[what](view);
  } catch (error) {
    throw asDamage(error);
  } finally {
    await inspector.close();
  }
}

const shows: Readonly<Record<Exclude<Subject, "device">, (view: View) => void>> = {
  overview: ({ inspector, names, out }) => {
    const overview = inspector.overview();
    const brands = overview.brands.map(({ brand, queuedBytes }) => ({
      brand: names.brand(brand),
      queuedBytes,
    }));
    out.json({ ok: true, ...overview, brands });
    const { formatVersion, epoch, ownerPid, fileBytes, rows } = overview;
    out.line(
      `format ${formatVersion}, opened ${epoch === undefined ? "an unknown number of times" : counted(epoch, "time")}, ${formatBytes(fileBytes)}`,
    );
    out.line(ownerPid === undefined ? "no node has it open" : `open in process ${ownerPid}`);
    out.line();
    print(out, ["table", "rows"], Object.entries(rows));
    out.line();
    print(
      out,
      ["brand", "queued bytes"],
      brands.map(({ brand, queuedBytes }) => [brand, queuedBytes ?? "damaged"]),
    );
  },
  queues: ({ inspector, names, out, page }) => {
    const { items, cursor } = inspector.queues(page);
    const queues = items.map((queue) => ({ ...queue, device: names.format(queue.device) }));
    out.json({ ok: true, queues, cursor: cursor ?? null });
    print(
      out,
      ["device", "entries", "bytes", "removed", "acked up to", "oldest"],
      queues.map((queue) => [
        ...[queue.device, queue.entries, queue.bytes, queue.gapEntries, queue.floor],
        formatTime(queue.oldestStoredAtMs),
      ]),
    );
    tellCursor(out, cursor);
  },
  journal: ({ inspector, out, page }) => {
    const { items, cursor } = inspector.journal(page);
    const commits = items.map(({ problem, ...commit }) => ({
      ...commit,
      ...(problem === undefined ? {} : { problem }),
    }));
    out.json({ ok: true, commits, cursor: cursor ?? null });
    print(
      out,
      ["commit", "bytes", "runs", "entries", "acks", "time", "problem"],
      items.map(({ number, bytes, runs, entries, acks, timeMs, problem }) => [
        ...[number, bytes, runs, entries, acks],
        problem === undefined ? formatTime(timeMs) : "",
        problem ?? "",
      ]),
    );
    tellCursor(out, cursor);
  },
  accounts: ({ inspector, names, out, page }) => {
    const { items, cursor } = inspector.accounts(page);
    const accounts = items.map(({ address, isIntact, version, devices }) => ({
      account: names.format(address),
      version,
      devices: devices.map(({ number }) => number),
      isIntact,
    }));
    out.json({ ok: true, accounts, cursor: cursor ?? null });
    print(
      out,
      ["account", "version", "devices"],
      accounts.map(({ account, version, devices, isIntact }) => [
        account,
        version,
        isIntact ? devices.join(" ") : "damaged",
      ]),
    );
    tellCursor(out, cursor);
  },
};

function showDevice({ inspector, names, out, page }: View, text: string): void {
  const { device, ordinal, queue, rows, keys } = inspector.device(names.device(text), page);
  const name = names.format(device);
  out.json({
    ok: true,
    device: name,
    isRegistered: ordinal !== undefined,
    queue: queue === undefined ? null : { ...queue, device: name },
    rows: rows.items,
    cursor: rows.cursor ?? null,
    keys,
  });
  out.line(`${name}: ${ordinal === undefined ? "never signed in" : "registered"}`);
  const stored = Object.entries(keys).filter(([, { count }]) => count > 0);
  out.line(`keys: ${stored.map(([kind, { count }]) => `${count} ${kind}`).join(", ") || "none"}`);
  if (queue === undefined) {
    out.line("nothing is queued on disk");
    return;
  }
  out.line(
    `${counted(queue.entries, "entry", "entries")}, ${formatBytes(queue.bytes)}, acked up to ${queue.floor}`,
  );
  out.line();
  printRows(out, rows);
}

function printRows(out: Output, { items, cursor }: Page<QueueRowSummary>): void {
  print(
    out,
    ["kind", "entries", "bytes", "first", "last", "stored", ""],
    items.map((row) => [
      row.kind === "gap" ? `gap (${row.reason})` : "entries",
      ...[row.entries, row.bytes, row.firstSequence, row.lastSequence],
      formatTime(row.storedAtMs),
      row.isIntact ? "" : "damaged",
    ]),
  );
  tellCursor(out, cursor);
}

function print(out: Output, head: readonly string[], rows: readonly (readonly (string | number)[])[]): void {
  if (rows.length === 0) {
    out.line("(none)");
    return;
  }
  const [first, ...rest] = table(head, rows);
  out.line(out.bold(first as string));
  for (const line of rest) out.line(line);
}

function tellCursor(out: Output, cursor: string | undefined): void {
  if (cursor !== undefined) out.note(`there is more: --cursor ${cursor}`);
}
