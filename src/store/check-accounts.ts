/** The part of a check that is about accounts: rosters, what is left of removed devices, names, delivery tokens, notices owed, push targets. */
import { type AccountAddress, accountAddress } from "../base/address.js";
import { equalBytes } from "../base/bytes.js";
import {
  type AccountRow,
  decodeAccount,
  decodeDeliveryTokens,
  decodeName,
  decodeNotice,
} from "./account-rows.js";
import type { CheckReport } from "./check-report.js";
import type { Checker } from "./checker.js";
import { nameAddress } from "./names.js";
import { decodeTarget } from "./push-targets.js";
import { accountKey, addressInKey, decodeNumber, NAMED_KEY_BYTES, namedKey, readU64BE } from "./schema.js";

export async function checkAccounts(checker: Checker): Promise<CheckReport["accounts"]> {
  const counts = { accounts: 0, devices: 0 };
  const ordinals = new Set<number>();
  await checker.eachRow("accounts", ({ key, value }) => {
    counts.accounts++;
    const address = addressInKey(key);
    checker.requirePartition("accounts", key);
    const row = decodeAccount(key, value);
    if (row === undefined) {
      checker.find({ table: "accounts", kind: "damaged", detail: "the row is damaged", address });
      return;
    }
    counts.devices += row.devices.length;
    checkRoster(checker, { address, ...row }, ordinals);
  });
  return counts;
}

/** `ordinals` are those of the accounts before. */
function checkRoster(
  checker: Checker,
  { address, devices, isRemoved }: AccountRow & { readonly address: AccountAddress },
  ordinals: Set<number>,
): void {
  const find = (kind: "reference" | "order", detail: string): void =>
    checker.find({ table: "accounts", kind, detail, address });
  if (isRemoved && devices.length > 0) find("reference", "a removed account has devices");
  const numbers = new Set<number>();
  let previous = 0;
  for (const { number, ordinal } of devices) {
    const isGiven = ordinal > 0 && ordinal < (checker.state.nextOrdinal ?? Number.POSITIVE_INFINITY);
    if (!checker.state.ownerPid && !isGiven) find("reference", `ordinal ${ordinal} was never given`);
    if (ordinals.has(ordinal)) find("reference", `ordinal ${ordinal} is given twice`);
    // A roster is in the order of registration.
    if (ordinal <= previous || numbers.has(number)) find("order", `device ${number} is out of order`);
    ordinals.add(ordinal);
    numbers.add(number);
    previous = ordinal;
  }
}

export async function checkRemovals(checker: Checker): Promise<CheckReport["removals"]> {
  const counts = { tombstones: 0, erasures: 0 };
  for (const table of ["tombstones", "erasures"] as const) {
    await checker.eachRow(table, ({ key, value }) => {
      counts[table]++;
      checker.requirePartition(table, key);
      if (decodeNumber(key, value) !== undefined) return;
      checker.find({ table, kind: "damaged", detail: "the row is damaged", address: addressInKey(key) });
    });
  }
  return counts;
}

export async function checkNames(checker: Checker): Promise<CheckReport["names"]> {
  const counts = { names: 0 };
  await checker.eachRow("names", ({ key, value }) => {
    counts.names++;
    const place = addressInKey(key);
    const brand = ((place[0] as number) << 8) | (place[1] as number);
    const row = decodeName(key, value);
    const fault = (kind: "damaged" | "reference", detail: string): void =>
      checker.find({ table: "names", kind, detail, number: brand });
    if (row === undefined) return fault("damaged", "the row is damaged");
    if (!equalBytes(nameAddress({ brand, name: row.name }), place))
      fault("damaged", "it is another name's row");
    const owner = accountAddress(brand, row.account);
    const account = checker.account(owner);
    if (account === undefined || account.isRemoved) fault("reference", "its account is not registered");
    if (checker.row("named", namedKey(owner, place)) === undefined)
      fault("reference", "its account does not list it");
  });
  await checker.eachRow("named", ({ key, value }) => {
    const account = addressInKey(key.subarray(0, NAMED_KEY_BYTES - 16));
    checker.requirePartition("named", key.subarray(0, NAMED_KEY_BYTES - 16));
    const fault = (kind: "damaged" | "reference", detail: string): void =>
      checker.find({ table: "named", kind, detail, address: account });
    if (decodeNumber(key, value) === undefined) return fault("damaged", "the row is damaged");
    const name = accountAddress(
      ((account[0] as number) << 8) | (account[1] as number),
      key.subarray(NAMED_KEY_BYTES - 16),
    );
    if (checker.row("names", accountKey(name)) === undefined) fault("reference", "there is no such name");
  });
  return counts;
}

export async function checkDeliveryTokens(checker: Checker): Promise<CheckReport["deliveryTokens"]> {
  const counts = { accounts: 0 };
  await checker.eachRow("deliveryTokens", ({ key, value }) => {
    counts.accounts++;
    const address = addressInKey(key);
    checker.requirePartition("deliveryTokens", key);
    const fault = (kind: "damaged" | "reference", detail: string): void =>
      checker.find({ table: "deliveryTokens", kind, detail, address });
    if (decodeDeliveryTokens(key, value) === undefined) return fault("damaged", "the row is damaged");
    const account = checker.account(address);
    if (account === undefined || account.isRemoved) fault("reference", "its account is not registered");
  });
  return counts;
}

export async function checkOutbox(checker: Checker): Promise<CheckReport["outbox"]> {
  const counts = { notices: 0 };
  await checker.eachRow("outbox", ({ key, value }) => {
    counts.notices++;
    if (decodeNotice(key, value) !== undefined) return;
    checker.find({
      table: "outbox",
      kind: "damaged",
      detail: "the row is damaged",
      number: readU64BE(key, 0),
    });
  });
  return counts;
}

export async function checkPush(checker: Checker): Promise<CheckReport["push"]> {
  const counts = { targets: 0 };
  await checker.eachRow("push", ({ key, value }) => {
    counts.targets++;
    const address = addressInKey(key);
    checker.requirePartition("push", key);
    if (decodeTarget(key, value) !== undefined) checker.requireRegistered("push", address);
    else checker.find({ table: "push", kind: "damaged", detail: "the row is damaged", address });
  });
  return counts;
}
