/**
 * System calls of a node, as strace saw them, and what they say about receipts.
 *
 *   pwrite64           (journal)               an envelope's entry is handed to the system: durable, when
 *                                              the journal was opened with O_DSYNC
 *   fdatasync          (journal)               … and is durable, when it was not
 *   sendto, write, …   (socket)                a receipt leaves
 *
 * A receipt is early when it leaves, that is when its call begins, before every
 * envelope that it covers is durable, that is before the last of those calls
 * has returned. strace writes down begins and ends in the order in which they
 * happened, whatever thread they are of.
 *
 * Envelopes are recognised by ids of printable characters (`traceableId`), which
 * strace leaves as they are. Nothing here knows the engine.
 */
import { randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { Reader, type Value } from "./stranger-codec.js";

const ID_MARK = "Id:";
const ID_PATTERN = /Id:[A-Za-z0-9]{13}/g;
const JOURNAL = "/journal.dat";

/** 16 printable bytes. */
export function traceableId(): Buffer {
  return Buffer.from(ID_MARK + randomBytes(13).toString("base64").replace(/[+/=]/g, "x").slice(0, 13));
}

/** Arguments for strace that make a trace which `readTrace` understands. */
export function traceArguments(file: string): string[] {
  const calls = "openat,fdatasync,fsync,msync,pwrite64,pwritev,pwritev2,write,writev,sendto,sendmsg,close";
  return ["-f", "--seccomp-bpf", "-ttt", "-yy", "-s", "2000000", "-o", file, "-e", `trace=${calls}`];
}

export interface SentReceipt {
  /** The device's port. */
  readonly port: number;
  readonly position: number;
  /** Ids that were durable when its call began. */
  readonly durableCount: number;
  readonly atS: number;
}

/** A call that was made to fail. */
export interface FailedCall {
  /** Its end, in seconds since 1970. */
  readonly atS: number;
  /** Its descriptor, with the path of a file. */
  readonly descriptor: string;
}

export interface Trace {
  readonly receipts: readonly SentReceipt[];
  /** When each envelope became durable, as a count of those that were before it. */
  readonly durableOrder: ReadonlyMap<string, number>;
  readonly failures: readonly FailedCall[];
  readonly flushes: number;
  readonly lines: number;
}

interface Call {
  readonly name: string;
  readonly args: string;
  /** What was written and not flushed when it began. */
  readonly written: ReadonlySet<string>;
  readonly durableCount: number;
  readonly atS: number;
}

export async function readTrace(file: string): Promise<Trace> {
  const reader = new TraceReader();
  const lines = createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY });
  for await (const line of lines) reader.line(line);
  return reader.result();
}

/**
 * The receipts that left before an envelope that they cover was durable. `ids`
 * are those sent from each port, in the order of positions; undefined stands for
 * one that may have been durable before the trace began.
 */
export function earlyReceipts(
  trace: Trace,
  ids: ReadonlyMap<number, readonly (string | undefined)[]>,
): SentReceipt[] {
  const covered = new Map<number, number>();
  const isDurable = (id: string | undefined, durableCount: number) =>
    id === undefined || (trace.durableOrder.get(id) ?? Number.POSITIVE_INFINITY) < durableCount;
  return trace.receipts.filter(({ port, position, durableCount }) => {
    const sent = ids.get(port);
    if (sent === undefined) throw new Error(`a receipt to port ${port}, which is nobody's`);
    const from = covered.get(port) ?? 0;
    covered.set(port, position);
    return sent.slice(from, position).some((id) => !isDurable(id, durableCount));
  });
}

const LINE = /^(\d+) +([\d.]+) (.*)$/s;
const RESUMED = /^<\.\.\. (\w+) resumed>(.*)$/s;
const STARTED = /^(\w+)\((.*)$/s;
const UNFINISHED = " <unfinished ...>";
const RESULT = /\) += (-?\d+|\?)([^=]*)$/;

class TraceReader {
  /** Handed to the system, and not yet flushed. */
  #written = new Set<string>();
  readonly #durableOrder = new Map<string, number>();
  readonly #open = new Map<string, Call>();
  /** Descriptors of the journal that flush with every write. */
  readonly #synchronous = new Set<string>();
  readonly #sockets = new Map<string, SocketBytes>();
  readonly #receipts: SentReceipt[] = [];
  readonly #failures: FailedCall[] = [];
  #flushes = 0;
  #lines = 0;

  result(): Trace {
    return {
      receipts: this.#receipts,
      durableOrder: this.#durableOrder,
      failures: this.#failures,
      flushes: this.#flushes,
      lines: this.#lines,
    };
  }

