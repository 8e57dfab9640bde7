/** How busy the whole machine is, so that what else runs on it can be told from what is measured. */
import { readFileSync } from "node:fs";

/** The unit of /proc/stat (sysconf _SC_CLK_TCK), which is the same wherever Linux runs. */
const MS_PER_TICK = 10;

/** CPU time that all cores have spent on anything since the machine's start; null where there is no /proc. */
export function machineBusyMs(): number | null {
  try {
    const [user = 0, nice = 0, system = 0, , , irq = 0, softIrq = 0, steal = 0] =
      /^cpu +([\d ]+)$/m.exec(readFileSync("/proc/stat", "utf8"))?.[1]?.split(" ").map(Number) ?? [];
    return (user + nice + system + irq + softIrq + steal) * MS_PER_TICK;
  } catch {
    return null;
  }
}
