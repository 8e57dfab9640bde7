/**
 * One system in a run: its server on one core, its own generator process on the
 * other. All contestants are started before the first round and kept until the
 * last, so that rounds can alternate; only one of them has traffic at a time.
 */
import type { InterlineManners } from "../generator/interline-dialect.js";
import type { Mix } from "../generator/mix.js";
import type { GeneratorOptions, RoundResult } from "../generator/orders.js";
import { both } from "../process/both.js";
import { Child } from "../process/child.js";
import type { Cores } from "../process/cores.js";
import type { RunningSystem, System } from "../systems/system.js";

export interface ContestantOptions {
  readonly cores: Cores;
  readonly directory: string;
  readonly devices: number;
  readonly payloadBytes: number;
  readonly seed: number;
  readonly unreceiptedPerDeviceMax: number;
  /** Default: what the system says for so many devices. */
  readonly dialect?: GeneratorOptions["dialect"];
  /** Default: all devices; see GeneratorOptions. */
  readonly senders?: number;
  /** Of a system that has them. */
  readonly manners?: InterlineManners;
  /** Its groups are made before the devices sign in. */
  readonly mix?: Mix;
  readonly exposeGc?: boolean;
}

export interface DeviceRange {
  readonly from: number;
  readonly to: number;
}

export const OPEN_TIMEOUT_MS = 120_000;
export const HOST = "127.0.0.1";

const GENERATOR = new URL("../generator/generator-process.js", import.meta.url);

/** A generator process on its core, not set up yet. */
export async function startGenerator(cores: Pick<Cores, "generator">, module = GENERATOR): Promise<Child> {
  const { child } = await Child.start({ module, core: cores.generator });
  return child;
}

export class Contestant {
  readonly system: System;
  readonly server: RunningSystem;
  readonly generator: Child;

  private constructor(system: System, server: RunningSystem, generator: Child) {
    this.system = system;
    this.server = server;
    this.generator = generator;
  }

  /** Server and generator running, the generator set up, no connection yet. */
  static async start(system: System, options: ContestantOptions): Promise<Contestant> {
    const { cores, directory, manners, mix, exposeGc = false } = options;
    const serverStarts = system.start({ core: cores.server, directory, exposeGc });
    const [server, generator] = await both(serverStarts, startGenerator(cores));
    try {
      const groups = mix === undefined ? [] : await server.groupsOf?.(mix.groups);
      if (groups === undefined) throw new Error(`${system.name} has no groups`);
      const dialect = options.dialect ?? (await server.dialectFor(options.devices));
      const setUp: GeneratorOptions = {
        host: HOST,
        devices: options.devices,
        payloadBytes: options.payloadBytes,
        seed: options.seed,
        senders: options.senders ?? options.devices,
        unreceiptedPerDeviceMax: options.unreceiptedPerDeviceMax,
        dialect: dialect.name === "interline" ? { ...dialect, ...(manners && { manners }), groups } : dialect,
        ...(mix && { mix: mix.options }),
      };
      await generator.request("setUp", setUp);
      return new Contestant(system, server, generator);
    } catch (error) {
      await Promise.allSettled([generator.kill(), server.kill()]);
      throw error;
    }
  }

  /** Connects and signs in the devices from `from` to `to`. */
  async open(range: DeviceRange): Promise<void> {
    await this.generator.request("open", { ...range, port: this.server.port }, OPEN_TIMEOUT_MS);
  }

  /** `asker` is a connected device; the others need not be. */
  async learnRosters(asker: number, range: DeviceRange): Promise<void> {
    await this.generator.request("learnRosters", { asker, ...range });
  }

  finish(window: { fromMs: number; toMs: number; drainMs: number }): Promise<RoundResult> {
    return this.generator.request("finish", window);
  }

  async stop(): Promise<void> {
    await Promise.all([this.generator.kill(), this.server.stop()]);
  }
}
