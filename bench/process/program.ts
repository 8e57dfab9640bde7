/**
 * A program that is not ours, as a child of the harness: started by hand, pinned
 * to a core, ready when its port accepts connections, stopped by its process id
 * and nothing else. It dies with the harness (`setpriv --pdeathsig`, Linux), even
 * when that is killed, so that no server outlives an interrupted run; a program
 * must not change its user, which would undo this.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

export interface ProgramOptions {
  readonly file: string;
  readonly args: readonly string[];
  /** Added to the harness's own. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly core: number | undefined;
  /** On 127.0.0.1. */
  readonly port: number;
  readonly readyTimeoutMs?: number;
}

const HOST = "127.0.0.1";
const POLL_MS = 50;
const STOP_TIMEOUT_MS = 5_000;
const OUTPUT_CHARS_KEPT = 4_000;
/** Where servers are installed that no user's PATH names. */
const MORE_FOLDERS = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

export class Program {
  readonly #process: ChildProcess;
  readonly #exited: Promise<void>;
  #hasExited = false;
  #output = "";

  private constructor(process: ChildProcess) {
    this.#process = process;
    for (const stream of [process.stdout, process.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.#output = (this.#output + text).slice(-OUTPUT_CHARS_KEPT);
      });
    }
    this.#exited = new Promise((resolve) => {
      const ended = () => {
        this.#hasExited = true;
        resolve();
      };
      process.once("exit", ended);
      process.once("error", (error) => {
        this.#output += error.message;
        ended();
      });
    });
  }

  /** Resolves when the port accepts connections. */
  static async start(options: ProgramOptions): Promise<Program> {
    const { file, args, environment, core, port, readyTimeoutMs = 30_000 } = options;
    const command = ["setpriv", "--pdeathsig", "KILL"];
    if (core !== undefined) command.push("taskset", "-c", String(core));
    const [first = "", ...rest] = [...command, file, ...args];
    const program = new Program(
      spawn(first, rest, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...environment } }),
    );
    const deadlineMs = performance.now() + readyTimeoutMs;
    while (!(await accepts(port))) {
      const isLate = performance.now() > deadlineMs;
      if (isLate) await program.kill();
      if (program.#hasExited) {
        const what = isLate ? `did not listen within ${readyTimeoutMs} ms` : "ended before it listened";
        throw new Error(`${file} ${what}\n${program.#output}`);
      }
      await sleep(POLL_MS);
    }
    return program;
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** Asks it to end, and insists when it has not after a few seconds. */
  async stop(): Promise<void> {
    this.#process.kill("SIGTERM");
    const timer = setTimeout(() => this.#process.kill("SIGKILL"), STOP_TIMEOUT_MS);
    await this.#exited;
    clearTimeout(timer);
  }

  /** As a crash. */
  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#exited;
  }
}

/** The file of an installed program; undefined when there is none. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? "").split(":"), ...MORE_FOLDERS].filter((folder) => folder !== "");
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

/** A port that nobody listens on. Somebody may take it before the caller does: nobody here is in such a hurry. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen(0, HOST, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: HOST, port });
    const settle = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once("connect", () => settle(true)).once("error", () => settle(false));
  });
}
