/**
 * How many sockets each source address has that have not signed in, so that one
 * address cannot take the places that newcomers have: those still in HTTP, and
 * those upgraded and not attached.
 *
 *   accept ──▶ head ──▶ upgraded ──▶ settled (attached, ended or closed)
 *
 * Invariants. Upgraded ones are counted exactly. When a head closes, the addon
 * no longer knows whose it was, so a head counts until it is upgraded or for one
 * to two of HEAD_SPAN_MS: a span covers the longest that the addon keeps one,
 * and a bounded number of addresses can be in it, because heads are bounded.
 *
 * An address is what an operator hands out to one party: IPv4 whole (also where
 * it comes mapped into IPv6), of IPv6 the first 64 bits.
 */
const HEAD_SPAN_MS = 14_000;
const IPV4_BYTES = 4;
const IPV6_PREFIX_BYTES = 8;
const MAPPED_PREFIX = Buffer.from("00000000000000000000ffff", "hex");

export class Newcomers {
  readonly #max: number;
  readonly #spanTicks: number;
  /** Accepted and not upgraded, in the present span and the one before. */
  #heads = new Map<string, number>();
  #olderHeads = new Map<string, number>();
  readonly #upgraded = new Map<string, number>();
  #tick = 0;

  constructor(options: { readonly perAddressMax: number; readonly sweepMs: number }) {
    this.#max = options.perAddressMax;
    this.#spanTicks = Math.ceil(HEAD_SPAN_MS / options.sweepMs);
  }

  /** Counts a socket in; false when its address has as many newcomers as it may, and then it is not counted. */
  accept(address: string): boolean {
    if (this.of(address) >= this.#max) return false;
    add(this.#heads, address, 1);
    return true;
  }

  /** A head became a WebSocket connection that has not signed in. */
  upgraded(address: string): void {
    add(this.#heads.has(address) ? this.#heads : this.#olderHeads, address, -1);
    add(this.#upgraded, address, 1);
  }

  /** An upgraded one has signed in, or is gone. */
  settled(address: string): void {
    add(this.#upgraded, address, -1);
  }

  of(address: string): number {
    const heads = (this.#heads.get(address) ?? 0) + (this.#olderHeads.get(address) ?? 0);
    return heads + (this.#upgraded.get(address) ?? 0);
  }

  /** Once per sweep of the edge. */
  advance(): void {
    if (++this.#tick % this.#spanTicks !== 0) return;
    this.#olderHeads = this.#heads;
    this.#heads = new Map();
  }
}

/** An address as the addon gives it (4 or 16 bytes), as a map's key. */
export function addressKey(bytes: ArrayBuffer): string {
  const address = Buffer.from(bytes);
  if (address.length <= IPV4_BYTES) return address.toString("latin1");
  const isMapped = address.subarray(0, MAPPED_PREFIX.length).equals(MAPPED_PREFIX);
  const part = isMapped ? address.subarray(MAPPED_PREFIX.length) : address.subarray(0, IPV6_PREFIX_BYTES);
  return part.toString("latin1");
}

/** Rows at 0 are removed; what was forgotten with its span cannot be taken off again. */
function add(counts: Map<string, number>, address: string, change: number): void {
  const count = (counts.get(address) ?? 0) + change;
  if (count > 0) counts.set(address, count);
  else counts.delete(address);
}
