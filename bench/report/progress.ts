/**
 * What a run shows while it goes on. On a terminal one line that is written over:
 *
 *   ███████░░░░░░░░░░░░░  35 %  1:12 left  98,000/s  p99 20 ms  pairs, 8 in flight: round 3 of 7, interline
 *
 * Elsewhere nothing for half a minute, then a line at most so often, so that a
 * log shows that something goes on. Everything goes to stderr. A run says how
 * long it takes about (`plan`) and how long each step of it does; the time left
 * follows from how long the steps before really took.
 */
import { figure } from "./table.js";

/** The next step begins, which takes about so long; with what was seen in the one before, where that is known. */
export type OnProgress = (text: string, expectedMs?: number, seen?: Figures) => void;

export interface Figures {
  readonly perSec: number;
  readonly p99Ms: number | null;
}

interface Stream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

const DRAW_MS = 250;
const LINE_MS = 30_000;
const COLUMNS = 80;
const BAR_CHARS = 20;
const CLEAR = "\r\x1b[K";
/** Steps tell nothing about the pace before so much has passed. */
const PACE_AFTER_MS = 2_000;

export class ProgressLine {
  readonly #stream: Stream;
  readonly #nowMs: () => number;
  #isShown = false;
  #plannedMs = 0;
  #doneMs = 0;
  #startedMs = 0;
  #stepFromMs = 0;
  #stepMs = 0;
  #text = "";
  #figures: Figures | undefined;
  #toldMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(stream: Stream, nowMs: () => number = () => performance.now()) {
    this.#stream = stream;
    this.#nowMs = nowMs;
  }

  /** A run begins that takes about so long; steps that were not planned lengthen it. */
  plan(expectedMs: number, isShown: boolean): void {
    const nowMs = this.#nowMs();
    this.#isShown = isShown;
    this.#plannedMs = expectedMs;
    this.#doneMs = 0;
    this.#stepMs = 0;
    this.#startedMs = nowMs;
    this.#stepFromMs = nowMs;
    this.#toldMs = nowMs;
    this.#figures = undefined;
    if (isShown && this.#stream.isTTY === true && this.#timer === undefined) {
      this.#timer = setInterval(() => this.#draw(), DRAW_MS).unref();
    }
  }

  readonly step: OnProgress = (text, expectedMs = 0, seen) => {
    this.#doneMs += this.#stepMs;
    this.#stepMs = expectedMs;
    this.#stepFromMs = this.#nowMs();
    this.#plannedMs = Math.max(this.#plannedMs, this.#doneMs + expectedMs);
    this.#text = text;
    if (seen !== undefined) this.#figures = seen;
    this.#draw();
  };

  /** What was seen so far in the step that goes on. */
  see(seen: Figures): void {
    this.#figures = seen;
  }

  /** The line makes room for something else; the next look at it brings it back. */
  clear(): void {
    if (this.#isShown && this.#stream.isTTY === true) this.#stream.write(CLEAR);
  }

  /** The run is over. */
  end(): void {
    this.clear();
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#isShown = false;
  }

  #draw(): void {
    if (!this.#isShown) return;
    if (this.#stream.isTTY === true) {
      const room = (this.#stream.columns ?? COLUMNS) - 1;
      this.#stream.write(CLEAR + this.#line().slice(0, room));
    } else if (this.#nowMs() - this.#toldMs >= LINE_MS) {
      this.#toldMs = this.#nowMs();
      this.#stream.write(`${this.#line()}\n`);
    }
  }

  #line(): string {
    const { perSec, p99Ms = null } = this.#figures ?? {};
    const inStepMs = Math.min(this.#stepMs, this.#nowMs() - this.#stepFromMs);
    const atMs = this.#doneMs + inStepMs;
    const share = this.#plannedMs === 0 ? 0 : Math.min(1, atMs / this.#plannedMs);
    const filled = Math.round(BAR_CHARS * share);
    return [
      `${"█".repeat(filled)}${"░".repeat(BAR_CHARS - filled)} ${String(Math.floor(100 * share)).padStart(3)} %`,
      ...(this.#plannedMs === 0 ? [] : [`${minutes(this.#leftMs(atMs))} left`]),
      ...(perSec === undefined ? [] : [`${figure(Math.round(perSec))}/s`]),
      ...(p99Ms === null ? [] : [`p99 ${figure(p99Ms)} ms`]),
      this.#text,
    ].join("  ");
  }

  /** What is planned and not yet done takes as long for each planned second as what is done took. */
  #leftMs(atMs: number): number {
    const passedMs = this.#nowMs() - this.#startedMs;
    const pace = passedMs < PACE_AFTER_MS || atMs === 0 ? 1 : passedMs / atMs;
    return Math.max(0, this.#plannedMs - atMs) * pace;
  }
}

function minutes(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** There is one terminal. */
export const progress = new ProgressLine(process.stderr);
