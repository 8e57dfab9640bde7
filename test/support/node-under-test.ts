/**
 * A node that a fault test may kill, trace, corrupt or replace by a broken
 * build. One object stands for a data directory and a port over any number of
 * runs; everything that all runs wrote is kept in `output`.
 *
 *   start() ─▶ ready ─▶ kill()   SIGKILL        ─▶ start() …
 *                  ├──▶ stop()   SIGTERM
 *                  └──▶ ended    it went by itself
 *
 * A run may go under strace, which sees, delays, fails or kills at system calls.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { freePort, repositoryRoot } from "./node-process.js";
import type { World } from "./world.js";

export interface NodeUnderTestOptions {
  readonly world: World;
  /** Overrides of the engine's limits. */
  readonly limits?: Readonly<Record<string, number>>;
  /** More options of createNode. */
  readonly more?: Readonly<Record<string, unknown>>;
  /** A broken build (mutant.ts); the real one without. */
  readonly build?: string;
  /** Arguments of Node.js itself. */
  readonly execArguments?: readonly string[];
  /** `interline serve`, as people run it, instead of fault-node.ts. */
  readonly isServed?: boolean;
}

/** How a run ended. */
export interface RunEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly atMs: number;
}

export interface NodeEvent {
  readonly event: string;
  readonly detail: unknown;
}

/** What the tests read of the line that fault-node.ts writes when it is asked. */
export interface NodeNumbers {
  readonly store: {
    readonly journalBlocks: number;
    readonly quotaEntries: number;
    readonly expiredEntries: number;
    readonly spilledEntries: number;
  };
  readonly connections: number;
  readonly rssBytes: number;
  /** How long the event loop stood still since the last question. */
  readonly stallMs: { readonly p99: number; readonly max: number };
}

interface Run {
  readonly child: ChildProcess;
  readonly ended: Promise<RunEnd>;
  /** The node's own process, which is not the child when strace stands in between. */
  pid: number | undefined;
}

const READY_TIMEOUT_MS = 60_000;

export class NodeUnderTest {
  readonly dataDirectory: string;
  /** What all runs wrote, both streams. */
  output = "";
  readonly events: NodeEvent[] = [];
  readonly #options: NodeUnderTestOptions;
  #port = 0;
  #run: Run | undefined;
  #waiting: { readonly event: string; readonly seen: (event: NodeEvent) => void }[] = [];

  private constructor(options: NodeUnderTestOptions) {
    this.#options = options;
    this.dataDirectory = mkdtempSync(join(tmpdir(), "interline-fault-"));
  }

  static async create(options: NodeUnderTestOptions): Promise<NodeUnderTest> {
    const node = new NodeUnderTest(options);
    node.#port = await freePort();
    return node;
  }

  get port(): number {
    return this.#port;
  }

  get pid(): number {
    const pid = this.#run?.pid;
    if (pid === undefined) throw new Error("the node does not run");
    return pid;
  }

  get isRunning(): boolean {
    return this.#run !== undefined;
  }

