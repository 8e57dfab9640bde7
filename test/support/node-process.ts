/**
 * A node as its own process: start it, kill it, start it again on the same data.
 *
 *   start() ─▶ running ─▶ kill()   SIGKILL, at whatever it is doing ─▶ start() …
 *                    └──▶ stop()   SIGTERM, in good order; answers how it ended
 *
 * Port and data directory stay the same over all runs, so that clients find the
 * node again. Everything the process writes goes straight into two files,
 * appended over all runs: what was written before a SIGKILL is never lost.
 *
 * A node that ends without having been told to rejects `crashed`, and every
 * wait of this class. The process never outlives the one that started it.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const READY_POLL_MS = 10;

export interface NodeProcessOptions {
  readonly dataDirectory: string;
  /** Exists; `node.out` and `node.err` are written there. */
  readonly outputDirectory: string;
  readonly port: number;
  /** More arguments of `serve`. */
  readonly serveArguments?: readonly string[];
  /** Arguments of Node.js itself. */
  readonly execArguments?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** What to run instead of the built command line. */
  readonly script?: string;
  readonly readyTimeoutMs?: number;
}

/** How a process ended. */
export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** One run of the node. */
interface Run {
  readonly child: ChildProcess;
  readonly ended: Promise<Ending>;
  /** Whether its end was asked for. */
  told: boolean;
}

export class NodeProcess {
  readonly outputFiles: readonly [string, string];
  /** Rejects when a run ends by itself; never resolves. */
  readonly crashed: Promise<never>;
  readonly #options: NodeProcessOptions;
  #reportCrash: (error: Error) => void = () => {};
  #run: Run | undefined;

  constructor(options: NodeProcessOptions) {
    this.#options = options;
    this.outputFiles = [join(options.outputDirectory, "node.out"), join(options.outputDirectory, "node.err")];
    this.crashed = new Promise((_, reject) => {
      this.#reportCrash = reject;
    });
    this.crashed.catch(() => {});
  }

  get url(): string {
    return `ws://127.0.0.1:${this.#options.port}`;
  }

  /** The running process's id; undefined when none runs. */
  get pid(): number | undefined {
    return this.#run?.child.pid;
  }

  /** Starts a run and waits until it is ready; answers how long that took in milliseconds. */
  async start(): Promise<number> {
    if (this.#run !== undefined) throw new Error("the node is running already");
    const startedMs = performance.now();
    this.#run = this.#spawn();
    await Promise.race([this.#becomesReady(), this.crashed]);
    return performance.now() - startedMs;
  }

  /** SIGKILL, sent before this returns; resolves when the process is gone. */
  kill(): Promise<Ending> {
    return this.#end("SIGKILL");
  }

  /** SIGTERM; resolves when the process has ended, and rejects when it takes longer than `timeoutMs`. */
  async stop(timeoutMs = 10_000): Promise<Ending> {
    const waiting = new AbortController();
    const tooLong = delay(timeoutMs, undefined, { signal: waiting.signal }).then(() => {
      throw new Error(`the node did not stop within ${timeoutMs} ms`);
    });
    tooLong.catch(() => {});
    try {
      return await Promise.race([this.#end("SIGTERM"), tooLong]);
    } finally {
      waiting.abort();
    }
  }

  /** The end of what the node wrote, for a person who looks for a fault. */
  outputTail(lineCount = 20): string {
    const lines = this.outputFiles.flatMap((file) =>
      existsSync(file) ? readFileSync(file, "utf8").split("\n") : [],
    );
    return lines
      .filter((line) => line !== "")
      .slice(-lineCount)
      .join("\n");
  }

  #spawn(): Run {
    const { dataDirectory, port, script, execArguments, serveArguments, environment } = this.#options;
    const [out, err] = this.outputFiles.map((file) => openSync(file, "a")) as [number, number];
    const child = spawn(
      process.execPath,
      [
        ...(execArguments ?? []),
        script ?? builtCommandLine(),
        "serve",
        "--data-directory",
        dataDirectory,
        "--port",
        String(port),
        ...(serveArguments ?? []),
      ],
      { stdio: ["ignore", out, err], env: { ...process.env, ...environment } },
    );
    closeSync(out);
    closeSync(err);
    const killWithParent = () => child.kill("SIGKILL");
    process.once("exit", killWithParent);
    const ended = new Promise<Ending>((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code, signal) => resolve({ code, signal }));
    });
    const run: Run = { child, ended, told: false };
    ended
      .then(({ code, signal }) => {
        process.off("exit", killWithParent);
        if (this.#run === run) this.#run = undefined;
        if (!run.told) throw new Error(`the node ended by itself (${signal ?? `exit code ${code}`})`);
      })
      .catch((error: Error) =>
        this.#reportCrash(new Error(`${error.message}; it wrote last:\n${this.outputTail()}`)),
      );
    return run;
  }

  #end(signal: NodeJS.Signals): Promise<Ending> {
    const run = this.#run;
    if (run === undefined) throw new Error("the node is not running");
    run.told = true;
    run.child.kill(signal);
    return run.ended;
  }

  async #becomesReady(): Promise<void> {
    const timeoutMs = this.#options.readyTimeoutMs ?? 10_000;
    const deadlineMs = performance.now() + timeoutMs;
    while (this.#run !== undefined && !(await this.#isReady())) {
      if (performance.now() > deadlineMs) {
        throw new Error(
          `the node was not ready within ${timeoutMs} ms; it wrote last:\n${this.outputTail()}`,
        );
      }
      await delay(READY_POLL_MS);
    }
    if (this.#run === undefined) throw new Error("the node was ended before it was ready");
  }

  async #isReady(): Promise<boolean> {
    try {
      const response = await fetch(`http://127.0.0.1:${this.#options.port}/health/ready`, {
        signal: AbortSignal.timeout(1000),
      });
      await response.arrayBuffer();
      return response.ok;
    } catch {
      return false;
    }
  }
}

/** A port nobody listens on now; taken from the system, so that parallel tests do not meet. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("the system gave no port");
  return address.port;
}

/** `dist/src/cli/main.js`, wherever this file was compiled to. */
export function builtCommandLine(): string {
  const path = join(repositoryRoot(), "dist", "src", "cli", "main.js");
  if (!existsSync(path)) throw new Error(`${path} is missing: run npm run build first`);
  return path;
}

export function repositoryRoot(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, "package.json"))) directory = dirname(directory);
  return directory;
}
