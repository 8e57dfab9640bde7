/**
 * What a measured server process tells about itself when it is asked. The same
 * code runs in every server, so that it costs each of them the same.
 */
import { readFileSync } from "node:fs";
import { monitorEventLoopDelay, PerformanceObserver } from "node:perf_hooks";
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
  readonly loopDelayMaxMs: number;
  /** Pauses for garbage collection since the snapshot before: all of them, and the longest. */
  readonly gcPauseMs: number;
  readonly gcPauseMaxMs: number;
  /** Bytes that the process has sent to storage since its start, as the kernel counts them; null off Linux. */
  readonly diskWrittenBytes: number | null;
  /** Flushes since the start, as the system counts them; absent where nothing is stored. */
  readonly flushes?: number;
}

const loopDelay = monitorEventLoopDelay({ resolution: 20 });
loopDelay.enable();

const gc = { sumMs: 0, maxMs: 0 };
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) {
    gc.sumMs += duration;
    gc.maxMs = Math.max(gc.maxMs, duration);
  }
}).observe({ entryTypes: ["gc"] });

/** `collect`: run the garbage collector first, where the process was started with --expose-gc. */
export function takeSnapshot({ collect = false } = {}): ServerSnapshot {
  if (collect) (globalThis as { gc?: () => void }).gc?.();
  const { user, system } = process.cpuUsage();
  const snapshotAt = sharedMs();
  const memory = process.memoryUsage();
  const delays = { loopDelayP99Ms: loopDelay.percentile(99) / 1e6, loopDelayMaxMs: loopDelay.max / 1e6 };
  loopDelay.reset();
  const pauses = { gcPauseMs: gc.sumMs, gcPauseMaxMs: gc.maxMs };
  gc.sumMs = 0;
  gc.maxMs = 0;
  return {
    sharedMs: snapshotAt,
    cpuUserUs: user,
    cpuSystemUs: system,
    rssBytes: memory.rss,
    heapBytes: memory.heapUsed,
    externalBytes: memory.external,
    ...delays,
    ...pauses,
    diskWrittenBytes: diskWrittenBytes(),
  };
}

function diskWrittenBytes(): number | null {
  try {
    const bytes = /^write_bytes: (\d+)$/m.exec(readFileSync("/proc/self/io", "utf8"))?.[1];
    return bytes === undefined ? null : Number(bytes);
  } catch {
    return null;
  }
}
