/** What an offline drain prints: what keeping costs beside delivering, and how fast queues drain. */
import type { OfflineDrainResult } from "../measure/offline-drain.js";
import { figure } from "./table.js";

export function offlineDrainReport(result: OfflineDrainResult): string {
  const { entries, receivers, payloadBytes, lost, duplicated, reordered, misdelivered } = result;
  return [
    `${figure(entries)} entries of ${payloadBytes} bytes for ${figure(receivers)} devices`,
    `  signing in             ${figure(result.signInCpuUs)} µs per device, ${figure(result.signInsPerSec)}/s`,
    `  to connected devices   ${figure(result.onlineCpuUsPerMsg)} µs of server CPU each, ${figure(result.onlinePerSec)}/s`,
    `  to devices away        ${figure(result.enqueueCpuUsPerEntry)} µs each, ${figure(result.enqueuedPerSec)}/s`,
    `  ratio                  ${figure(result.enqueueToOnline)}`,
    `  drained at             ${figure(result.drainedPerSec)}/s, ${figure(result.drainCpuUsPerEntry)} µs each, sign-ins included`,
    `  all signed in after    ${figure(result.connectMs)} ms, drained after ${figure(result.drainMs)} ms`,
    `  pushed back ${result.refused}, lost ${lost}, duplicated ${duplicated}, reordered ${reordered}, misdelivered ${misdelivered}`,
  ].join("\n");
}
