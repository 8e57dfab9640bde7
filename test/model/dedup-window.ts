/**
 * The model of dedup: two sets of keys. A new key goes into the newer set; when that has taken its count or its time
 * the older one is forgotten and the newer becomes the older. What was accepted since the last seal is listed.
 */
export class DedupWindow {
  private older = new Set<string>();
  private newer = new Set<string>();
  private since = 0;

  constructor(
    private readonly keysMax: number,
    private readonly ms: number,
  ) {}

  /** Looked at once a turn, and before a key is taken in. */
  age(monotonicMs: number): void {
    if (this.since === 0) this.since = monotonicMs;
    if (this.newer.size < this.keysMax && monotonicMs - this.since < this.ms) return;
    this.older = this.newer;
    this.newer = new Set();
    this.since = monotonicMs;
  }

  has(key: string): boolean {
    return this.older.has(key) || this.newer.has(key);
  }

  add(key: string, monotonicMs: number): void {
    this.age(monotonicMs);
    this.newer.add(key);
  }
}

/** A key as text, one character a byte. */
export function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

/** Ordinal u32 little-endian, then the id: the twenty bytes that go into the journal. */
export function dedupKey(ordinal: number, id: Uint8Array): Uint8Array {
  const key = new Uint8Array(20);
  new DataView(key.buffer).setUint32(0, ordinal, true);
  key.set(id, 4);
  return key;
}
