/** The table of agreements, for `interline check`: whole, in its giver's partition, given by somebody who is there. */
import { equalBytes, toHex } from "../base/bytes.js";
import { isCoverage } from "../rules/contacts.js";
import { limits } from "../rules/limits.js";
import type { CheckReport } from "./check-report.js";
import type { Checker } from "./checker.js";
import { decodeContacts } from "./contacts.js";
import { addressInKey } from "./schema.js";

export async function checkContacts(checker: Checker): Promise<CheckReport["contacts"]> {
  const counts = { agreements: 0, ends: 0 };
  await checker.eachRow("contacts", ({ key, value }) => {
    const account = addressInKey(key);
    const find = (kind: "damaged" | "reference" | "totals", detail: string): void =>
      checker.find({ table: "contacts", kind, detail, address: account });
    checker.requirePartition("contacts", key);
    const row = decodeContacts(key, value);
    if (row === undefined) return find("damaged", "the row is damaged");
    const { endedAt, agreements } = row;
    if (endedAt > 0) counts.ends++;
    counts.agreements += agreements.length;
    if (agreements.length > limits.contactsMax)
      find("totals", "an account has more agreements than it may have");
    if (new Set(agreements.map((agreement) => toHex(agreement.account))).size < agreements.length)
      find("totals", "an account has agreed twice with another");
    for (const { account: other, covers } of agreements) {
      if (!isCoverage(covers)) find("damaged", "an agreement covers nothing that is known");
      if (equalBytes(other, account)) find("reference", "an account has agreed with itself");
    }
    const record = checker.account(account);
    if (agreements.length > 0 && (record === undefined || record.isRemoved))
      find("reference", "its account is not registered");
  });
  return counts;
}
