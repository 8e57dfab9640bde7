/**
 * The built-in workloads, one JSON file each beside this one: what each verb
 * runs, at full size and as a smoke test that takes a second or two and keeps
 * the harness from rotting. An option of a verb overrides the parameter here.
 */
import { join } from "node:path";
import { packageRoot } from "../process/package-root.js";
import type { Verb } from "./schemas.js";
import { readWorkload, type SizedWorkload } from "./workload-file.js";

export type {
  ConnectStormWorkload,
  DuplicatesWorkload,
  GroupFanoutWorkload,
  IdleWorkload,
  KernelsWorkload,
  MixedWorkload,
  OfflineDrainWorkload,
  OpenLoopWorkload,
  PairsWorkload,
  RestartWorkload,
  SlowReadersWorkload,
} from "./schemas.js";

export interface BuiltInWorkload<V extends Verb> extends SizedWorkload<V> {
  readonly verb: V;
}

/** The files are data: they are shipped as they are, and the build does not copy them. */
function builtIn<V extends Verb>(verb: V): BuiltInWorkload<V> {
  return { verb, ...readWorkload(join(packageRoot(), "bench", "workloads", `${verb}.json`), verb) };
}

export const workloads = {
  /** The canonical workload. */
  pairs: builtIn("pairs"),
  compare: builtIn("compare"),
  receipts: builtIn("receipts"),
  syscalls: builtIn("syscalls"),
  idle: builtIn("idle"),
  restart: builtIn("restart"),
  kernels: builtIn("kernels"),
  openLoop: builtIn("open-loop"),
  offlineDrain: builtIn("offline-drain"),
  connectStorm: builtIn("connect-storm"),
  duplicates: builtIn("duplicates"),
  groupFanout: builtIn("group-fanout"),
  mixed: builtIn("mixed"),
  slowReaders: builtIn("slow-readers"),
  load: builtIn("load"),
};
