/**
 * A server that is a module for Node, in a process of its own. One that is pinned to a core is started as
 * docs/operations.md says for one core, Interline's like everybody else's: flags must not decide a comparison.
 */
import { oneCoreFlags } from "../../src/ops/one-core.js";
import { Child } from "../process/child.js";
import type { StartOptions } from "./system.js";

export function startNodeServer(
  module: URL,
  { core, exposeGc = false }: Pick<StartOptions, "core" | "exposeGc">,
  args: readonly string[] = [],
): Promise<{ child: Child; ready: { readonly port: number } }> {
  const nodeFlags = [...(core === undefined ? [] : oneCoreFlags), ...(exposeGc ? ["--expose-gc"] : [])];
  return Child.start({ module, args, nodeFlags, core });
}
