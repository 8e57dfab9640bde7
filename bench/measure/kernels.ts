/** Runs the measurements of the kernels one after the other, each in a process of its own (kernels/kernels-process.ts). */
import { totalmem } from "node:os";
import type { KernelResult } from "../kernels/result.js";
import { Child } from "../process/child.js";
import { chooseCores } from "../process/cores.js";
import type { OnProgress } from "../report/progress.js";
import type { KernelsWorkload } from "../workloads/workloads.js";

const ANSWER_TIMEOUT_MS = 900_000;
const MiB = 1024 * 1024;
/** For the time that is left. */
const CONTESTANTS = 4;
const FILL_MS_PER_ENTRY = 0.002;

interface Step {
  readonly kernel: "dedup" | "route" | "crc" | "turn" | "gather";
  readonly size: number;
}

export async function runKernels(workload: KernelsWorkload, onProgress: OnProgress): Promise<KernelResult[]> {
  const results: KernelResult[] = [];
  for (const { kernel, size } of stepsOf(workload)) {
    onProgress(`${kernel}${size === 0 ? "" : ` ${size.toLocaleString("en")}`}`, stepMs(workload, size));
    results.push(...(await inProcess(workload, { kernel, size })));
  }
  return results;
}

/** How long that takes, about. */
export function kernelsMs(workload: KernelsWorkload): number {
  return stepsOf(workload).reduce((sum, { size }) => sum + stepMs(workload, size), 0);
}

/** Rounds of a few contestants, after filling tables of this size. */
function stepMs({ rounds, measureMs }: KernelsWorkload, size: number): number {
  return rounds * CONTESTANTS * measureMs + size * FILL_MS_PER_ENTRY;
}

function stepsOf(workload: KernelsWorkload): Step[] {
  return [
    ...workload.windowKeys.map((size): Step => ({ kernel: "dedup", size })),
    { kernel: "turn", size: 0 },
    ...workload.accounts.map((size): Step => ({ kernel: "route", size })),
    { kernel: "gather", size: 0 },
    ...workload.crcBytes.map((size): Step => ({ kernel: "crc", size })),
  ];
}

async function inProcess(workload: KernelsWorkload, { kernel, size }: Step): Promise<KernelResult[]> {
  const { child } = await Child.start({
    module: new URL("../kernels/kernels-process.js", import.meta.url),
    args: [JSON.stringify(workload)],
    // Sets of 16 M entries take more than Node's default for the heap.
    nodeFlags: ["--expose-gc", `--max-old-space-size=${Math.floor((totalmem() * 0.75) / MiB)}`],
    core: chooseCores().server,
  });
  try {
    return await child.request<KernelResult[]>(kernel, { size }, ANSWER_TIMEOUT_MS);
  } finally {
    await child.kill();
  }
}
