/**
 * Judges what devices saw of the key directory by what it promises, and by
 * nothing else: it shares no code with the engine and knows no state of it.
 *
 *   repeated   one one-time key was handed out twice, by its id or by its bytes
 *   forged     a device was given as another's key what that one never uploaded
 *   kept       a key that was handed out counts as stored in the end
 *   differing  what is stored in the end is not what was uploaded last and not handed out
 *   found      the data directory is found wrong when all is over
 *   refused    a claim or an upload was refused that nothing stood against
 */
import { createHash } from "node:crypto";

/** Devices are named by 20 bytes in hex, keys by the digest of their bytes. */
export type ClaimEvent =
  | {
      readonly op: "uploading";
      readonly device: string;
      readonly kind: string;
      readonly keys: readonly NotedKey[];
    }
  | {
      readonly op: "claimed";
      readonly by: string;
      readonly device: string;
      readonly kind: string;
      readonly key: NotedKey;
    }
  | { readonly op: "refused"; readonly by: string; readonly what: string; readonly code: number }
  | { readonly op: "killed" }
  | { readonly op: "found"; readonly detail: string }
  /** The node's own last word about a device's keys of a kind. */
  | {
      readonly op: "stored";
      readonly device: string;
      readonly kind: string;
      readonly count: number;
      readonly claimedThrough: number;
      readonly digest: string;
    };

export interface NotedKey {
  readonly id: number;
  readonly bytes: Buffer;
}

export interface ClaimVerdict {
  readonly faults: readonly string[];
  readonly kills: number;
  /** One-time keys that were handed out. */
  readonly oneTime: number;
  readonly lastResorts: number;
  count(rule: string): number;
}

/** Kinds that are handed out once, with the number that stands for each in a digest (docs/protocol.md). */
const ONE_TIME = new Map([
  ["preKey", 16],
  ["kyberPreKey", 17],
  ["keyPackage", 18],
]);

interface Known {
  /** Every key that was ever uploaded, by id and bytes. */
  readonly uploaded: Set<string>;
  latest: readonly NotedKey[];
  readonly handedIds: Set<number>;
  readonly handedBytes: Set<string>;
}

export function judgeClaims(events: readonly ClaimEvent[]): ClaimVerdict {
  const known = new Map<string, Known>();
  const faults: string[] = [];
  const counts = { kills: 0, oneTime: 0, lastResorts: 0 };
  const at = (device: string, kind: string): Known => {
    const name = `${device} ${kind}`;
    const found = known.get(name) ?? {
      uploaded: new Set(),
      latest: [],
      handedIds: new Set(),
      handedBytes: new Set(),
    };
    known.set(name, found);
    return found;
  };
  for (const event of events) {
    if (event.op === "killed") counts.kills++;
    else if (event.op === "found") faults.push(`found: ${event.detail}`);
    else if (event.op === "refused") faults.push(`refused: ${event.by}, ${event.what}: ${event.code}`);
    else if (event.op === "uploading") {
      const here = at(event.device, event.kind);
      here.latest = event.keys;
      for (const key of event.keys) here.uploaded.add(nameOf(key));
    } else if (event.op === "claimed") {
      const { device, kind, key } = event;
      const here = at(device, kind);
      if (!here.uploaded.has(nameOf(key))) faults.push(`forged: ${kind} ${key.id} of ${device}`);
      if (!ONE_TIME.has(kind)) {
        counts.lastResorts += kind.startsWith("lastResort") ? 1 : 0;
        continue;
      }
      counts.oneTime++;
      const bytes = key.bytes.toString("hex");
      if (here.handedIds.has(key.id) || here.handedBytes.has(bytes)) {
        faults.push(`repeated: ${kind} ${key.id} of ${device}`);
      }
      here.handedIds.add(key.id);
      here.handedBytes.add(bytes);
    } else judgeStored(event, at(event.device, event.kind), faults);
  }
  return { faults, ...counts, count: (rule) => faults.filter((fault) => fault.startsWith(rule)).length };
}

function judgeStored(event: ClaimEvent & { op: "stored" }, known: Known, faults: string[]): void {
  const { device, kind, claimedThrough } = event;
  const number = ONE_TIME.get(kind);
  if (number === undefined) return;
  const highest = Math.max(0, ...known.handedIds);
  if (claimedThrough < highest)
    faults.push(`kept: ${kind}s of ${device} up to ${highest}, where ${claimedThrough} is said`);
  const left = known.latest.filter(({ id }) => id > claimedThrough);
  const isSame = left.length === event.count && digestOf(device, number, left) === event.digest;
  if (!isSame) faults.push(`differing: ${event.count} ${kind}s of ${device}, where ${left.length} should be`);
}

/** As docs/protocol.md says it. */
export function digestOf(device: string, kind: number, keys: readonly NotedKey[]): string {
  const head = Buffer.alloc(5);
  head.writeUInt8(kind);
  head.writeUInt32BE(keys.length, 1);
  const hash = createHash("sha256")
    .update("interline keys v1")
    .update(Buffer.from(device, "hex"))
    .update(head);
  for (const { id, bytes } of keys) {
    const before = Buffer.alloc(12);
    before.writeBigUInt64BE(BigInt(id));
    before.writeUInt32BE(bytes.length, 8);
    hash.update(before).update(bytes);
  }
  return hash.digest("hex");
}

const nameOf = ({ id, bytes }: NotedKey): string => `${id} ${bytes.toString("hex")}`;
