/**
 * The disk of a random world: what is sealed and not yet flushed, what is being spilled, the devices' queues and the
 * floors that a store would know. Flushes and spills take as long as the world's chance has it; what the kernel has
 * handed over must not change meanwhile.
 */
import { textOf } from "./dedup-window.js";
import type { Deliveries, Entry, Stream } from "./deliveries.js";
import type { Lockstep, Sealed, SpilledRun } from "./lockstep.js";

export interface Moment {
  readonly wallMs: number;
  readonly monotonicMs: number;
}

export class Disk {
  private readonly queues = new Map<string, readonly Entry[]>();
  private readonly floors = new Map<string, number>();
  private readonly removals = new Map<string, number>();
  private sealed: { readonly batch: Sealed; readonly positions: ReadonlyMap<Stream, number> } | undefined;
  private spilled: readonly SpilledRun[] | undefined;

  constructor(
    private readonly pair: Lockstep,
    private readonly deliveries: Deliveries,
  ) {}

  get isCommitting(): boolean {
    return this.sealed !== undefined;
  }

  get isSpilling(): boolean {
    return this.spilled !== undefined;
  }

  floor(device: Uint8Array): number {
    return this.floors.get(textOf(device)) ?? 0;
  }

  /** Everything of the removed device, and nothing of one that gets its number, lies at or below this. */
  noteRemoval(device: Uint8Array, ceiling: number): void {
    this.removals.set(textOf(device), ceiling);
    this.floors.set(textOf(device), ceiling);
    this.queues.delete(textOf(device));
    this.deliveries.forget(device);
  }

  private removedThrough(device: Uint8Array): number {
    return this.removals.get(textOf(device)) ?? 0;
  }

  noteFloor(device: Uint8Array, floor: number): void {
    this.floors.set(textOf(device), floor);
  }

  /** The device's entries on disk above its floor. */
  queue(device: Uint8Array): readonly Entry[] {
    const floor = this.floor(device);
    return (this.queues.get(textOf(device)) ?? []).filter(({ sequence }) => sequence > floor);
  }

  /** `positions`: how many sends of each connection the kernel has taken by now. False when nothing is to commit. */
  seal(moment: Moment, positions: ReadonlyMap<Stream, number>): boolean {
    const batch = this.pair.seal(moment.wallMs, moment.monotonicMs);
    if (batch === undefined) return false;
    this.sealed = { batch, positions };
    return true;
  }

  /** The flush has returned. */
  commit(moment: Moment): void {
    if (this.sealed === undefined) return;
    for (const [stream, position] of this.sealed.positions) stream.durable = position;
    this.pair.committed(this.sealed.batch, moment.monotonicMs);
    this.sealed = undefined;
  }

  scan(runsBudget: number): boolean {
    const { seen, record, rows } = this.pair.spillScan(runsBudget);
    if (seen === 0 && record === 0) return false;
    this.spilled = rows;
    return true;
  }

  /** The rows are on disk. */
  release(): void {
    for (const { device, firstSequence, lastSequence, frames } of this.spilled ?? []) {
      // Removed since the scan: what was its own is not kept.
      if (this.removedThrough(device) >= lastSequence) continue;
      const entries = this.deliveries
        .of(device)
        .filter(({ sequence }) => sequence >= firstSequence && sequence <= lastSequence);
      this.pair.sameBytes("what a queue is given", frames, Buffer.concat(entries.map(({ frame }) => frame)));
      this.queues.set(textOf(device), [...this.queue(device), ...entries]);
    }
    this.spilled = undefined;
    this.pair.release();
  }

  /** Commits and spills until the tail is empty; nothing is sent meanwhile. */
  settle(moment: Moment): void {
    do this.commit(moment);
    while (this.seal(moment, new Map()));
    if (this.isSpilling) this.release();
    while (this.scan(100_000)) this.release();
    this.pair.same("the tail in use when all is spilled", this.pair.kernel.tailUsed, 0);
  }
}
