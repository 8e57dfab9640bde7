/** The socket of a device in the node's own process, with a door that the test opens. */
import { expect, test } from "vitest";
import { type LocalDoor, localTransport } from "../../src/local-transport.js";
import type { Connection } from "../../src/path/path.js";
import { encodeClientFrame } from "../../src/wire/client-frames.js";
import { closeCode, codes } from "../../src/wire/codes.js";
import { encodeServerFrame } from "../../src/wire/server-frame-writer.js";
import { decodeServerMessage } from "../../src/wire/server-frames.js";

const HELLO = encodeClientFrame({ kind: "hello", token: "", resume: 0, windowEntries: 0, windowBytes: 0 });
const LIVE = { kind: "live", sequence: 7 } as const;
const LIVE_BYTES = encodeServerFrame(LIVE);

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** A socket that has said hello, what it hears, and the path's side of it. */
async function entered(enter: LocalDoor["enter"] = async () => ({ slot: 3 })) {
  const heard: unknown[] = [];
  const detached: number[] = [];
  let connection: Connection | undefined;
  const socket = localTransport({
    enter: (toClient, hello) => {
      connection = toClient;
      return enter(toClient, hello);
    },
    receive: () => undefined,
    detach: (slot) => detached.push(slot),
  }).connect("", "");
  socket.onmessage = (bytes) => heard.push(...decodeServerMessage(bytes));
  socket.onclose = (code, reason) => heard.push({ code, reason });
  socket.send(HELLO);
  await turn();
  return { socket, heard, detached, toClient: connection as Connection };
}

const ended = (name: "draining" | "tooManyConnections", retryAfterMs: number) => [
  { kind: "error", code: codes[name].code, retryAfterMs, message: codes[name].message },
  { code: closeCode(name), reason: name },
];

test("what the node sent before it ends a connection arrives, then why and for how long, then the close", async () => {
  const { toClient, heard, detached } = await entered();
  expect(toClient.send(LIVE_BYTES)).toBe(1);
  toClient.end("draining", 5_000);
  expect(toClient.send(LIVE_BYTES)).toBe(2);
  toClient.end("draining", 7_000);
  await turn();
  expect(heard).toEqual([LIVE, ...ended("draining", 5_000)]);
  expect(detached).toEqual([3]);
});

test("a device that is refused hears when to come back", async () => {
  const { heard, detached } = await entered(async () => ({
    refused: "tooManyConnections",
    retryAfterMs: 900,
  }));
  expect(heard).toEqual(ended("tooManyConnections", 900));
  expect(detached).toEqual([]);
});

test("a client that has closed hears nothing more, not even what was on the way", async () => {
  const { socket, toClient, heard, detached } = await entered();
  toClient.send(LIVE_BYTES);
  socket.close(1000, "done");
  toClient.end("draining", 5_000);
  await turn();
  expect(heard).toEqual([{ code: 1000, reason: "done" }]);
  expect(detached).toEqual([3]);
});
