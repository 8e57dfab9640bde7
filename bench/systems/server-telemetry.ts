/**
 * What a measured server process tells about itself when it is asked. The same
 * code runs in every server, so that it costs each of them the same.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { sharedMs } from "../process/clock.js";

export interface ServerSnapshot {
  readonly sharedMs: number;
  readonly cpuUserUs: number;
  readonly cpuSystemUs: number;
  readonly rssBytes: number;
  readonly heapBytes: number;
  readonly externalBytes: number;
  /** Since the snapshot before. */
  readonly loopDelayP99Ms: number;
}

const loopDelay = monitorEventLoopDelay({ resolution: 20 });
loopDelay.enable();

/** `collect`: run the garbage collector first, where the process was started with --expose-gc. */
export function takeSnapshot({ collect = false } = {}): ServerSnapshot {
  if (collect) (globalThis as { gc?: () => void }).gc?.();
  const { user, system } = process.cpuUsage();
  const snapshotAt = sharedMs();
  const memory = process.memoryUsage();
  const loopDelayP99Ms = loopDelay.percentile(99) / 1e6;
  loopDelay.reset();
  return {
    sharedMs: snapshotAt,
    cpuUserUs: user,
    cpuSystemUs: system,
    rssBytes: memory.rss,
    heapBytes: memory.heapUsed,
    externalBytes: memory.external,
    loopDelayP99Ms,
  };
}
