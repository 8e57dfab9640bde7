/**
 * What the command line writes, and with which code it ends.
 *
 *   0  done      1  failed      2  the command or the configuration was wrong
 *
 * Results go to standard output, everything about them to standard error, so
 * that a pipe gets results only. With --json a result is one JSON object a line.
 * Colours appear on a terminal only, and not when NO_COLOR is set.
 */
import { CommanderError, InvalidArgumentError } from "commander";
import { InterlineError } from "../client/client.js";
import { CodedError } from "../wire/coded-error.js";

export const exitCodes = { ok: 0, failed: 1, usage: 2 } as const;

export interface Stream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  /** Of a terminal. */
  readonly columns?: number;
}

export interface CliContext {
  readonly out: Stream;
  readonly err: Stream;
  readonly environment: NodeJS.ProcessEnv;
  readonly workingDirectory: string;
  /** How this program was started, for commands that are shown to be copied. */
  readonly invocation: string;
  /** Aborted by the first SIGINT or SIGTERM; one that comes before anybody has asked for this ends the process. */
  readonly interrupted: AbortSignal;
}

/** A failure that is told in one sentence, without a stack. */
export class CliError extends Error {
  override readonly name = "CliError";
  readonly exitCode: number;
  /** The JSON result, already written, says it. */
  readonly isInResult: boolean;
  /** Of the node's refusal that it is about, if one is. */
  readonly code: string;

  constructor(
    message: string,
    exitCode: number = exitCodes.failed,
    options: { isInResult?: boolean; code?: string } = {},
  ) {
    super(message);
    this.exitCode = exitCode;
    this.isInResult = options.isInResult ?? false;
    this.code = options.code ?? "failed";
  }
}

export class Output {
  readonly context: CliContext;
  readonly isJson: boolean;

  constructor(context: CliContext, options: { readonly json?: boolean | undefined }) {
    this.context = context;
    this.isJson = options.json === true;
  }

  /** A line of the result, for people; nothing with --json. */
  line(text = ""): void {
    if (!this.isJson) this.context.out.write(`${text}\n`);
  }

  /** The result, or one of several, with --json; nothing without. */
  json(value: object): void {
    if (this.isJson) this.context.out.write(`${JSON.stringify(value)}\n`);
  }

  /** Something about the result, for people. */
  note(text: string): void {
    if (!this.isJson) this.context.err.write(`${this.dim(text, this.context.err)}\n`);
  }

  bold(text: string): string {
    return paint(text, "1", this.context.out, this.context.environment);
  }

  green(text: string): string {
    return paint(text, "32", this.context.out, this.context.environment);
  }

  dim(text: string, stream: Stream = this.context.out): string {
    return paint(text, "2", stream, this.context.environment);
  }
}

export function hasColours(stream: Stream, environment: NodeJS.ProcessEnv): boolean {
  return stream.isTTY === true && !environment.NO_COLOR && environment.TERM !== "dumb";
}

function paint(text: string, code: string, stream: Stream, environment: NodeJS.ProcessEnv): string {
  return hasColours(stream, environment) ? `\u001b[${code}m${text}\u001b[0m` : text;
}

/** Tells a failure and says with which code to end; undefined for an error that is our own bug. */
export function tellFailure(error: unknown, context: CliContext, isJson: boolean): number | undefined {
  const told = readFailure(error);
  if (told === undefined) return undefined;
  // Commander has told people already.
  if (!(error instanceof CommanderError))
    context.err.write(`${paint("interline:", "31", context.err, context.environment)} ${told.message}\n`);
  if (isJson && !(error instanceof CliError && error.isInResult)) context.out.write(failureLine(told));
  return told.exitCode;
}

export interface Failure {
  /** Of the registry, or `failed`. */
  readonly code: string;
  readonly message: string;
  readonly exitCode: number;
}

/** A failure as the result of a command with --json. */
export function failureLine({ code, message }: Failure): string {
  return `${JSON.stringify({ ok: false, error: { code, message } })}\n`;
}

/** Whether a command was to answer with JSON, also one whose options could not be read. */
export function asksForJson(parameters: readonly string[]): boolean {
  return parameters.some((word) => word === "--json" || word.startsWith("--json="));
}

/** What a failure says, and the exit code it deserves; undefined for an error that is not told to people. */
export function readFailure(error: unknown): Failure | undefined {
  if (error instanceof CommanderError) {
    const message = error.message.replace(/^error: /, "");
    return { code: "failed", message, exitCode: exitCodes.usage };
  }
  if (error instanceof CliError) {
    return { code: error.code, message: error.message, exitCode: error.exitCode };
  }
  if (error instanceof InterlineError) {
    const { code, retryAfterMs } = error;
    const when = retryAfterMs > 0 ? `; try again in ${Math.ceil(retryAfterMs / 1000)} s` : "";
    return { code, message: `${error.message}${when}`, exitCode: exitCodes.failed };
  }
  if (error instanceof CodedError) {
    const exitCode = error.code === "badConfiguration" ? exitCodes.usage : exitCodes.failed;
    return { code: error.code, message: error.message, exitCode };
  }
  return undefined;
}

/** `500ms`, `30s`, `10m`, `12h`, `7d`; for commander. */
export function durationMs(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text);
  const unitMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }[match?.[2] ?? ""];
  const valueMs = Number(match?.[1]) * (unitMs ?? 0);
  if (valueMs > 0) return valueMs;
  throw new InvalidArgumentError("Expected a time like 30s, 10m or 2h.");
}

/** The same for a timer, which Node.js fires at once when it is longer than this. */
export function timeoutMs(text: string): number {
  return Math.min(durationMs(text), 2 ** 31 - 1);
}

/** A whole number in a range; for commander. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`Expected a whole number, ${min} to ${max}.`);
  };
}

/** Columns as wide as their widest cell, two spaces apart; cells of numbers to the right. */
export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string[] {
  const widths = head.map((cell, i) =>
    Math.max(cell.length, ...rows.map((row) => String(row[i] ?? "").length)),
  );
  const line = (cells: readonly (string | number)[]) =>
    cells
      .map((cell, i) => {
        const width = widths[i] ?? 0;
        return typeof cell === "number" ? String(cell).padStart(width) : cell.padEnd(width);
      })
      .join("  ")
      .trimEnd();
  return [line(head), ...rows.map(line)];
}

/** `1 entry`, `2 entries`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  let value = bytes;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

export function formatTime(timeMs: number): string {
  return new Date(timeMs).toISOString();
}
