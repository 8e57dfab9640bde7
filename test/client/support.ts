/** A client on a scripted transport, and short ways to say what the tests say often. */
import { vi } from "vitest";
import { type Client, type ClientOptions, createClient, type SendRequest } from "../../src/client/client.js";
import type { ClientFrame } from "../../src/wire/client-frames.js";
import type { WelcomeBody } from "../../src/wire/protocol.js";
import type { DeliverFrame } from "../../src/wire/server-frames.js";
import { ScriptedTransport } from "./scripted-transport.js";

export interface Scripted {
  readonly client: Client;
  readonly transport: ScriptedTransport;
}

export function scriptedClient(options: Partial<ClientOptions> = {}): Scripted {
  const transport = new ScriptedTransport();
  const client = createClient({ url: "ws://test", token: () => "token", transport, ...options });
  return { client, transport };
}

/** A client that has been welcomed and told `live`; what it wrote so far is taken. */
export async function liveClient(
  options: Partial<ClientOptions> = {},
  welcome: Partial<WelcomeBody> = {},
): Promise<Scripted> {
  const scripted = scriptedClient(options);
  const connected = scripted.client.connect();
  await settle();
  scripted.transport.socket.welcome(welcome);
  scripted.transport.socket.receive({ kind: "live", sequence: 0 });
  await connected;
  await settle();
  scripted.transport.socket.take();
  return scripted;
}

/** Runs everything that is due now. */
export async function settle(ms = 0): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
}

export const account = Uint8Array.from([0, 2, ...new Array(16).fill(0xbb)]);
export const sender = Uint8Array.from([...account, 0, 7]);

export function idOf(number: number): Uint8Array {
  const id = new Uint8Array(16);
  new DataView(id.buffer).setUint32(12, number);
  return id;
}

export function requestOf(number: number): SendRequest {
  return {
    id: idOf(number),
    to: [{ account, version: 1, devices: [{ device: 7, payload: Uint8Array.of(number) }] }],
  };
}

export function deliver(
  sequence: number,
  id = sequence,
  payload: Uint8Array = Uint8Array.of(1),
): DeliverFrame {
  return { kind: "deliver", sequence, sender, id: idOf(id), timeMs: 1, payload };
}

/** The last byte of each sent envelope's id. */
export function sentIds(messages: readonly (readonly ClientFrame[])[]): number[] {
  return messages.flat().flatMap((frame) => (frame.kind === "send" ? [frame.id[15] as number] : []));
}

/** The promise's error; fails when it resolves. */
export async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => {
      throw new Error("the promise resolved");
    },
    (error: unknown) => error,
  );
}
