/**
 * Agreements between accounts: who may see another's signals and presence. Each side gives its own agreement with the
 * other; what both cover, and nothing else, passes between them, in both directions alike.
 *
 * An agreement is with whoever the other account was when it was given: it ends with that account's removal. The account
 * row's version, which only rises, tells the two apart.
 */
import type { AccountAddress } from "../base/address.js";
import { equalBytes } from "../base/bytes.js";
import type { CodeName } from "../wire/codes.js";
import { COVERS_ALL } from "../wire/contacts.js";
import { limits } from "./limits.js";

/** One line per rule, in order of precedence. None of them asks whether the other account exists. */
export function judgeAllow(allow: {
  readonly by: AccountAddress;
  readonly other: AccountAddress;
  readonly covers: number;
  /** Whether envelopes pass between the two brands, both ways. */
  readonly mayMeet: boolean;
}): CodeName | undefined {
  if (!isCoverage(allow.covers)) return "badRequest";
  if (equalBytes(allow.by, allow.other)) return "badRequest";
  if (!allow.mayMeet) return "brandsClosed";
  return undefined;
}

/** Whether these bits stand for something that can be agreed to or taken back. */
export function isCoverage(covers: number): boolean {
  return covers > 0 && (covers & ~COVERS_ALL) === 0;
}

/** Whether an account that has agreed with so many others may agree with one more. */
export function mayHaveOneMore(count: number): boolean {
  return count < limits.contactsMax;
}

/**
 * Whether an agreement that was given to an account of this version is one with whoever is there now. `endedAt`: the
 * version that its last removal left behind; undefined when it was never removed.
 */
export function isWithPresentOwner(givenAt: number, endedAt: number | undefined): boolean {
  return endedAt === undefined || givenAt > endedAt;
}