  /** The end of the present run. */
  get ended(): Promise<RunEnd> {
    if (this.#run === undefined) throw new Error("the node does not run");
    return this.#run.ended;
  }

  /** Starts a run, under strace with these arguments if given. `began()` resolves when the process is there. */
  launch(options: { readonly strace?: readonly string[] } = {}): void {
    if (this.#run !== undefined) throw new Error("the node runs already");
    const node = [process.execPath, ...(this.#options.execArguments ?? []), ...this.#program()];
    const [program, ...rest] =
      options.strace === undefined ? node : ["strace", ...options.strace, "--", ...node];
    const child = spawn(program as string, rest, { stdio: ["pipe", "pipe", "pipe"] });
    const run: Run = { child, pid: undefined, ended: this.#watch(child) };
    this.#run = run;
    child.stdin?.on("error", () => {});
    child.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
      this.output += chunk;
    });
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on("line", (line) =>
      this.#line(run, line),
    );
  }

  #program(): string[] {
    const { build = join(repositoryRoot(), "dist"), limits = {}, more = {}, world, isServed } = this.#options;
    const { dataDirectory } = this;
    const options = { dataDirectory, port: this.#port, brands: world.brandSettings(), limits, ...more };
    if (!isServed) return [join(build, "test", "support", "fault-node.js"), JSON.stringify(options)];
    const config = join(dataDirectory, "interline.json");
    writeFileSync(config, JSON.stringify({ ...options, logLevel: "trace" }));
    return [join(build, "src", "cli", "main.js"), "serve", "--config", config, "--json"];
  }

  /** Starts a run and waits until it is ready; answers how long that took. Rejects when it ends before. */
  async start(options: { readonly strace?: readonly string[] } = {}): Promise<number> {
    const startedMs = performance.now();
    this.launch(options);
    await this.ready();
    return performance.now() - startedMs;
  }

  ready(): Promise<void> {
    return this.saysOrEnds("ready").then((event) => {
      if (event === undefined)
        throw new Error(`the node ended before it was ready:\n${this.output.slice(-2000)}`);
    });
  }

  /** The next event of this name; undefined when the run ends before. */
  async saysOrEnds(event: string): Promise<NodeEvent | undefined> {
    const run = this.#run;
    if (run === undefined) return undefined;
    let timer: NodeJS.Timeout | undefined;
    const said = new Promise<NodeEvent>((resolve) => this.#waiting.push({ event, seen: resolve }));
    const tooLate = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no ${event} from the node in time`)), READY_TIMEOUT_MS);
    });
    try {
      return await Promise.race([said, run.ended.then(() => undefined), tooLate]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** The node's own numbers. */
  async stats(): Promise<NodeNumbers> {
    const said = this.saysOrEnds("stats");
    this.#run?.child.stdin?.write("stats\n");
    const event = await said;
    if (event === undefined) throw new Error("the node ended instead of answering");
    return event.detail as NodeNumbers;
  }

  /** SIGKILL, sent before this returns; resolves when the process is gone. */
  async kill(): Promise<void> {
    await this.#signal("SIGKILL");
  }

  /** SIGTERM; rejects when the node does not end in good order. */
  async stop(): Promise<void> {
    const end = await this.#signal("SIGTERM");
    if (end?.code !== 0) throw new Error(`the node did not stop in good order:\n${this.output.slice(-2000)}`);
  }

  /** Kills what runs and removes the data. */
  async discard(): Promise<void> {
    if (this.#run !== undefined) await this.kill();
    rmSync(this.dataDirectory, { recursive: true, force: true });
  }

  /** Nothing happens when the node has already gone by itself. */
  #signal(signal: NodeJS.Signals): Promise<RunEnd | undefined> {
    const run = this.#run;
    if (run === undefined) return Promise.resolve(undefined);
    try {
      // The tracer is left alone: a tracee whose tracer is killed runs on.
      process.kill(run.pid ?? (run.child.pid as number), signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
    return run.ended;
  }

  #watch(child: ChildProcess): Promise<RunEnd> {
    const killWithParent = () => {
      const pid = this.#run?.pid;
      if (pid !== undefined) process.kill(pid, "SIGKILL");
      child.kill("SIGKILL");
    };
    process.once("exit", killWithParent);
    return new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code, signal) => {
        process.off("exit", killWithParent);
        this.#run = undefined;
        resolve({ code, signal, atMs: performance.now() });
      });
    });
  }

  #line(run: Run, line: string): void {
    this.output += `${line}\n`;
    const event = eventIn(line);
    if (event === undefined) return;
    this.events.push(event);
    run.pid ??= (event.detail as { pid?: number }).pid;
    const due = this.#waiting.filter((waiting) => waiting.event === event.event);
    this.#waiting = this.#waiting.filter((waiting) => !due.includes(waiting));
    for (const waiting of due) waiting.seen(event);
  }
}

/** What a line of either program says; undefined when it is another line. */
function eventIn(line: string): NodeEvent | undefined {
  try {
    const object = JSON.parse(line);
    if (object.ok === true) return { event: "ready", detail: object };
    return typeof object.event === "string" ? object : undefined;
  } catch {
    return undefined;
  }
}
