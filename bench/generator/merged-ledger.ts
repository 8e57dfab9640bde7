/**
 * Judges a run whose senders and receivers were in several processes, from what
 * each of them knows (ledger.ts). For a pair with S sends, of which W were refused
 * for good, whose highest arrival is H, and of whose counters below that M never
 * arrived:
 *
 *   lost          in 1 … S, not in W, and in M or above H
 *   misdelivered  arrived (in 1 … H and not in M) and above S or in W
 *
 * Duplicates and late arrivals are seen by the receiver alone, who counts them.
 * Totals are never enough: what was made up somewhere must not make up for a loss.
 */
import { inflateSync } from "node:zlib";
import { assert } from "../../src/base/assert.js";
import type { LedgerPart, PairCounters } from "./ledger.js";

export interface Judgement {
  /** Sends that were not refused for good. */
  readonly sent: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly reordered: number;
  readonly misdelivered: number;
}

/** Of all processes of a run, in any order. */
export function judgeParts(parts: readonly LedgerPart[]): Judgement {
  const pairs = parts[0]?.pairs ?? 0;
  assert(
    parts.every((part) => part.pairs === pairs),
    "all processes know the same pairs",
  );
  const sent = new Uint32Array(pairs);
  const received = new Uint32Array(pairs);
  for (const part of parts) {
    addTo(sent, unpacked(part.sent));
    addTo(received, unpacked(part.received));
  }
  const missing = byPair(parts.flatMap((part) => part.missing));
  const withdrawn = byPair(parts.flatMap((part) => part.withdrawn));
  let lost = 0;
  let strange = 0;
  for (let pair = 0; pair < pairs; pair++) {
    const sentTo = sent[pair]!;
    const arrivedTo = received[pair]!;
    const odd = missing.has(pair) || withdrawn.has(pair);
    if (sentTo === arrivedTo && !odd) continue;
    const holes = missing.get(pair) ?? nothing;
    const refused = withdrawn.get(pair) ?? nothing;
    const never = (counter: number) => counter > sentTo || refused.has(counter);
    const refusedAbove = count(refused, (counter) => counter > arrivedTo);
    lost += Math.max(0, sentTo - arrivedTo) - refusedAbove + count(holes, (counter) => !never(counter));
    strange += Math.max(0, arrivedTo - sentTo) - count(holes, (counter) => counter > sentTo);
    strange += count(refused, (counter) => counter <= arrivedTo && !holes.has(counter));
  }
  const sumOf = (pick: (part: LedgerPart) => number) => parts.reduce((sum, part) => sum + pick(part), 0);
  return {
    sent: sumOf((part) => part.sentCount),
    lost,
    duplicated: sumOf((part) => part.duplicated),
    reordered: sumOf((part) => part.reordered),
    misdelivered: strange + sumOf((part) => part.misdelivered),
  };
}

const nothing: ReadonlySet<number> = new Set();

function unpacked(text: string): Uint32Array {
  const bytes = inflateSync(Buffer.from(text, "base64"));
  return new Uint32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}

/** A pair has one sender and one receiver, so at most one process has anything for it. */
function addTo(sums: Uint32Array, counters: Uint32Array): void {
  for (let pair = 0; pair < sums.length; pair++) sums[pair]! += counters[pair]!;
}

function byPair(lists: readonly PairCounters[]): ReadonlyMap<number, ReadonlySet<number>> {
  return new Map(lists.map(([pair, counters]) => [pair, new Set(counters)]));
}

function count(counters: ReadonlySet<number>, matches: (counter: number) => boolean): number {
  let found = 0;
  for (const counter of counters) if (matches(counter)) found += 1;
  return found;
}
