/** Requests to the node's services, and what the node says: told to the application, acked like envelopes. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { InterlineError } from "../../src/client/errors.js";
import { codes } from "../../src/wire/codes.js";
import { encodeNotice } from "../../src/wire/notices.js";
import { REQUESTS_UNDER_WAY_MAX } from "../../src/wire/protocol.js";
import { deliver, errorOf, liveClient, scriptedClient, settle } from "./support.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const answer = { kind: "answer", code: 0, retryAfterMs: 0, body: {} } as const;

describe("a request", () => {
  test("resolves with the body of its own answer", async () => {
    const { client, transport } = await liveClient();
    const first = client.request({ method: "things.do", body: { x: 1 } });
    const second = client.request({ method: "things.do" });
    await settle();
    expect(transport.socket.take().flat()).toEqual([
      { kind: "request", request: 1, method: "things.do", body: Uint8Array.of(0x81, 0xa1, 0x78, 1) },
      { kind: "request", request: 2, method: "things.do", body: Uint8Array.of(0x80) },
    ]);
    transport.socket.receive(
      { ...answer, request: 2, body: { n: 2 } },
      { ...answer, request: 1, body: { n: 1 } },
    );
    expect([await first, await second]).toEqual([{ n: 1 }, { n: 2 }]);
  });

  test("rejects with the answer's code, its advice and what it says", async () => {
    const { client, transport } = await liveClient();
    const refused = errorOf(client.request({ method: "things.do" }));
    await settle();
    const { code } = codes.rateLimited;
    transport.socket.receive({ ...answer, request: 1, code, retryAfterMs: 70, body: { left: 0 } });
    expect(await refused).toMatchObject({
      code: "rateLimited",
      retry: "later",
      retryAfterMs: 70,
      body: { left: 0 },
    });
  });

  test("waits for the first connection", async () => {
    const { client, transport } = scriptedClient();
    const done = client.request({ method: "things.do" });
    void client.connect();
    await settle();
    transport.socket.welcome();
    await settle();
    expect(transport.socket.take().flat()).toMatchObject([
      { kind: "hello" },
      { kind: "request", request: 1 },
    ]);
    transport.socket.receive({ ...answer, request: 1 });
    expect(await done).toEqual({});
  });

  test("ends with its connection, unless it may be repeated: that is asked again", async () => {
    const { client, transport } = await liveClient();
    const once = errorOf(client.request({ method: "keys.claim" }));
    const list = client.devices.list();
    await settle();
    transport.socket.end(1006);
    expect(await once).toMatchObject({ code: "connectionLost" });
    await settle(600);
    transport.socket.welcome();
    await settle();
    expect(transport.socket.take().flat()).toMatchObject([
      { kind: "hello" },
      { kind: "request", request: 2, method: "devices.list" },
    ]);
    transport.socket.receive({ ...answer, request: 2, body: { version: 3, devices: [1, 5] } });
    expect(await list).toEqual({ version: 3, devices: [1, 5] });
  });

  test("beyond those that may be under way waits for an answer, and loses nothing with the connection", async () => {
    const { client, transport } = await liveClient();
    const asked = Array.from({ length: REQUESTS_UNDER_WAY_MAX + 3 }, () =>
      client.request({ method: "things.do" }).then(
        () => "done",
        (error: InterlineError) => error.code,
      ),
    );
    await settle();
    const written = () =>
      transport.socket
        .take()
        .flat()
        .flatMap((frame) => (frame.kind === "request" ? [frame.request] : []));
    expect(written()).toEqual(Array.from({ length: REQUESTS_UNDER_WAY_MAX }, (_, i) => i + 1));
    transport.socket.receive({ ...answer, request: 5 });
    await settle();
    expect(written()).toEqual([REQUESTS_UNDER_WAY_MAX + 1]);
    transport.socket.end(1006);
    await settle(600);
    transport.socket.welcome();
    await settle();
    const waited = [REQUESTS_UNDER_WAY_MAX + 2, REQUESTS_UNDER_WAY_MAX + 3];
    expect(written()).toEqual(waited);
    transport.socket.receive(...waited.map((request) => ({ ...answer, request })));
    const outcomes = await Promise.all(asked);
    expect(outcomes.flatMap((outcome, i) => (outcome === "done" ? [i + 1] : []))).toEqual([5, ...waited]);
    expect(outcomes.filter((outcome) => outcome === "connectionLost").length).toBe(REQUESTS_UNDER_WAY_MAX);
  });

  test("whose answer lacks what it should hold rejects", async () => {
    const { client, transport } = await liveClient();
    const list = errorOf(client.devices.list());
    await settle();
    transport.socket.receive({ ...answer, request: 1, body: { version: "3" } });
    expect(await list).toMatchObject({ code: "badMessage" });
  });

  test("is refused here when it is too large, or the client is closed", async () => {
    const { client } = await liveClient();
    const large = { x: new Uint8Array(300_000) };
    expect(await errorOf(client.request({ method: "m", body: large }))).toMatchObject({
      code: "badArgument",
    });
    expect(await errorOf(client.request({ method: "m".repeat(65) }))).toMatchObject({ code: "badArgument" });
    const open = errorOf(client.request({ method: "m" }));
    await client.close();
    expect(await open).toMatchObject({ code: "clientClosed" });
    expect(await errorOf(client.request({ method: "m" }))).toMatchObject({ code: "clientClosed" });
  });
});

describe("a notice", () => {
  const notice = (sequence: number, version: number) => ({
    ...deliver(sequence, version, encodeNotice({ notice: "roster", version, devices: [1, 2] })),
    sender: new Uint8Array(20),
  });

  test("is told in order with envelopes, once, and acked", async () => {
    const { client, transport } = await liveClient();
    const seen: unknown[] = [];
    client.on("envelope", ({ sequence }) => void seen.push(sequence));
    client.on("notice", ({ body }) => void seen.push(body.version));
    // The third is the first again, under the sequence it got after the node's crash.
    transport.socket.receive(notice(1, 2), deliver(2), notice(3, 2), notice(4, 3));
    await settle(50);
    expect(seen).toEqual([2, 2, 3]);
    expect(client.position).toBe(4);
    expect(transport.socket.take().flat()).toEqual([{ kind: "ack", sequence: 4 }]);
  });

  test("needs no listener, and does not wait for one of envelopes", async () => {
    const { client, transport } = await liveClient();
    transport.socket.receive(notice(1, 2));
    await settle(50);
    expect(client.position).toBe(1);
  });
});
