/**
 * The edge's books: which sockets there are, which of them still owe something
 * (a hello, the taking of waiting bytes, their own end), and what was counted.
 *
 * Invariants. A link is in `links` from open until it is ended or closed, and
 * in `waiting` for as much of that as it is not attached. Removal swaps the
 * last link into the gap, so whoever ends links collects them first and never
 * walks `links` while ending. Counters only rise.
 */
import { assert } from "../base/assert.js";
import type { CodeName } from "../wire/codes.js";
import { type Link, type LinkOwner, stages } from "./link.js";

/**
 * After the native end a descriptor lives until the peer has closed too; the
 * addon cuts it after its own margin of 4 s, kept in steps of 4 s.
 */
const LINGER_MS_MAX = 8_000;

export class LinkTable implements LinkOwner {
  tick = 0;
  readonly endingTicks: number;
  readonly links: Link[] = [];
  /** Open and not yet attached, oldest first. */
  readonly waiting = new Set<Link>();
  /** Hello said, and sign-in not begun, oldest first. */
  readonly signingIn = new Set<Link>();
  readonly backlogs = new Set<Link>();
  readonly ending = new Set<Link>();
  /** How often each code ended a connection. */
  readonly ended = new Map<CodeName, number>();
  /** How many native ends each of the last ticks saw: a ring, and its sum. */
  readonly #lingering: Uint32Array;
  #lingeringCount = 0;
  readonly #detach: (link: Link) => void;
  readonly #settled: (link: Link) => void;

  /** `settled`: the link has signed in or left before it did; told once for each. */
  constructor(options: {
    sweepMs: number;
    endingMs: number;
    detach: (link: Link) => void;
    settled: (link: Link) => void;
  }) {
    this.endingTicks = Math.ceil(options.endingMs / options.sweepMs);
    this.#lingering = new Uint32Array(Math.ceil(LINGER_MS_MAX / options.sweepMs) + 1);
    this.#detach = options.detach;
    this.#settled = options.settled;
  }

  /** Descriptors of upgraded sockets that may be held: open, ending, or ended and not yet closed by the peer. */
  get heldCount(): number {
    return this.links.length + this.ending.size + this.#lingeringCount;
  }

  advance(): void {
    this.tick++;
    const index = this.tick % this.#lingering.length;
    this.#lingeringCount -= this.#lingering[index] as number;
    this.#lingering[index] = 0;
  }

  opened(link: Link): void {
    link.tableIndex = this.links.length;
    this.links.push(link);
    this.waiting.add(link);
  }

  attached(link: Link, slot: number): void {
    link.stage = stages.attached;
    link.slot = slot;
    link.lastSeenTick = this.tick;
    this.waiting.delete(link);
    this.#settled(link);
  }

  backlogBegins(link: Link): void {
    this.backlogs.add(link);
  }

  leaves(link: Link, code: CodeName): void {
    this.#remove(link);
    this.ended.set(code, (this.ended.get(code) ?? 0) + 1);
    if (link.stage === stages.attached) queueMicrotask(() => this.#detach(link));
  }

  farewellWaits(link: Link): void {
    this.ending.add(link);
  }

  lingers(): void {
    const index = this.tick % this.#lingering.length;
    this.#lingering[index] = (this.#lingering[index] as number) + 1;
    this.#lingeringCount++;
  }

  /** The native socket is gone, whoever closed it. */
  closed(link: Link): void {
    const stage = link.stage;
    link.stage = stages.closed;
    link.socket = undefined;
    if (stage === stages.ending) {
      this.ending.delete(link);
      return;
    }
    this.#remove(link);
    if (stage === stages.attached) this.#detach(link);
  }

  #remove(link: Link): void {
    const last = this.links.pop();
    assert(last !== undefined && link.tableIndex >= 0, "a link is in the table until it leaves");
    if (last !== link) {
      this.links[link.tableIndex] = last;
      last.tableIndex = link.tableIndex;
    }
    link.tableIndex = -1;
    if (this.waiting.delete(link)) this.#settled(link);
    this.signingIn.delete(link);
    this.backlogs.delete(link);
  }
}
