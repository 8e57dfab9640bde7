/**
 * The measured kernels, in a process of its own for each: pinned to a core, with garbage collection at hand for
 * weighing, and with nothing on its heap that another measurement left there. The workload is the first argument.
 */
import { announceReady, answerRequests } from "../process/requests.js";
import type { KernelsWorkload } from "../workloads/workloads.js";
import { measureCrc } from "./crc.js";
import { measureDedup } from "./dedup.js";
import { measureGather, measureRoute, measureTurn } from "./turn.js";

const workload: KernelsWorkload = JSON.parse(process.argv[2] ?? "");

answerRequests({
  dedup: ({ size }: { size: number }) => measureDedup(workload, size),
  route: ({ size }: { size: number }) => measureRoute(workload, size),
  crc: ({ size }: { size: number }) => measureCrc(workload, size),
  turn: () => measureTurn(workload),
  gather: () => measureGather(workload),
});
announceReady({});
