/**
 * Metrics in Prometheus' text format. Nothing is counted here twice: the parts
 * of the node keep their own counters, and one snapshot of them is taken when
 * somebody asks. Only what has no counter elsewhere is counted on this page:
 * refusals by code, and how long commits took.
 *
 * No label names an account, a device or an envelope: labels are codes, reasons
 * and brands' names, so their number is bounded.
 */
import { performance } from "node:perf_hooks";
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { CodeName } from "../wire/codes.js";

/** What the node says of itself at one moment; RunningNode.stats() is one. */
export interface MetricsSnapshot {
  readonly connections: number;
  readonly unidentified: number;
  readonly counters: {
    readonly sendsAccepted: number;
    readonly duplicates: number;
    readonly sendsRefused: number;
    readonly entries: number;
    readonly delivered: number;
    readonly acks: number;
    readonly receiptsRidden: number;
    readonly receiptsSent: number;
    readonly accountsEvicted: number;
  };
  /** What became of signals. */
  readonly signals: Readonly<Record<string, number>>;
  readonly tailBytes: number;
  readonly uncommittedBytes: number;
  /** How far the wall clock is ahead of what entries expire by. */
  readonly clockAheadMs: number;
  readonly store: {
    readonly commits: number;
    readonly flushes: number;
    readonly bytesWritten: number;
    readonly journalBlocks: number;
    readonly journalBytes: number;
    readonly queuedBytes: number;
    readonly spilledEntries: number;
    readonly quotaEntries: number;
    readonly expiredEntries: number;
    readonly corruptions: number;
    readonly fileBytes: number;
    readonly diskFreeBytes: number;
  };
  readonly edge: EdgeSnapshot | undefined;
  readonly signIn?: {
    readonly faults: ReadonlyMap<string, number>;
    readonly keyReadings: number;
    readonly signaturesVerified: number;
  };
  /** Undefined when nobody is woken. */
  readonly push?: PushSnapshot | undefined;
}

interface PushSnapshot {
  readonly sent: number;
  readonly failed: number;
  readonly gone: number;
  readonly coalesced: number;
  readonly dropped: number;
  readonly retried: number;
  readonly waiting: number;
}

interface EdgeSnapshot {
  readonly attached: number;
  readonly unauthenticated: number;
  readonly backlogged: number;
  readonly heads: number;
  readonly opened: number;
  readonly headsRefused: number;
  readonly newcomersRefused: number;
  readonly upgradesRefused: ReadonlyMap<string, number>;
  readonly ended: ReadonlyMap<string, number>;
}

export type MetricsSource = () => MetricsSnapshot;

interface Reading {
  readonly name: string;
  readonly help: string;
  readonly kind: "counter" | "gauge";
  /** With a label, one value for each of its values. */
  readonly label?: string;
  readonly read: (snapshot: MetricsSnapshot) => number | ReadonlyMap<string, number> | undefined;
}

