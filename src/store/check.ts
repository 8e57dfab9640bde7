/**
 * Verifies a data directory, live or closed (read-only.ts), row by row, and
 * says what it found. It changes nothing.
 *
 *   rows        every CRC and length; keys in their account's partition
 *   journal     every block is there and its parts add up
 *   queues      sequences rise within a row and from row to row; running totals
 *               are continuous; frames are deliver frames of the sequences and
 *               count the header says; gaps stand in front
 *   floors      each lies inside the first row of its queue
 *   references  ordinals are given once and below the next; devices with a
 *               queue or a run, and senders of dedup keys, are registered;
 *               names and their accounts know each other (check-accounts.ts);
 *               delivery tokens are of accounts that are there
 *   keys        a device's one-time keys follow each other as its head says, ids
 *               rising above those handed out; pairs and holders are counted
 *   shared      every part that is referred to is there, with the count of its
 *               references, and no other
 *   push        targets belong to devices that are registered
 *   counters    each brand's bytes are what its queues hold (closed only: a
 *               live directory changes between two reads)
 *
 * A live directory is read one queue, or some rows of another table, at a time.
 */
import { SEALED_ORDINAL } from "../rules/sealed.js";
import { brandInRow } from "./brand-bytes.js";
import {
  checkAccounts,
  checkDeliveryTokens,
  checkNames,
  checkOutbox,
  checkPush,
  checkRemovals,
} from "./check-accounts.js";
import { checkContacts } from "./check-contacts.js";
import { checkGroups } from "./check-groups.js";
import { checkKeys } from "./check-keys.js";
import { checkParts } from "./check-parts.js";
import { checkQueues } from "./check-queues.js";
import type { CheckReport } from "./check-report.js";
import { Checker } from "./checker.js";
import { entryBytesAt, isReferenceAt, partAt } from "./frames.js";
import { openReadOnly, visitJournal } from "./read-only.js";
import { DEDUP_KEY_BYTES, decodeDedup, readU32, readU64BE } from "./schema.js";

function checkJournal(checker: Checker): CheckReport["journal"] {
  const counts = { blocks: 0, entries: 0, acks: 0 };
  const damages = visitJournal(checker.database, checker.state, ({ site, records }) => {
    counts.blocks++;
    for (const { runs, acks, parts } of records) {
      counts.acks += acks.length;
      for (const run of runs) {
        counts.entries += run.entryCount;
        if (run.hasReferences && !areThere(run.frames, parts)) {
          const detail = "a run refers to a shared part that its record does not hold";
          checker.find({
            table: "journal",
            kind: "reference",
            detail,
            address: run.device,
            number: site.number,
          });
        }
        checker.requireRegistered("journal", run.device, site.number);
      }
    }
  });
  for (const damage of damages) checker.find({ table: "journal", kind: "damaged", ...damage });
  return counts;
}

function areThere(entries: Uint8Array, parts: ReadonlyMap<number, Uint8Array>): boolean {
  for (let at = 0; at < entries.length; ) {
    const bytes = entryBytesAt(entries, at);
    if (bytes === 0 || (isReferenceAt(entries, at) && !parts.has(partAt(entries, at)))) return false;
    at += bytes;
  }
  return true;
}

async function checkDedup(checker: Checker): Promise<CheckReport["dedup"]> {
  const counts = { rows: 0, keys: 0 };
  await checker.eachRow("dedup", ({ key, value }) => {
    counts.rows++;
    const number = readU64BE(key, 0);
    const row = decodeDedup(key, value);
    if (row === undefined) {
      checker.find({ table: "dedup", kind: "damaged", detail: "the row is damaged", number });
      return;
    }
    counts.keys += row.keys.length / DEDUP_KEY_BYTES;
    if (checker.state.ownerPid || checker.state.nextOrdinal === undefined) return;
    for (let at = 0; at < row.keys.length; at += DEDUP_KEY_BYTES) {
      const ordinal = readU32(row.keys, at);
      // Ordinal 0 is the node itself, which sends notices; the last one stands for all that is sealed.
      if (ordinal < checker.state.nextOrdinal || ordinal === SEALED_ORDINAL) continue;
      checker.find({
        table: "dedup",
        kind: "reference",
        detail: `ordinal ${ordinal} was never given`,
        number,
      });
    }
  });
  return counts;
}

/** The meta rows: counters against what the queues were found to hold. */
async function checkCounters(checker: Checker): Promise<void> {
  const { brandBytes } = checker;
  await checker.eachRow("meta", (row) => {
    const counter = brandInRow(row);
    if (counter === undefined) return;
    const { brand, queuedBytes } = counter;
    const held = brandBytes.get(brand) ?? 0;
    brandBytes.delete(brand);
    if (queuedBytes === undefined) {
      checker.find({ table: "meta", kind: "damaged", detail: "a brand's counter is damaged", number: brand });
    } else if (!checker.state.ownerPid && queuedBytes !== held) {
      const detail = `brand ${brand} counts ${queuedBytes} bytes where its queues hold ${held}`;
      checker.find({ table: "meta", kind: "totals", detail, number: brand });
    }
  });
  for (const [brand, held] of checker.state.ownerPid ? [] : brandBytes) {
    if (held === 0) continue;
    const detail = `brand ${brand} has no counter where its queues hold ${held} bytes`;
    checker.find({ table: "meta", kind: "totals", detail, number: brand });
  }
}

/** Verifies a whole data directory. Throws like openReadOnly; anything else wrong is a finding. */
export async function checkDirectory(
  directory: string,
  options: { readonly findingsMax?: number } = {},
): Promise<CheckReport> {
  const { database, state } = openReadOnly(directory);
  try {
    const checker = new Checker(database, state, options.findingsMax ?? 1_000);
    for (const name of ["epoch", "nextOrdinal"] as const) {
      if (state[name] === undefined) {
        checker.find({
          table: "meta",
          kind: "damaged",
          detail: `the row of the ${name} is missing or damaged`,
        });
      }
    }
    const journal = checkJournal(checker);
    const queues = await checkQueues(checker);
    const shared = await checkParts(checker);
    const dedup = await checkDedup(checker);
    const accounts = await checkAccounts(checker);
    const removals = await checkRemovals(checker);
    const names = await checkNames(checker);
    const groups = await checkGroups(checker);
    const contacts = await checkContacts(checker);
    const keys = await checkKeys(checker);
    const deliveryTokens = await checkDeliveryTokens(checker);
    const outbox = await checkOutbox(checker);
    const push = await checkPush(checker);
    await checkCounters(checker);
    const { findings, findingCount } = checker;
    const tables = {
      journal,
      queues,
      shared,
      dedup,
      accounts,
      removals,
      names,
      groups,
      contacts,
      keys,
      deliveryTokens,
      outbox,
      push,
    };
    return { ...state, ok: findingCount === 0, ...tables, findings, findingCount };
  } finally {
    await database.close();
  }
}
