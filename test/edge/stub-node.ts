/**
 * What stands behind the edge in its tests: handlers that write down what they
 * were called with. A token `good` signs device 1 in, `device-N` device N,
 * `later-N` only once `release` was called; any other is not accepted.
 */
import { onTestFinished } from "vitest";
import { type DeviceAddress, deviceAddress, deviceParts } from "../../src/base/address.js";
import {
  type Connection,
  type Edge,
  type EdgeHandlers,
  type EdgeLimits,
  type EdgeOptions,
  startEdge,
} from "../../src/edge/edge.js";
import type { SignedIn } from "../../src/rules/sign-in.js";
import { encodeClientFrame } from "../../src/wire/client-frames.js";
import { CodedError } from "../../src/wire/coded-error.js";
import { type CodeName, codeName } from "../../src/wire/codes.js";
import { decodeServerMessage } from "../../src/wire/server-frames.js";
import { type RawOptions, RawWebSocket } from "../support/raw-web-socket.js";

export class StubNode implements EdgeHandlers {
  readonly connections = new Map<number, Connection>();
  readonly received: { slot: number; bytes: Buffer }[] = [];
  readonly detached: { slot: number; connection: Connection }[] = [];
  readonly writableSlots: number[] = [];
  readonly signIns: string[] = [];
  turnsOffered = 0;
  takes = true;
  isReady = true;
  refusal: { refused: CodeName; retryAfterMs: number } | undefined;
  release: () => void = () => undefined;
  readonly #released = new Promise<void>((resolve) => {
    this.release = resolve;
  });

  async signIn(token: string): Promise<{ device: DeviceAddress }> {
    this.signIns.push(token);
    if (token.startsWith("later")) await this.#released;
    const match = /^(?:good|device-(\d+)|later-(\d+))$/.exec(token);
    if (!match) throw new CodedError("tokenInvalid");
    const device = Number(match[1] ?? match[2] ?? 1);
    return { device: deviceAddress({ brand: 1, account: new Uint8Array(16), device }) };
  }

  async enter(signedIn: SignedIn, connection: Connection) {
    if (this.refusal) return this.refusal;
    if (!("device" in signedIn)) throw new Error("the stub signs devices in");
    const slot = deviceParts(signedIn.device).device;
    this.connections.set(slot, connection);
    connection.send(Uint8Array.of(0x92, 0x20, 0x80));
    return { slot };
  }

  receive(slot: number, message: ArrayBuffer): boolean {
    this.received.push({ slot, bytes: Buffer.from(new Uint8Array(message)) });
    return this.takes;
  }

  writable(slot: number): void {
    this.writableSlots.push(slot);
  }

  detach(slot: number, connection: Connection): void {
    this.detached.push({ slot, connection });
  }

  turnIfLate(): void {
    this.turnsOffered++;
  }

  ready(): boolean {
    return this.isReady;
  }

  async metrics(): Promise<string> {
    return "interline_up 1\n";
  }
}

export interface Bench {
  readonly node: StubNode;
  readonly edge: Edge;
  /** Upgraded, nothing said. */
  open(options?: Partial<RawOptions>): Promise<RawWebSocket>;
  /** Signed in as the token's device, welcome taken. */
  join(token?: string): Promise<RawWebSocket>;
}

type BenchOptions = Partial<Omit<EdgeOptions, "limits">> & { limits?: Partial<EdgeLimits> };

/** One that is stopped when the test that asks for it has finished. */
export async function bench(options: BenchOptions = {}): Promise<Bench> {
  const made = await startBench(options);
  onTestFinished(() => made.edge.stop());
  return made;
}

export async function startBench(options: BenchOptions = {}): Promise<Bench> {
  const node = new StubNode();
  const edge = await startEdge({ host: "127.0.0.1", port: 0, ...options }, node);
  const open = (more?: Partial<RawOptions>) => RawWebSocket.open({ port: edge.port, ...more });
  const join = async (token = "good") => {
    const socket = await open();
    socket.send(hello(token));
    const welcome = await socket.next();
    if (welcome === undefined) throw new Error(`no welcome: ${JSON.stringify(await socket.ended)}`);
    return socket;
  };
  return { node, edge, open, join };
}

export function hello(token: string): Uint8Array {
  return encodeClientFrame({ kind: "hello", token, resume: 0, windowEntries: 0, windowBytes: 0 });
}

/** What the server said last: the error frame's code, and the close code. */
export async function farewell(
  socket: RawWebSocket,
): Promise<{ error: CodeName | undefined; retryAfterMs: number; closeCode: number | undefined }> {
  let error: CodeName | undefined;
  let retryAfterMs = 0;
  for (;;) {
    const frame = await socket.next();
    if (frame === undefined) break;
    if (frame.opcode !== 2) continue;
    for (const item of decodeServerMessage(frame.payload)) {
      if (item.kind !== "error") continue;
      error = codeName(item.code);
      retryAfterMs = item.retryAfterMs;
    }
  }
  return { error, retryAfterMs, closeCode: (await socket.ended).code };
}

/** Waits until the condition holds; fails after a generous time. */
export async function until(condition: () => boolean, what: string, timeoutMs = 10_000): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
