/**
 * The workloads, as data: what each verb runs, at full size and as a smoke test
 * that takes a second or two and keeps the harness from rotting. A parameter
 * that a verb takes as an option overrides the one here.
 */

/** Messages circulate: each delivery makes its receiver send one to a random other device. */
export interface PairsWorkload {
  readonly name: string;
  readonly devices: number;
  readonly payloadBytes: number;
  /** Messages under way per device, on average; one set of rounds for each. */
  readonly inFlight: readonly number[];
  /** Rounds of each system, alternating. */
  readonly rounds: number;
  readonly warmUpMs: number;
  readonly windowMs: number;
  readonly drainMs: number;
  readonly seed: number;
}

/** Connections that do nothing. */
export interface IdleWorkload {
  readonly name: string;
  readonly connections: number;
  readonly settleMs: number;
}

/** Entries queued for devices that are away, a crash, a restart. */
export interface RestartWorkload {
  readonly name: string;
  readonly entries: number;
  readonly senders: number;
  readonly receivers: number;
  readonly payloadBytes: number;
}

/** Dedup against JavaScript: the window is full before anything is measured. */
export interface DedupWorkload {
  readonly name: string;
  readonly windowKeys: number;
  readonly batchKeys: number;
  readonly measureMs: number;
}

interface Sized<T> {
  readonly full: T;
  readonly smoke: T;
}

const pairs: PairsWorkload = {
  name: "pairs",
  devices: 1000,
  payloadBytes: 256,
  inFlight: [1, 8],
  rounds: 7,
  warmUpMs: 1000,
  windowMs: 3000,
  drainMs: 5000,
  seed: 1,
};

const smokePairs: PairsWorkload = {
  ...pairs,
  devices: 50,
  inFlight: [1, 8],
  rounds: 1,
  warmUpMs: 100,
  windowMs: 300,
};

interface Workloads {
  readonly pairs: Sized<PairsWorkload>;
  readonly receipts: Sized<PairsWorkload>;
  readonly syscalls: Sized<PairsWorkload>;
  readonly idle: Sized<IdleWorkload>;
  readonly restart: Sized<RestartWorkload>;
  readonly dedup: Sized<DedupWorkload>;
}

export const workloads: Workloads = {
  /** The canonical workload. */
  pairs: { full: pairs, smoke: smokePairs },
  /** Deep pipelining: do receipts keep flowing? */
  receipts: {
    full: { ...pairs, name: "receipts", inFlight: [64], rounds: 3, windowMs: 5000 },
    smoke: { ...smokePairs, name: "receipts", inFlight: [64] },
  },
  /** Under strace everything is several times slower: short windows. */
  syscalls: {
    full: { ...pairs, name: "syscalls", windowMs: 3000 },
    smoke: { ...smokePairs, name: "syscalls", inFlight: [1] },
  },
  idle: {
    full: { name: "idle", connections: 15_000, settleMs: 5000 },
    smoke: { name: "idle", connections: 100, settleMs: 200 },
  },
  restart: {
    full: { name: "restart", entries: 1_000_000, senders: 50, receivers: 1000, payloadBytes: 256 },
    smoke: { name: "restart", entries: 2_000, senders: 5, receivers: 20, payloadBytes: 256 },
  },
  dedup: {
    full: { name: "dedup", windowKeys: 1 << 20, batchKeys: 64, measureMs: 600 },
    smoke: { name: "dedup", windowKeys: 1 << 12, batchKeys: 64, measureMs: 20 },
  },
};