const readings: readonly Reading[] = [
  gauge("connections", "Devices attached, in this process or by socket.", (s) => s.connections),
  gauge("unidentified_connections", "Connections that speak for nobody.", (s) => s.unidentified),
  counter("sends_accepted_total", "Sends accepted.", (s) => s.counters.sendsAccepted),
  counter(
    "sends_duplicate_total",
    "Sends recognised as repeats of an accepted one.",
    (s) => s.counters.duplicates,
  ),
  counter("sends_refused_total", "Sends refused.", (s) => s.counters.sendsRefused),
  counter("entries_total", "Entries made in devices' queues by accepted sends.", (s) => s.counters.entries),
  counter("deliveries_total", "Entries handed to connections directly.", (s) => s.counters.delivered),
  counter("acks_total", "Acks taken.", (s) => s.counters.acks),
  counter(
    "receipts_total",
    "Receipt frames sent, by whether they rode with other frames.",
    (s) =>
      new Map([
        ["ridden", s.counters.receiptsRidden],
        ["alone", s.counters.receiptsSent],
      ]),
    "way",
  ),
  counter(
    "accounts_evicted_total",
    "Accounts dropped from the kernel's tables for room.",
    (s) => s.counters.accountsEvicted,
  ),
  counter(
    "signals_total",
    "Signals and presence, for one device each, by what became of them.",
    (s) => new Map(Object.entries(s.signals)),
    "fate",
  ),
  gauge("tail_bytes", "Accepted and not yet spilled, in memory.", (s) => s.tailBytes),
  gauge("uncommitted_bytes", "Accepted and not yet flushed.", (s) => s.uncommittedBytes),
  counter("commits_total", "Commits of the journal.", (s) => s.store.commits),
  counter(
    "flushes_total",
    "Flushes of the database; each commit is a flush of the journal.",
    (s) => s.store.flushes,
  ),
  counter("store_written_bytes_total", "Bytes of rows written.", (s) => s.store.bytesWritten),
  gauge(
    "journal_bytes",
    "How far the journal's file was written since the start.",
    (s) => s.store.journalBytes,
  ),
  gauge("journal_blocks", "Commits in the journal that are not yet spilled.", (s) => s.store.journalBlocks),
  gauge("queued_bytes", "Frames in queues on disk.", (s) => s.store.queuedBytes),
  counter(
    "spilled_entries_total",
    "Entries moved from the journal to queues.",
    (s) => s.store.spilledEntries,
  ),
  counter(
    "gap_entries_total",
    "Entries replaced by a gap, by reason.",
    (s) =>
      new Map([
        ["quota", s.store.quotaEntries],
        ["expired", s.store.expiredEntries],
      ]),
    "reason",
  ),
  gauge(
    "clock_ahead_seconds",
    "How far the clock is ahead of the time by which entries expire; 0 but for a day after it was set ahead.",
    (s) => s.clockAheadMs / 1_000,
  ),
  counter("corruptions_total", "Rows on disk found to be damaged.", (s) => s.store.corruptions),
  gauge("store_file_bytes", "Size of the data file.", (s) => s.store.fileBytes),
  gauge("disk_free_bytes", "Free space where the data directory is.", (s) => s.store.diskFreeBytes),
  gauge("edge_attached", "Sockets signed in.", (s) => s.edge?.attached),
  gauge(
    "edge_unauthenticated",
    "WebSocket connections that have not signed in.",
    (s) => s.edge?.unauthenticated,
  ),
  gauge("edge_heads", "Sockets still in HTTP.", (s) => s.edge?.heads),
  gauge("edge_backlogged", "Connections with bytes waiting.", (s) => s.edge?.backlogged),
  counter("edge_opened_total", "WebSocket connections opened.", (s) => s.edge?.opened),
  counter(
    "edge_heads_refused_total",
    "Sockets closed at accept, for want of room.",
    (s) => s.edge?.headsRefused,
  ),
  counter(
    "edge_newcomers_refused_total",
    "Sockets closed at accept, because their address had as many newcomers as it may.",
    (s) => s.edge?.newcomersRefused,
  ),
  counter(
    "edge_upgrades_refused_total",
    "Upgrades refused, by reason.",
    (s) => s.edge?.upgradesRefused,
    "reason",
  ),
  counter("edge_ended_total", "Connections ended by the node, by code.", (s) => s.edge?.ended, "code"),
  counter("sign_in_faults_total", "Tokens refused, by fault.", (s) => s.signIn?.faults, "fault"),
  counter("key_readings_total", "Readings of brands' key files and URLs.", (s) => s.signIn?.keyReadings),
  counter(
    "token_signatures_verified_total",
    "Signatures of tokens verified; a token that comes again costs none.",
    (s) => s.signIn?.signaturesVerified,
  ),
  counter(
    "push_wake_ups_total",
    "Wake-ups of devices that are away, by how they ended.",
    (s) =>
      s.push &&
      new Map([
        ["sent", s.push.sent],
        ["failed", s.push.failed],
        ["gone", s.push.gone],
      ]),
    "outcome",
  ),
  counter(
    "push_coalesced_total",
    "Occasions to wake a device that another wake-up covers.",
    (s) => s.push?.coalesced,
  ),
  counter("push_dropped_total", "Occasions put off for want of room.", (s) => s.push?.dropped),
  counter("push_retries_total", "Attempts of wake-ups that failed and are repeated.", (s) => s.push?.retried),
  gauge("push_waiting", "Wake-ups waiting or under way.", (s) => s.push?.waiting),
];

