/** Who watches presence goes on watching, whatever happens to connections and requests. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { toHex } from "../../src/base/bytes.js";
import { codes } from "../../src/wire/codes.js";
import { errorOf, liveClient, type Scripted, settle } from "./support.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const answer = { kind: "answer", code: 0, retryAfterMs: 0, body: {} } as const;
/** More than the first back-off. */
const RECONNECTED_MS = 1_000;
const RETRY_MS = 70;

/** What the client has asked for since the last call: methods, with their numbers. */
function asked({ transport }: Scripted): [string, number][] {
  return transport.socket
    .take()
    .flat()
    .flatMap((frame) => (frame.kind === "request" ? [[frame.method, frame.request]] : []));
}

async function watching(): Promise<Scripted> {
  const scripted = await liveClient();
  const isWatching = scripted.client.contacts.watchPresence();
  await settle();
  expect(asked(scripted)).toEqual([["presence.watch", 1]]);
  scripted.transport.socket.receive({ ...answer, request: 1 });
  await isWatching;
  return scripted;
}

/** The connection is lost, and there is a new one. */
async function reconnect({ transport }: Scripted): Promise<void> {
  transport.socket.end(1006);
  await settle(RECONNECTED_MS);
  transport.socket.welcome();
  transport.socket.receive({ kind: "live", sequence: 0 });
  await settle();
}

async function refuse({ transport }: Scripted, request: number, retryAfterMs = RETRY_MS): Promise<void> {
  const { code } = codes.tooManyRequests;
  transport.socket.receive({ ...answer, request, code, retryAfterMs });
  await settle();
}

describe("who watches presence", () => {
  test("asks again on each connection, and not when it has asked to be told no more", async () => {
    const scripted = await watching();
    await reconnect(scripted);
    expect(asked(scripted)).toEqual([["presence.watch", 2]]);
    scripted.transport.socket.receive({ ...answer, request: 2 });
    void scripted.client.contacts.unwatchPresence();
    await settle();
    expect(asked(scripted)).toEqual([["presence.unwatch", 3]]);
    scripted.transport.socket.receive({ ...answer, request: 3 });
    await reconnect(scripted);
    expect(asked(scripted)).toEqual([]);
  });

  test("is told what comes before the answer", async () => {
    const { client, transport } = await liveClient();
    const seen: string[] = [];
    client.on("presence", ({ account, isOnline }) => void seen.push(`${toHex(account)} ${isOnline}`));
    void client.contacts.watchPresence();
    await settle();
    const account = new Uint8Array(18).fill(7);
    transport.socket.receive({ kind: "presence", online: [account], offline: [] }, { ...answer, request: 1 });
    expect(seen).toEqual([`${toHex(account)} true`]);
  });

  test("asks until the node takes it, when the node has too much to do for the new connection", async () => {
    const scripted = await watching();
    await reconnect(scripted);
    expect(asked(scripted)).toEqual([["presence.watch", 2]]);
    await refuse(scripted, 2);
    await settle(RETRY_MS - 1);
    expect(asked(scripted)).toEqual([]);
    await settle(1);
    expect(asked(scripted)).toEqual([["presence.watch", 3]]);
    await refuse(scripted, 3);
    await settle(RETRY_MS);
    expect(asked(scripted)).toEqual([["presence.watch", 4]]);
    scripted.transport.socket.receive({ ...answer, request: 4 });
    await settle(10 * RETRY_MS);
    expect(asked(scripted)).toEqual([]);
  });

  test("asks no more when it was refused and does not want to be told any more", async () => {
    const scripted = await watching();
    await reconnect(scripted);
    await refuse(scripted, 2);
    void scripted.client.contacts.unwatchPresence();
    await settle(10 * RETRY_MS);
    expect(asked(scripted)).toEqual([
      ["presence.watch", 2],
      ["presence.unwatch", 3],
    ]);
  });

  test("asks once on each connection, however many were lost before the answer", async () => {
    const scripted = await watching();
    for (let i = 0; i < 5; i++) {
      await reconnect(scripted);
      expect(asked(scripted)).toEqual([["presence.watch", 2]]);
    }
    scripted.transport.socket.receive({ ...answer, request: 2 });
    await reconnect(scripted);
    expect(asked(scripted)).toEqual([["presence.watch", 3]]);
  });

  test("asks the new connection at once when the old one was lost while it waited to ask again", async () => {
    const scripted = await watching();
    await reconnect(scripted);
    await refuse(scripted, 2, 10 * RECONNECTED_MS);
    scripted.transport.socket.take();
    await reconnect(scripted);
    expect(asked(scripted)).toEqual([["presence.watch", 3]]);
    scripted.transport.socket.receive({ ...answer, request: 3 });
    await settle(20 * RECONNECTED_MS);
    expect(asked(scripted)).toEqual([]);
  });

  test("hears of a refusal itself when it asks", async () => {
    const scripted = await liveClient();
    const refused = errorOf(scripted.client.contacts.watchPresence());
    await settle();
    await refuse(scripted, 1);
    expect(await refused).toMatchObject({ code: "tooManyRequests", retryAfterMs: RETRY_MS });
  });

  test("ends with the client", async () => {
    const scripted = await watching();
    await reconnect(scripted);
    await refuse(scripted, 2);
    await scripted.client.close();
    await settle(10 * RETRY_MS);
    expect(vi.getTimerCount()).toBe(0);
  });
});
