/** What a run beside slow readers prints: healthy devices with and without them. */
import type { SlowReadersResult } from "../measure/slow-readers.js";
import { pairsReport } from "./pairs-report.js";
import { figure } from "./table.js";

export function slowReadersReport(result: SlowReadersResult): string {
  const { quiet, besideSlow, slowDevices, tricklingDevices, feedPerSec, seed, evicted } = result;
  return [
    pairsReport([quiet, besideSlow]),
    "",
    `${figure(slowDevices)} more devices are sent ${figure(feedPerSec)}/s; in every second round they do not read,`,
    `but for ${figure(tricklingDevices)} of them now and then. The node ended ${figure(evicted)} of their connections.`,
    `healthy devices' delivery p99 beside slow readers, × quiet: ${figure(result.deliveryP99Ratio)}; seed ${seed}`,
  ].join("\n");
}