  line(line: string): void {
    this.#lines++;
    const match = LINE.exec(line);
    if (match === null) return;
    const [, thread = "", time = "", rest = ""] = match;
    const resumed = RESUMED.exec(rest);
    if (resumed !== null) {
      const call = this.#open.get(thread);
      this.#open.delete(thread);
      if (call !== undefined) this.#ended(call, `${call.args}${resumed[2] ?? ""}`, Number(time));
      return;
    }
    const started = STARTED.exec(rest);
    if (started === null) return;
    const [, name = "", args = ""] = started;
    const isUnfinished = args.endsWith(UNFINISHED);
    const call: Call = {
      name,
      args: isUnfinished ? args.slice(0, -UNFINISHED.length) : args,
      written: new Set(this.#written),
      durableCount: this.#durableOrder.size,
      atS: Number(time),
    };
    if (isUnfinished) this.#open.set(thread, call);
    else this.#ended(call, args, Number(time));
  }

  #ended(call: Call, args: string, atS: number): void {
    const result = RESULT.exec(args);
    if (result === null) return;
    const value = Number(result[1]);
    if (result[2]?.includes("INJECTED") && value < 0)
      this.#failures.push({ atS, descriptor: /^[^,)]*/.exec(args)?.[0] ?? "" });
    if (args.startsWith("AT_FDCWD")) this.#opened(args, result);
    else if (call.name === "close") this.#sockets.delete(descriptorOf(args));
    else if (value < 0 || result[1] === "?") return;
    else if (call.name === "fdatasync" && args.includes(JOURNAL)) this.#durable(call.written);
    else if (args.includes(JOURNAL)) this.#wrote(args);
    else if (args.includes("<TCP")) this.#said(call, args, value);
  }

  #opened(args: string, [, value, shown = ""]: RegExpExecArray): void {
    if (args.includes("O_DSYNC") && shown.includes(JOURNAL)) this.#synchronous.add(String(value));
  }

  #durable(ids: Iterable<string>): void {
    this.#flushes++;
    for (const id of ids) {
      this.#written.delete(id);
      if (!this.#durableOrder.has(id)) this.#durableOrder.set(id, this.#durableOrder.size);
    }
  }

  #wrote(args: string): void {
    const ids = [...args.matchAll(ID_PATTERN)].map(([id]) => id);
    if (this.#synchronous.has(descriptorOf(args))) this.#durable(ids);
    else for (const id of ids) if (!this.#durableOrder.has(id)) this.#written.add(id);
  }

  #said(call: Call, args: string, bytes: number): void {
    const port = Number(/->[^>]*?:(\d+)\]>/.exec(args)?.[1]);
    const descriptor = descriptorOf(args);
    const socket = this.#sockets.get(descriptor) ?? new SocketBytes();
    this.#sockets.set(descriptor, socket);
    for (const frame of socket.take(quotedBytes(args).subarray(0, bytes))) {
      if (frame[0] !== 34) continue;
      const { durableCount, atS } = call;
      this.#receipts.push({ port, position: frame[1] as number, durableCount, atS });
    }
  }
}

function descriptorOf(args: string): string {
  return /^\d+/.exec(args)?.[0] ?? "";
}

/** The bytes of all quoted strings among the arguments of a call. */
function quotedBytes(args: string): Buffer {
  const parts = [...args.matchAll(/"((?:[^"\\]|\\.)*)"/gs)].map(([, quoted = ""]) => quoted);
  const bytes: number[] = [];
  for (const [whole, octal, named] of parts.join("").matchAll(/\\([0-7]{1,3})|\\(.)|[^\\]/gs)) {
    if (octal !== undefined) bytes.push(Number.parseInt(octal, 8));
    else if (named !== undefined) bytes.push(named in NAMED ? (NAMED[named] as number) : named.charCodeAt(0));
    else bytes.push(whole.charCodeAt(0));
  }
  return Buffer.from(bytes);
}

const NAMED: Readonly<Record<string, number>> = { n: 10, t: 9, r: 13, v: 11, f: 12 };

/** The frames that a node wrote to one socket, whatever pieces they were written in. */
class SocketBytes {
  #bytes = Buffer.alloc(0);
  #isUpgraded = false;

  take(bytes: Buffer): Value[][] {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    if (!this.#isUpgraded) {
      const end = this.#bytes.indexOf("\r\n\r\n");
      // A socket that was open before the trace began has no head.
      const isHead = this.#bytes.toString("latin1", 0, 5) === "HTTP/";
      if (isHead && end < 0) return [];
      if (isHead) this.#bytes = this.#bytes.subarray(end + 4);
      this.#isUpgraded = true;
    }
    const found: Value[][] = [];
    for (;;) {
      const message = this.#message();
      if (message === undefined) return found;
      const reader = new Reader(message);
      while (!reader.isAtEnd) found.push(reader.value() as Value[]);
    }
  }

  #message(): Buffer | undefined {
    const bytes = this.#bytes;
    if (bytes.length < 2) return undefined;
    const short = (bytes[1] as number) & 0x7f;
    const head = short === 126 ? 4 : short === 127 ? 10 : 2;
    if (bytes.length < head) return undefined;
    const length =
      short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short;
    if (bytes.length < head + length) return undefined;
    this.#bytes = bytes.subarray(head + length);
    const isBinary = ((bytes[0] as number) & 0x0f) === 2;
    return isBinary ? bytes.subarray(head, head + length) : Buffer.alloc(0);
  }
}
