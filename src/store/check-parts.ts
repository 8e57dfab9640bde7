/**
 * The part of check.ts that reads shared parts: each is whole, entries of queues refer to it, and its count says how
 * many. What refers to a part was counted by check-queues.ts before.
 */
import type { CheckReport } from "./check-report.js";
import type { Checker } from "./checker.js";
import { countKey, decodePart, isCountKey, numberInKey, partKey } from "./part-rows.js";
import { decodeNumber } from "./schema.js";

export async function checkParts(checker: Checker): Promise<CheckReport["shared"]> {
  const counts = { parts: 0, references: 0, bytes: 0 };
  // A directory of version 2 has none.
  if (!checker.database.has("shared")) return counts;
  // A live directory changes between two reads: there only what is damaged counts.
  const isLive = checker.state.ownerPid !== undefined;
  const { references } = checker;
  for (const count of references.values()) counts.references += count;
  await checker.eachRow("shared", ({ key, value }) => {
    const number = numberInKey(key);
    const find = (kind: "damaged" | "totals" | "reference", detail: string): void =>
      checker.find({ table: "shared", kind, detail, number });
    if (isCountKey(key)) {
      const count = decodeNumber(key, value);
      const held = references.get(number) ?? 0;
      if (count === undefined) find("damaged", "the count of its references is damaged");
      else if (!isLive && count !== held)
        find("totals", `it counts ${count} references where there are ${held}`);
      if (!isLive && checker.database.get("shared", partKey(number)) === undefined) {
        find("reference", "there is a count of its references, and no part");
      }
      return;
    }
    counts.parts++;
    counts.bytes += key.length + value.length;
    if (decodePart(key, value) === undefined) find("damaged", "the part is damaged");
    if (isLive) return;
    if (!references.has(number)) find("reference", "nothing refers to it");
    if (checker.database.get("shared", countKey(number)) === undefined) {
      find("totals", "the count of its references is missing");
    }
  });
  for (const [number, count] of isLive ? [] : references) {
    if (checker.database.get("shared", partKey(number)) !== undefined) continue;
    checker.find({
      table: "shared",
      kind: "reference",
      detail: `${count} entries refer to it, and it is missing`,
      number,
    });
  }
  return counts;
}
