/** What the parts of a check share (check.ts): the directory, and what was found in it. */
import { type AccountAddress, accountOf, type DeviceAddress, deviceNumber } from "../base/address.js";
import { type AccountRow, decodeAccount } from "./account-rows.js";
import type { CheckFinding } from "./check-report.js";
import type { Database, Row } from "./database.js";
import type { DirectoryState } from "./read-only.js";
import {
  accountKey,
  addressInKey,
  deviceKey,
  partitionOf,
  type StorePart,
  type TableName,
} from "./schema.js";

const ROWS_PER_READ = 64;
/** Where a device's rows go in the transaction that removes it; elsewhere they are erased afterwards. */
const goWithDevice: ReadonlySet<StorePart> = new Set(["keys", "push"]);

export class Checker {
  readonly database: Database;
  readonly state: DirectoryState;
  readonly findings: CheckFinding[] = [];
  findingCount = 0;
  readonly brandBytes = new Map<number, number>();
  /** By the number of a shared part: entries of queues that refer to it. */
  readonly references = new Map<number, number>();
  readonly #findingsMax: number;

  constructor(database: Database, state: DirectoryState, findingsMax: number) {
    this.database = database;
    this.state = state;
    this.#findingsMax = findingsMax;
  }

  find(finding: CheckFinding): void {
    this.findingCount++;
    if (this.findings.length < this.#findingsMax) this.findings.push(finding);
  }

  /** Hands every row of a table to `visit`, with a pause and a fresh read after some. */
  async eachRow(table: TableName, visit: (row: Row) => void): Promise<void> {
    if (!this.database.has(table)) return;
    let start: Uint8Array | undefined;
    try {
      for (;;) {
        this.database.refresh();
        let count = 0;
        for (const row of this.database.rows(table, { ...(start && { start }), limit: ROWS_PER_READ })) {
          visit(row);
          start = Buffer.concat([row.key, Buffer.of(0)]);
          count++;
        }
        if (count < ROWS_PER_READ) return;
        await new Promise((resolve) => setImmediate(resolve));
      }
    } catch (error) {
      this.find({ table, kind: "unreadable", detail: (error as Error).message });
    }
  }

  /** A row, if the directory has the table at all: an earlier version may not. */
  row(table: TableName, key: Uint8Array): Uint8Array | undefined {
    return this.database.has(table) ? this.database.get(table, key) : undefined;
  }

  account(address: AccountAddress): AccountRow | undefined {
    const key = accountKey(address);
    const row = this.row("accounts", key);
    return row && decodeAccount(key, row);
  }

  /** Finds fault with a device that no roster lists, unless it was removed and what it had is still to be erased. */
  requireRegistered(table: StorePart, device: DeviceAddress, number?: number): void {
    const isListed = this.account(accountOf(device))?.devices.some(
      (entry) => entry.number === deviceNumber(device),
    );
    const isErasedLater = !goWithDevice.has(table) && this.row("erasures", deviceKey(device)) !== undefined;
    if (isListed || isErasedLater) return;
    this.find({
      table,
      kind: "reference",
      detail: "its device is not registered",
      address: device,
      ...(number !== undefined && { number }),
    });
  }

  requirePartition(table: TableName, key: Uint8Array): void {
    const address = addressInKey(key);
    if (partitionOf(address) === (((key[0] as number) << 8) | (key[1] as number))) return;
    this.find({ table, kind: "damaged", detail: "the key names a wrong partition", address });
  }
}
