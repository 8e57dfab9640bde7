/** Runs the measurements of the kernels one after the other, each in a process of its own (kernels/kernels-process.ts). */
import { totalmem } from "node:os";
import type { KernelResult } from "../kernels/result.js";
import { Child } from "../process/child.js";
import { chooseCores } from "../process/cores.js";
import type { KernelsWorkload } from "../workloads/workloads.js";

const ANSWER_TIMEOUT_MS = 900_000;
const MiB = 1024 * 1024;

interface Step {
  readonly kernel: "dedup" | "route" | "crc" | "turn" | "gather";
  readonly size: number;
}

export async function runKernels(
  workload: KernelsWorkload,
  onProgress: (text: string) => void,
): Promise<KernelResult[]> {
  const steps: Step[] = [
    ...workload.windowKeys.map((size): Step => ({ kernel: "dedup", size })),
    { kernel: "turn", size: 0 },
    ...workload.accounts.map((size): Step => ({ kernel: "route", size })),
    { kernel: "gather", size: 0 },
    ...workload.crcBytes.map((size): Step => ({ kernel: "crc", size })),
  ];
  const results: KernelResult[] = [];
  for (const { kernel, size } of steps) {
    onProgress(`${kernel}${size === 0 ? "" : ` ${size.toLocaleString("en")}`}`);
    results.push(...(await inProcess(workload, { kernel, size })));
  }
  return results;
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