export class Metrics {
  readonly #registry = new Registry();
  readonly #source: MetricsSource;
  readonly #refused: Counter<"code">;
  readonly #commitSeconds: Histogram;
  #snapshot: MetricsSnapshot | undefined;

  constructor(source: MetricsSource) {
    this.#source = source;
    for (const reading of readings) this.#register(reading);
    this.#registerProcess();
    const registers = [this.#registry];
    this.#refused = new Counter({
      name: "interline_refusals_total",
      help: "Sends refused, and frames that ended their connection, by code.",
      labelNames: ["code"],
      registers,
    });
    this.#commitSeconds = new Histogram({
      name: "interline_commit_seconds",
      help: "From the start of a commit to the return of its flush.",
      buckets: [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5, 30],
      registers,
    });
  }

  refused(code: CodeName): void {
    this.#refused.inc({ code });
  }

  committed(durationMs: number): void {
    this.#commitSeconds.observe(durationMs / 1000);
  }

  /** The text for `GET /metrics`. */
  text(): Promise<string> {
    this.#snapshot = this.#source();
    return this.#registry.metrics();
  }

  #register({ name, help, kind, label, read }: Reading): void {
    const value = () => (this.#snapshot === undefined ? undefined : read(this.#snapshot));
    const options = {
      name: `interline_${name}`,
      help,
      labelNames: label === undefined ? [] : [label],
      registers: [this.#registry],
    };
    if (kind === "gauge") {
      new Gauge({
        ...options,
        collect() {
          fill(this, value(), label, (labels, amount) => this.set(labels, amount));
        },
      });
    } else {
      new Counter({
        ...options,
        collect() {
          fill(this, value(), label, (labels, amount) => this.inc(labels, amount));
        },
      });
    }
  }

  #registerProcess(): void {
    const registers = [this.#registry];
    let utilization = performance.eventLoopUtilization();
    new Gauge({
      name: "process_resident_memory_bytes",
      help: "Resident memory.",
      registers,
      collect() {
        this.set(process.memoryUsage.rss());
      },
    });
    new Counter({
      name: "process_cpu_seconds_total",
      help: "CPU time, user and system.",
      registers,
      collect() {
        const { user, system } = process.cpuUsage();
        this.reset();
        this.inc((user + system) / 1e6);
      },
    });
    new Gauge({
      name: "nodejs_event_loop_utilization",
      help: "Share of time the event loop was busy since the last reading.",
      registers,
      collect() {
        const now = performance.eventLoopUtilization();
        this.set(performance.eventLoopUtilization(now, utilization).utilization);
        utilization = now;
      },
    });
  }
}

/** Sets what the metric shows to the value as it is now: nothing, a number, or one for each value of the label. */
function fill(
  metric: { reset(): void; remove(): void },
  value: number | ReadonlyMap<string, number> | undefined,
  label: string | undefined,
  put: (labels: Record<string, string>, amount: number) => void,
): void {
  metric.reset();
  if (value === undefined) {
    // A reset metric without labels shows 0, which would be a claim.
    if (label === undefined) metric.remove();
  } else if (typeof value === "number") {
    put({}, value);
  } else if (label !== undefined) {
    for (const [name, amount] of value) put({ [label]: name }, amount);
  }
}

function counter(name: string, help: string, read: Reading["read"], label?: string): Reading {
  return { name, help, kind: "counter", read, ...(label === undefined ? {} : { label }) };
}

function gauge(name: string, help: string, read: Reading["read"]): Reading {
  return { name, help, kind: "gauge", read };
}
