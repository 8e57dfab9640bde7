/** Where a run took place, as lines of text: the report begins with them, and so does the page. */
import type { Environment } from "../measure/environment.js";
import { figure } from "./table.js";

export function environmentLines(environment: Environment): string[] {
  const { cpu, cores, node, platform, kernel, serverCore, generatorCore } = environment;
  const pinned =
    serverCore === null ? "not pinned" : `server on core ${serverCore}, load on core ${generatorCore}`;
  return [
    `Interline ${environment.interline}${environment.commit === null ? "" : ` (${environment.commit})`}, Node ${node}, ${platform}, kernel ${kernel}`,
    `${cpu}, ${cores} cores; ${pinned}`,
    `data in ${environment.dataDirectory} (${environment.fileSystem}); writing and flushing 300 KB takes ${figure(environment.flushMs)} ms`,
    ...environment.warnings.map((text) => `warning: ${text}`),
  ];
}
