/**
 * A system that is measured: the one interface behind which Interline and its
 * opponents stand. A new opponent is one implementation of it, and one dialect
 * (generator/dialect.ts) if its bytes are new.
 */
import type { Durability } from "../../src/wire/protocol.js";
import type { GeneratorOptions } from "../generator/orders.js";
import type { GroupName } from "../generator/sized-sends.js";
import type { ServerSnapshot } from "./server-telemetry.js";

export interface System {
  readonly name: string;
  /** What a delivery or its receipt promises. */
  readonly durability: "none" | Durability;
  /** One line: what it promises beyond that, and what it does not. */
  readonly guarantee: string;
  start(options: StartOptions): Promise<RunningSystem>;
}

export interface StartOptions {
  /** The core the server is pinned to. */
  readonly core: number | undefined;
  /** Where the system may keep data; it exists, and is the system's own. */
  readonly directory: string;
  /** So that a snapshot can collect garbage first. */
  readonly exposeGc?: boolean;
}

export interface RunningSystem {
  readonly port: number;
  readonly pid: number;
  /** What a generator has to know to be `devices` devices of this system. */
  dialectFor(devices: number): Promise<GeneratorOptions["dialect"]>;
  /** Groups of these devices, before any of them has signed in; undefined where there are no groups. */
  groupsOf?(groups: readonly (readonly number[])[]): Promise<GroupName[]>;
  snapshot(options?: { readonly collect: boolean }): Promise<ServerSnapshot>;
  /** In order, then for good. */
  stop(): Promise<void>;
  /** SIGKILL, as a crash. */
  kill(): Promise<void>;
}
