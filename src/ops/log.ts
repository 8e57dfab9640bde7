/**
 * The node's log: JSON lines for machines, one readable line each for people at
 * a terminal. Warnings and errors of a running node are few; nothing is logged
 * per envelope or per connection below `debug`.
 *
 * Redaction by construction: a field is a number, a truth value or a short text
 * that we wrote ourselves. Bytes, objects and addresses do not fit the type: no
 * account and no device is named. Errors give their name, code and message, and
 * at `debug` their stack; messages of ours hold no values from tokens or
 * envelopes.
 */
import { destination, type Logger, pino } from "pino";

export type LogFields = { readonly [Name: string]: number | boolean | string | undefined };

export interface Log {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
  /** An error with what led to it. */
  failure(event: string, error: unknown, fields?: LogFields): void;
}

/** Where lines go: a terminal, a file, a test's list. */
export interface LogSink {
  write(line: string): void;
}

export interface LogOptions {
  readonly level: string;
  /** Readable lines; JSON without. */
  readonly isReadable: boolean;
  readonly hasColours?: boolean;
  /** The standard error stream without. */
  readonly sink?: LogSink;
}

export function createLog({ level, isReadable, hasColours = false, sink }: LogOptions): Log {
  const raw = sink ?? destination({ fd: 2, sync: true });
  const target = isReadable ? { write: (line: string) => raw.write(readable(line, hasColours)) } : raw;
  const logger = pino(
    {
      level,
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: byName },
    },
    target,
  );
  return new PinoLog(logger);
}

class PinoLog implements Log {
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  debug(event: string, fields: LogFields = {}): void {
    this.#logger.debug(fields, event);
  }

  info(event: string, fields: LogFields = {}): void {
    this.#logger.info(fields, event);
  }

  warn(event: string, fields: LogFields = {}): void {
    this.#logger.warn(fields, event);
  }

  error(event: string, fields: LogFields = {}): void {
    this.#logger.error(fields, event);
  }

  failure(event: string, error: unknown, fields: LogFields = {}): void {
    this.#logger.error({ ...fields, ...this.#errorFields(error) }, event);
  }

  #errorFields(error: unknown): LogFields {
    if (!(error instanceof Error)) return { error: typeof error };
    const { code } = error as { code?: unknown };
    return {
      error: error.name,
      ...(typeof code === "string" ? { code } : {}),
      message: error.message,
      ...(error.cause instanceof Error ? { cause: error.cause.message } : {}),
      ...(this.#logger.isLevelEnabled("debug") ? { stack: error.stack } : {}),
    };
  }
}

function byName(label: string): object {
  return { level: label };
}

const colours: Readonly<Record<string, string>> = { debug: "2", info: "36", warn: "33", error: "31" };

/** `17:04:59 warn  the disk is nearly full  freeBytes=1048576` */
function readable(line: string, hasColours: boolean): string {
  const { time, level, pid: _, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const paint = (text: string, code: string | undefined) =>
    hasColours && code !== undefined ? `\u001b[${code}m${text}\u001b[0m` : text;
  const tail = Object.entries(fields).map(([name, value]) => `${name}=${show(value)}`);
  const label = paint(String(level).padEnd(5), colours[String(level)]);
  const head = `${paint(String(time).slice(11, 19), "2")} ${label} ${msg}`;
  return `${[head, ...(tail.length > 0 ? [paint(tail.join(" "), "2")] : [])].join("  ")}\n`;
}

function show(value: unknown): string {
  const text = String(value);
  return /^[^\s"=]+$/.test(text) ? text : JSON.stringify(text);
}
