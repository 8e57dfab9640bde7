/**
 * A child process of the harness: started, pinned to a core, asked over IPC,
 * stopped. A child that ends by itself fails every open request with what it
 * last wrote to stderr.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type AnswerMessage, READY } from "./requests.js";

export interface ChildOptions {
  /** The module to run, as a URL beside the caller's own. */
  readonly module: URL;
  readonly args?: readonly string[];
  /** Flags for Node itself. */
  readonly nodeFlags?: readonly string[];
  readonly core: number | undefined;
  readonly readyTimeoutMs?: number;
}

interface Waiting {
  resolve(answer: unknown): void;
  reject(error: Error): void;
}

const STDERR_CHARS_KEPT = 4_000;

export class Child {
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  readonly #exited: Promise<void>;
  #lastRequest: number = READY;
  #stderr = "";
  #ended: Error | undefined;

  private constructor(process: ChildProcess, name: string) {
    this.#process = process;
    process.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_CHARS_KEPT);
    });
    process.on("message", (message: AnswerMessage) => this.#settle(message));
    process.on("error", (error) => this.#fail(error));
    this.#exited = new Promise((resolve) => {
      process.once("exit", (code, signal) => {
        this.#fail(new Error(`${name} ended (${signal ?? `exit code ${code}`})\n${this.#stderr}`));
        resolve();
      });
    });
  }

  /** Resolves with the child's first word, once it is ready. */
  static async start<Ready>(options: ChildOptions): Promise<{ child: Child; ready: Ready }> {
    const script = moduleArguments(options.module);
    const command = [process.execPath, ...(options.nodeFlags ?? []), ...script, ...(options.args ?? [])];
    if (options.core !== undefined) command.unshift("taskset", "-c", String(options.core));
    const [file = "", ...args] = command;
    const spawned = spawn(file, args, { stdio: ["ignore", "ignore", "pipe", "ipc"] });
    const child = new Child(spawned, options.module.pathname.split("/").at(-1) ?? "child");
    const ready = await child.#await<Ready>(READY, options.readyTimeoutMs ?? 30_000);
    return { child, ready };
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  async request<Answer>(verb: string, body: unknown = {}, timeoutMs = 60_000): Promise<Answer> {
    if (this.#ended !== undefined) throw this.#ended;
    this.#lastRequest += 1;
    const request = this.#lastRequest;
    const answer = this.#await<Answer>(request, timeoutMs);
    // A channel that closes under our hands is told by the child's end.
    this.#process.send({ request, verb, body }, () => {});
    return answer;
  }

  /** Ends the child and waits until it is gone. */
  async kill(signal: "SIGTERM" | "SIGKILL" = "SIGKILL"): Promise<void> {
    this.#process.kill(signal);
    await this.#exited;
  }

  #await<Answer>(request: number, timeoutMs: number): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(request);
        reject(new Error(`a child did not answer within ${timeoutMs} ms\n${this.#stderr}`));
      }, timeoutMs);
      this.#waiting.set(request, {
        resolve(answer) {
          clearTimeout(timer);
          resolve(answer as Answer);
        },
        reject(error) {
          clearTimeout(timer);
          reject(error);
        },
      });
    });
  }

  #settle(message: AnswerMessage): void {
    const waiting = this.#waiting.get(message.request);
    this.#waiting.delete(message.request);
    if (message.failure !== undefined) waiting?.reject(new Error(message.failure));
    else waiting?.resolve(message.answer);
  }

  #fail(error: Error): void {
    this.#ended ??= error;
    for (const waiting of this.#waiting.values()) waiting.reject(error);
    this.#waiting.clear();
  }
}

/**
 * Children run compiled: under vitest this file is TypeScript, and the child is
 * taken from dist, where the build has put it.
 */
function moduleArguments(module: URL): string[] {
  const path = fileURLToPath(module);
  const at = path.lastIndexOf("/bench/");
  if (path.slice(0, at).endsWith("/dist")) return [path];
  return [`${path.slice(0, at)}/dist${path.slice(at)}`];
}
