/** What comes in: order, repeats, acks, gaps, what survives the application's failures. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Envelope } from "../../src/client/client.js";
import { encodeNotice } from "../../src/wire/notices.js";
import { gapReasons } from "../../src/wire/protocol.js";
import { deliver, idOf, liveClient, requestOf, scriptedClient, sender, settle } from "./support.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("acks", () => {
  test("envelopes of one message are acked together, with the last sequence", async () => {
    const { client, transport } = await liveClient();
    const sequences: number[] = [];
    client.on("envelope", ({ sequence }) => sequences.push(sequence));
    transport.socket.receive(deliver(5), deliver(6), deliver(9));
    await settle(20);
    expect(sequences).toEqual([5, 6, 9]);
    expect(transport.socket.take()).toEqual([[{ kind: "ack", sequence: 9 }]]);
    expect(client.position).toBe(9);
  });

  test("a client that takes nothing hands nothing over and acks nothing, and is live all the same", async () => {
    const { client, transport } = await liveClient({ acks: "none", ackHoldMs: 0 });
    const came: string[] = [];
    for (const event of ["envelope", "gap", "notice"] as const) client.on(event, () => void came.push(event));
    const notice = { ...deliver(2), sender: new Uint8Array(20), payload: encodeNotice({ notice: "roster" }) };
    transport.socket.receive(deliver(1), notice);
    transport.socket.receive({ kind: "gap", sequence: 3, count: 1, reason: gapReasons.quota });
    await settle(20);
    const sent = client.send(requestOf(1));
    await settle();
    expect(transport.socket.take().map((frames) => frames.map(({ kind }) => kind))).toEqual([["send"]]);
    await Promise.all([client.close(), expect(sent).rejects.toMatchObject({ code: "clientClosed" })]);
    expect([came, client.position, transport.socket.take()]).toEqual([[], 0, []]);
  });

  test("when a listener sends, the ack and the send leave in one message, the ack first", async () => {
    const { client, transport } = await liveClient();
    client.on("envelope", ({ sequence }) => void client.send(requestOf(sequence)));
    transport.socket.receive(deliver(1), deliver(2));
    await settle();
    const messages = transport.socket.take();
    expect(messages.map((frames) => frames.map(({ kind }) => kind))).toEqual([["ack", "send", "send"]]);
    expect(messages[0]?.[0]).toEqual({ kind: "ack", sequence: 2 });
    await settle(1_000);
    expect(transport.socket.take()).toEqual([]);
  });

  test("an ack waits ackHoldMs for company, and leaves with the send that comes", async () => {
    const { client, transport } = await liveClient({ ackHoldMs: 50 });
    client.on("envelope", () => undefined);
    transport.socket.receive(deliver(1));
    await settle(40);
    expect(transport.socket.take()).toEqual([]);
    void client.send(requestOf(1));
    await settle();
    expect(transport.socket.take()[0]?.map(({ kind }) => kind)).toEqual(["ack", "send"]);
  });

  test("an ack waits no longer when a quarter of the window waits for it", async () => {
    const { client, transport } = await liveClient({ ackHoldMs: 60_000 }, { windowEntries: 8 });
    client.on("envelope", () => undefined);
    transport.socket.receive(deliver(1));
    await settle(100);
    expect(transport.socket.take()).toEqual([]);
    transport.socket.receive(deliver(2));
    await settle(100);
    expect(transport.socket.take()).toEqual([[{ kind: "ack", sequence: 2 }]]);
  });

  test("an envelope is acked only after the listener's promise has resolved, and the next one waits for it", async () => {
    const { client, transport } = await liveClient({ ackHoldMs: 0 });
    const waiting: (() => void)[] = [];
    const begun: number[] = [];
    client.on("envelope", ({ sequence }) => {
      begun.push(sequence);
      return new Promise<void>((resolve) => waiting.push(resolve));
    });
    transport.socket.receive(deliver(1), deliver(2));
    await settle(100);
    expect(begun).toEqual([1]);
    expect(transport.socket.take()).toEqual([]);
    waiting.shift()?.();
    await settle();
    expect(begun).toEqual([1, 2]);
    expect(transport.socket.take()).toEqual([[{ kind: "ack", sequence: 1 }]]);
    waiting.shift()?.();
    await settle();
    expect(transport.socket.take()).toEqual([[{ kind: "ack", sequence: 2 }]]);
  });

  test("a failed listener keeps the position back until the application acks; later envelopes still come", async () => {
    const { client, transport } = await liveClient({ ackHoldMs: 0 });
    const failed: Envelope[] = [];
    const seen: number[] = [];
    client.on("envelope", async ({ sequence }) => {
      seen.push(sequence);
      if (sequence === 1) throw new Error("cannot decrypt");
    });
    client.on("handlerFailed", ({ envelope }) => failed.push(envelope));
    transport.socket.receive(deliver(1), deliver(2));
    await settle();
    expect(seen).toEqual([1, 2]);
    expect(client.position).toBe(0);
    expect(transport.socket.take()).toEqual([]);
    failed[0]?.ack();
    await settle();
    expect(transport.socket.take()).toEqual([[{ kind: "ack", sequence: 2 }]]);
  });

  test("in manual mode nothing is acked before ack(), and acks out of order wait for the gap to close", async () => {
    const { client, transport } = await liveClient({ acks: "manual", ackHoldMs: 0 });
    const envelopes: Envelope[] = [];
    client.on("envelope", (envelope) => envelopes.push(envelope));
    transport.socket.receive(deliver(1), deliver(2), deliver(3));
    await settle();
    envelopes[1]?.ack();
    await settle();
    expect(client.position).toBe(0);
    expect(transport.socket.take()).toEqual([]);
    envelopes[0]?.ack();
    await settle();
    expect(transport.socket.take()).toEqual([[{ kind: "ack", sequence: 2 }]]);
  });

  test("without a listener envelopes wait unacked, and come in order once there is one", async () => {
    const { client, transport } = await liveClient({ ackHoldMs: 0 });
    transport.socket.receive(deliver(1), deliver(2));
    await settle();
    expect(transport.socket.take()).toEqual([]);
    const seen: number[] = [];
    client.on("envelope", ({ sequence }) => seen.push(sequence));
    await settle();
    expect(seen).toEqual([1, 2]);
    expect(transport.socket.take()).toEqual([[{ kind: "ack", sequence: 2 }]]);
  });

  test("close() acks what was taken before it closes the socket", async () => {
    const { client, transport } = await liveClient();
    client.on("envelope", () => undefined);
    transport.socket.receive(deliver(3));
    await client.close();
    expect(transport.socket.take()).toEqual([[{ kind: "ack", sequence: 3 }]]);
    expect(transport.socket.closedWith).toBe(1000);
  });

  test("close() called by a listener ends the handing over", async () => {
    const { client, transport } = await liveClient();
    const seen: number[] = [];
    client.on("envelope", ({ sequence }) => {
      seen.push(sequence);
      void client.close();
    });
    transport.socket.receive(deliver(1), deliver(2));
    await settle();
    expect(seen).toEqual([1]);
    expect(client.state).toBe("closed");
  });
});

describe("repeats", () => {
  test("after a reconnect the client resumes behind what was taken, and drops what comes again", async () => {
    const { client, transport } = await liveClient();
    const seen: number[] = [];
    const waiting: (() => void)[] = [];
    client.on("envelope", ({ sequence }) => {
      seen.push(sequence);
      if (sequence === 3) return new Promise<void>((resolve) => waiting.push(resolve));
      return undefined;
    });
    transport.socket.receive(deliver(1), deliver(2), deliver(3));
    await settle();
    transport.socket.end(1006);
    await settle(600);
    transport.socket.welcome({ position: 2 });
    const [hello] = transport.socket.take().flat();
    expect(hello).toMatchObject({ kind: "hello", resume: 2 });
    transport.socket.receive(deliver(3), deliver(4));
    waiting.shift()?.();
    await settle(20);
    expect(seen).toEqual([1, 2, 3, 4]);
    expect(transport.socket.take()).toEqual([[{ kind: "ack", sequence: 4 }]]);
  });

  test("nothing is acked that the new connection has not brought yet, and repeats that were taken meanwhile are", async () => {
    const { client, transport } = await liveClient({ acks: "manual", ackHoldMs: 0 });
    const envelopes: Envelope[] = [];
    client.on("envelope", (envelope) => envelopes.push(envelope));
    transport.socket.receive(deliver(1), deliver(2), deliver(3));
    transport.socket.end(1006);
    await settle(600);
    transport.socket.open();
    for (const envelope of envelopes) envelope.ack();
    transport.socket.welcome({ position: 0 });
    await settle();
    expect(
      transport.socket
        .take()
        .flat()
        .map(({ kind }) => kind),
    ).not.toContain("ack");
    expect(client.position).toBe(3);
    transport.socket.receive(deliver(1), deliver(2));
    await settle();
    expect(transport.socket.take()).toEqual([[{ kind: "ack", sequence: 2 }]]);
    transport.socket.receive(deliver(3));
    await settle();
    expect(transport.socket.take()).toEqual([[{ kind: "ack", sequence: 3 }]]);
  });

  test("an envelope that comes again under a new sequence is dropped and acked", async () => {
    const { client, transport } = await liveClient();
    const seen: number[] = [];
    client.on("envelope", ({ sequence }) => seen.push(sequence));
    transport.socket.receive(deliver(10, 77));
    await settle();
    transport.socket.end(1006);
    await settle(600);
    transport.socket.welcome({ position: 0 });
    transport.socket.take();
    transport.socket.receive(deliver(2 ** 32 + 1, 77), deliver(2 ** 32 + 2, 78));
    await settle(20);
    expect(seen).toEqual([10, 2 ** 32 + 2]);
    expect(transport.socket.take()).toEqual([[{ kind: "ack", sequence: 2 ** 32 + 2 }]]);
  });

  test("a repeat of an envelope that is not taken yet is not acked before its first appearance is", async () => {
    const { client, transport } = await liveClient({ acks: "manual", ackHoldMs: 0 });
    const envelopes: Envelope[] = [];
    client.on("envelope", (envelope) => envelopes.push(envelope));
    transport.socket.receive(deliver(1, 77), deliver(2, 77));
    await settle();
    expect(envelopes.length).toBe(1);
    expect(client.position).toBe(0);
    envelopes[0]?.ack();
    expect(client.position).toBe(2);
  });

  test("a sequence that was seen is dropped also when its id is forgotten", async () => {
    const { client, transport } = await liveClient({ recentIdsMax: 1 });
    const seen: number[] = [];
    client.on("envelope", ({ sequence }) => seen.push(sequence));
    transport.socket.receive(deliver(1), deliver(2), deliver(3));
    await settle();
    transport.socket.end(1006);
    await settle(600);
    transport.socket.welcome({ position: 0 });
    transport.socket.receive(deliver(1), deliver(2), deliver(3), deliver(4));
    await settle();
    expect(seen).toEqual([1, 2, 3, 4]);
  });

  test("the same id from another device is no repeat", async () => {
    const { client, transport } = await liveClient();
    const seen: number[] = [];
    client.on("envelope", ({ sequence }) => seen.push(sequence));
    const other = sender.slice();
    other[19] = 8;
    transport.socket.receive(deliver(1, 77), { ...deliver(2, 77), sender: other });
    expect(seen).toEqual([1, 2]);
  });

  test("position and recentIds carry over into the next run", async () => {
    const first = await liveClient();
    first.client.on("envelope", () => undefined);
    first.transport.socket.receive(deliver(1, 77), deliver(2, 78));
    await first.client.close();
    const { position, recentIds } = first.client;
    expect(recentIds.length).toBe(2);
    expect(recentIds[0]?.length).toBe(72);

    const second = scriptedClient({ resume: { position, recentIds } });
    const seen: number[] = [];
    second.client.on("envelope", ({ sequence }) => seen.push(sequence));
    void second.client.connect();
    await settle();
    second.transport.socket.welcome({ position });
    expect(second.transport.socket.take().flat()[0]).toMatchObject({ kind: "hello", resume: 2 });
    second.transport.socket.receive(deliver(2, 78), deliver(3, 77), deliver(4, 79));
    await settle();
    expect(seen).toEqual([4]);
    expect(second.client.position).toBe(4);
  });

  test("only recentIdsMax ids are remembered, the oldest go first", async () => {
    const { client, transport } = await liveClient({ recentIdsMax: 2 });
    const seen: number[] = [];
    client.on("envelope", ({ id }) => seen.push(id[15] as number));
    transport.socket.receive(deliver(1, 1), deliver(2, 2), deliver(3, 3), deliver(4, 3), deliver(5, 1));
    expect(seen).toEqual([1, 2, 3, 1]);
    expect(client.recentIds.map((hex) => hex.slice(-2))).toEqual(["03", "01"]);
  });
});

test("gaps and the live marker come in order with envelopes, and a gap is acked like an entry", async () => {
  const { client, transport } = await liveClient();
  const story: unknown[] = [];
  client.on("envelope", async ({ sequence }) => story.push(sequence));
  client.on("gap", ({ sequence, count, reason }) => story.push({ sequence, count, reason }));
  client.on("live", () => story.push("live"));
  transport.socket.receive(
    deliver(1),
    { kind: "gap", sequence: 40, count: 39, reason: gapReasons.expired },
    deliver(41),
    { kind: "live", sequence: 41 },
    { kind: "gap", sequence: 50, count: 9, reason: 99 },
  );
  await settle(20);
  expect(story).toEqual([
    1,
    { sequence: 40, count: 39, reason: "expired" },
    41,
    "live",
    { sequence: 50, count: 9, reason: "unknown" },
  ]);
  expect(transport.socket.take()).toEqual([[{ kind: "ack", sequence: 50 }]]);
});

test("a signal reaches the application and is never acked", async () => {
  const { client, transport } = await liveClient();
  const signals: unknown[] = [];
  client.on("signal", (signal) => signals.push(signal));
  transport.socket.receive({ kind: "signal", sender, payload: Uint8Array.of(4) });
  await settle(100);
  expect(signals).toEqual([{ sender, payload: Uint8Array.of(4) }]);
  expect(transport.socket.take()).toEqual([]);
});

test("an envelope has its sender, id, time and payload", async () => {
  const { client, transport } = await liveClient();
  const envelope = client.once("envelope");
  await settle();
  transport.socket.receive({ ...deliver(8), timeMs: 1_760_000_000_123, payload: Uint8Array.of(1, 2) });
  expect(await envelope).toMatchObject({
    sequence: 8,
    sender,
    id: idOf(8),
    timeMs: 1_760_000_000_123,
    payload: Uint8Array.of(1, 2),
  });
});
