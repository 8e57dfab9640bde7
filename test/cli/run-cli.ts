/** Runs a command of the command line inside this process, with streams that remember. */
import type { CliContext, Stream } from "../../src/cli/output.js";
import { runProgram } from "../../src/cli/program.js";

export interface CliOutcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  /** Standard output as JSON, one object a line. */
  json(): Record<string, unknown>[];
}

export interface CliRun {
  readonly outcome: Promise<CliOutcome>;
  /** Resolves when standard output holds the text. */
  shows(text: string): Promise<void>;
  /** Standard output so far. */
  text(): string;
  interrupt(): void;
}

export interface CliSetting {
  readonly workingDirectory: string;
  readonly environment?: NodeJS.ProcessEnv;
  readonly isTerminal?: boolean;
}

export function startCli(setting: CliSetting, ...parameters: string[]): CliRun {
  const out = new Recorder(setting.isTerminal ?? false);
  const err = new Recorder(setting.isTerminal ?? false);
  const interruption = new AbortController();
  const context: CliContext = {
    out,
    err,
    environment: setting.environment ?? {},
    workingDirectory: setting.workingDirectory,
    invocation: "interline",
    interrupted: interruption.signal,
  };
  const outcome = runProgram(parameters, context, "1.2.3").then((code) => ({
    code,
    out: out.text,
    err: err.text,
    json: () =>
      out.text
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line)),
  }));
  return {
    outcome,
    shows: (text) => out.shows(text),
    text: () => out.text,
    interrupt: () => interruption.abort(),
  };
}

export function runCli(setting: CliSetting, ...parameters: string[]): Promise<CliOutcome> {
  return startCli(setting, ...parameters).outcome;
}

class Recorder implements Stream {
  text = "";
  readonly isTTY: boolean;
  #waiting: { readonly text: string; readonly resolve: () => void }[] = [];

  constructor(isTTY: boolean) {
    this.isTTY = isTTY;
  }

  write(text: string): void {
    this.text += text;
    for (const waiter of this.#waiting) if (this.text.includes(waiter.text)) waiter.resolve();
    this.#waiting = this.#waiting.filter((waiter) => !this.text.includes(waiter.text));
  }

  shows(text: string): Promise<void> {
    if (this.text.includes(text)) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ text, resolve }));
  }
}
