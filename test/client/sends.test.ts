/** What send() promises: receipts, refusals, repetition, bounds. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { InterlineError } from "../../src/client/client.js";
import { encodeRefusal } from "../../src/wire/control.js";
import { durabilities } from "../../src/wire/protocol.js";
import { account, errorOf, idOf, liveClient, requestOf, scriptedClient, sentIds, settle } from "./support.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("receipts", () => {
  test("a cumulative receipt resolves every send up to its position, with the named durability", async () => {
    const { client, transport } = await liveClient();
    const sends = [1, 2, 3].map((number) => client.send(requestOf(number)));
    await settle();
    transport.socket.receive({ kind: "receipt", position: 2, durability: durabilities.disk });
    expect(await Promise.all(sends.slice(0, 2))).toEqual([
      { id: idOf(1), durability: "disk" },
      { id: idOf(2), durability: "disk" },
    ]);
    expect(client.unreceiptedCount).toBe(1);
    transport.socket.receive({ kind: "receipt", position: 3, durability: durabilities.memory });
    expect(await sends[2]).toEqual({ id: idOf(3), durability: "memory" });
  });

  test("sends of one turn leave in one message", async () => {
    const { client, transport } = await liveClient();
    for (const number of [1, 2, 3]) void client.send(requestOf(number));
    await settle();
    const messages = transport.socket.take();
    expect(messages.length).toBe(1);
    expect(sentIds(messages)).toEqual([1, 2, 3]);
  });

  test("a send without an id gets a random one", async () => {
    const { client, transport } = await liveClient();
    const { to } = requestOf(1);
    void client.send({ to });
    void client.send({ to });
    await settle();
    const ids = transport.socket
      .take()
      .flat()
      .map((frame) => (frame.kind === "send" ? frame.id : undefined));
    expect(ids[0]?.length).toBe(16);
    expect(ids[0]).not.toEqual(ids[1]);
  });

  test("the caller may reuse its payload buffer at once", async () => {
    const { client, transport } = await liveClient();
    const payload = Uint8Array.of(1, 2, 3);
    void client.send({ to: [{ account, version: 1, devices: [{ device: 1, payload }] }] });
    payload.fill(9);
    await settle();
    const [frame] = transport.socket.take().flat();
    expect(frame?.kind === "send" && frame.accounts[0]?.devices[0]?.payload).toEqual(Uint8Array.of(1, 2, 3));
  });
});

describe("refusals", () => {
  test("a stale roster rejects with the missing and surplus devices and leaves its neighbours alone", async () => {
    const { client, transport } = await liveClient();
    const sends = [1, 2, 3].map((number) => client.send(requestOf(number)));
    await settle();
    const rosters = [{ account, version: 5, missing: [2, 3], surplus: [7] }];
    transport.socket.receive(encodeRefusal({ position: 2, code: "rosterStale", detail: { rosters } }), {
      kind: "receipt",
      position: 3,
      durability: durabilities.disk,
    });
    const error = await errorOf(sends[1] as Promise<unknown>);
    expect(error).toBeInstanceOf(InterlineError);
    expect(error).toMatchObject({ code: "rosterStale", number: 301, retry: "repair", detail: { rosters } });
    expect((await sends[0])?.id).toEqual(idOf(1));
    expect((await sends[2])?.id).toEqual(idOf(3));
  });

  test("an overloaded node is left alone for its delay, then all sends are repeated in order under their ids", async () => {
    const { client, transport } = await liveClient();
    const refused: boolean[] = [];
    client.on("refused", ({ willRetry }) => refused.push(willRetry));
    const sends = [1, 2, 3].map((number) => client.send(requestOf(number)));
    await settle();
    transport.socket.take();
    transport.socket.receive(
      { kind: "receipt", position: 1, durability: durabilities.disk },
      encodeRefusal({ position: 2, code: "overloaded", retryAfterMs: 2_000 }),
      encodeRefusal({ position: 3, code: "overloaded", retryAfterMs: 2_000 }),
    );
    const later = client.send(requestOf(4));
    await settle(1_900);
    expect(transport.socket.take()).toEqual([]);
    expect(refused).toEqual([true, true]);
    await settle(700);
    expect(sentIds(transport.socket.take())).toEqual([2, 3, 4]);
    // Positions go on counting on the same connection: 2 and 3 are now 4 and 5.
    transport.socket.receive({ kind: "receipt", position: 6, durability: durabilities.disk });
    await Promise.all([...sends, later]);
  });

  test("a quota of one brand delays that send only", async () => {
    const { client, transport } = await liveClient();
    void client.send(requestOf(1));
    await settle();
    transport.socket.take();
    transport.socket.receive(encodeRefusal({ position: 1, code: "brandQuota", retryAfterMs: 1_000 }));
    void client.send(requestOf(2));
    await settle();
    expect(sentIds(transport.socket.take())).toEqual([2]);
    await settle(1_300);
    expect(sentIds(transport.socket.take())).toEqual([1]);
  });

  test("repeating stops after attemptsMax", async () => {
    const { client, transport } = await liveClient();
    const error = errorOf(client.send({ ...requestOf(1), attemptsMax: 3 }));
    for (let position = 1; position <= 3; position++) {
      await settle(10_000);
      expect(sentIds(transport.socket.take())).toEqual([1]);
      transport.socket.receive(encodeRefusal({ position, code: "brandQuota", retryAfterMs: 100 }));
    }
    expect(await error).toMatchObject({ code: "brandQuota", retry: "later", retryAfterMs: 100 });
    await settle(60_000);
    expect(sentIds(transport.socket.take())).toEqual([]);
  });

  test.each(["diskLow", "brandQuota"] as const)(
    "%s may last: a send that may be repeated without end is never left waiting for long, nor repeated at once",
    async (code) => {
      const { client, transport } = await liveClient({}, { silenceMs: 3_600_000 });
      void client.send({ ...requestOf(1), attemptsMax: Number.MAX_SAFE_INTEGER });
      await settle();
      for (let position = 1; position <= 40; position++) {
        expect(sentIds(transport.socket.take())).toEqual([1]);
        transport.socket.receive(encodeRefusal({ position, code, retryAfterMs: 250 }));
        if (position > 10) {
          await settle(20_000);
          expect(sentIds(transport.socket.take())).toEqual([]);
        }
        await settle(40_000);
      }
    },
  );

  test("a code of a newer server is given with its number", async () => {
    const { client, transport } = await liveClient();
    const error = errorOf(client.send({ ...requestOf(1), attemptsMax: 1 }));
    await settle();
    // [35, 1, 399, 0, {}]
    transport.socket.receive(Uint8Array.of(0x95, 35, 1, 0xcd, 0x01, 0x8f, 0, 0x80));
    expect(await error).toMatchObject({ code: "unknownCode", number: 399 });
  });
});

describe("bounds", () => {
  test("beyond queueCountMax a send is rejected with queueFull, and room comes back with receipts", async () => {
    const { client, transport } = await liveClient({ queueCountMax: 2 });
    const first = client.send(requestOf(1));
    void client.send(requestOf(2));
    expect(await errorOf(client.send(requestOf(3)))).toMatchObject({ code: "queueFull", retry: "later" });
    await settle();
    transport.socket.receive({ kind: "receipt", position: 1, durability: durabilities.disk });
    await first;
    void client.send(requestOf(4));
    await settle();
    expect(client.unreceiptedCount).toBe(2);
  });

  test("beyond queueBytesMax a send is rejected with queueFull, also while offline", async () => {
    const { client } = scriptedClient({ queueBytesMax: 1_000 });
    const to = [{ account, version: 1, devices: [{ device: 1, payload: new Uint8Array(600) }] }];
    void client.send({ to }).catch(() => undefined);
    expect(await errorOf(client.send({ to }))).toMatchObject({ code: "queueFull" });
    await client.close();
  });

  test("one message holds no more than the server takes", async () => {
    const { client, transport } = await liveClient({}, { messageBytesMax: 2_000 });
    const to = [{ account, version: 1, devices: [{ device: 1, payload: new Uint8Array(600) }] }];
    for (let i = 0; i < 7; i++) void client.send({ to });
    await settle();
    const sizes = transport.socket.written.map(({ length }) => length);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(2_000);
    expect(transport.socket.take().map((frames) => frames.length)).toEqual([3, 3, 1]);
  });

  test("a send that no message can hold is rejected and does not end the connection", async () => {
    const { client, transport } = await liveClient({}, { messageBytesMax: 500 });
    const to = [{ account, version: 1, devices: [{ device: 1, payload: new Uint8Array(600) }] }];
    const tooLarge = errorOf(client.send({ to }));
    void client.send(requestOf(2));
    await settle();
    expect(await tooLarge).toMatchObject({ code: "frameTooLarge" });
    expect(sentIds(transport.socket.take())).toEqual([2]);
  });

  test("a full socket buffer holds sends back until it drains", async () => {
    const { client, transport } = await liveClient();
    transport.socket.bufferedAmount = 64 * 1024 * 1024;
    void client.send(requestOf(1));
    await settle(1_000);
    expect(transport.socket.take()).toEqual([]);
    transport.socket.bufferedAmount = 0;
    await settle(10);
    expect(sentIds(transport.socket.take())).toEqual([1]);
  });

  test("what is in flight is bounded: the rest goes out as receipts come in", async () => {
    const { client, transport } = await liveClient({ queueBytesMax: 64 * 1024 * 1024 });
    const to = [{ account, version: 1, devices: [{ device: 1, payload: new Uint8Array(96 * 1024) }] }];
    const sends = Array.from({ length: 100 }, () => client.send({ to }));
    await settle();
    const first = transport.socket.take().flat().length;
    expect(first).toBeLessThan(50);
    transport.socket.receive({ kind: "receipt", position: first, durability: durabilities.disk });
    await settle();
    const second = transport.socket.take().flat().length;
    expect(second).toBeGreaterThan(0);
    transport.socket.receive({ kind: "receipt", position: first + second, durability: durabilities.disk });
    await settle();
    transport.socket.receive({ kind: "receipt", position: 100, durability: durabilities.disk });
    await Promise.all(sends);
  });

  test.each([
    ["an account of 17 bytes", { to: [{ account: new Uint8Array(17), version: 1, devices: [] }] }],
    ["an account that is no address", { to: [{ account: "alice", version: 1, devices: [] }] }],
    ["a version that is no integer", { to: [{ account, version: 1.5, devices: [] }] }],
    ["device 0", { to: [{ account, version: 1, devices: [{ device: 0, payload: new Uint8Array(1) }] }] }],
    ["no account", { to: [] }],
    ["an id of 15 bytes", { to: [{ account, version: 1, devices: [] }], id: new Uint8Array(15) }],
  ])("%s is refused before anything is sent", async (_what, request) => {
    const { client, transport } = await liveClient();
    expect(await errorOf(client.send(request))).toMatchObject({ code: "badArgument" });
    await settle();
    expect(transport.socket.take()).toEqual([]);
  });
});

describe("lost connections", () => {
  test("unreceipted sends are repeated under the same id in the order of the calls", async () => {
    const { client, transport } = await liveClient();
    const sends = [1, 2, 3].map((number) => client.send(requestOf(number)));
    await settle();
    const before = transport.socket.take().flat();
    transport.socket.receive({ kind: "receipt", position: 1, durability: durabilities.disk });
    // One that waits for room, and one that is made without a connection.
    transport.socket.bufferedAmount = 64 * 1024 * 1024;
    sends.push(client.send(requestOf(4)));
    await settle();
    transport.socket.end(1006);
    sends.push(client.send(requestOf(5)));
    await settle(600);
    transport.socket.welcome();
    await settle();
    const after = transport.socket
      .take()
      .flat()
      .filter(({ kind }) => kind === "send");
    expect(sentIds([after])).toEqual([2, 3, 4, 5]);
    expect(after.slice(0, 2)).toEqual(before.slice(1));
    // Positions begin at 1 again on the new connection.
    transport.socket.receive({ kind: "receipt", position: 4, durability: durabilities.disk });
    expect((await Promise.all(sends)).map(({ id }) => id)).toEqual([1, 2, 3, 4, 5].map(idOf));
  });

  test("sends made before connect() leave after the welcome, never before", async () => {
    const { client, transport } = scriptedClient();
    void client.send(requestOf(1));
    void client.connect();
    await settle();
    transport.socket.open();
    await settle();
    expect(
      transport.socket
        .take()
        .flat()
        .map(({ kind }) => kind),
    ).toEqual(["hello"]);
    transport.socket.welcome();
    await settle();
    expect(sentIds(transport.socket.take())).toEqual([1]);
  });

  test("close() rejects what has no receipt", async () => {
    const { client } = await liveClient();
    const error = errorOf(client.send(requestOf(1)));
    await settle();
    await client.close();
    expect(await error).toMatchObject({ code: "clientClosed" });
    expect(await errorOf(client.send(requestOf(2)))).toMatchObject({ code: "clientClosed" });
  });
});

describe("without receipts", () => {
  test("a signal goes out when connected and is dropped when not", async () => {
    const { client, transport } = await liveClient();
    const request = { to: [{ account, devices: [{ device: 7, payload: Uint8Array.of(1) }] }] };
    expect(client.signal(request)).toBe(true);
    await settle();
    expect(transport.socket.take()).toEqual([[{ kind: "ephemeral", accounts: request.to }]]);
    const toGroup = { group: request.to[0]?.account as Uint8Array, payload: Uint8Array.of(1) };
    expect(client.signal(toGroup)).toBe(true);
    await settle();
    expect(transport.socket.take()).toEqual([[{ kind: "groupEphemeral", ...toGroup }]]);
    transport.socket.end(1006);
    expect(client.signal(request)).toBe(false);
  });

  test("a roster query is answered, and asked again after a lost connection", async () => {
    const { client, transport } = await liveClient();
    const roster = client.roster(`2/${"bb".repeat(16)}`);
    await settle();
    expect(transport.socket.take()).toEqual([[{ kind: "rosterQuery", request: 1, account }]]);
    transport.socket.end(1006);
    await settle(600);
    transport.socket.welcome();
    await settle();
    expect(transport.socket.take().flat()).toContainEqual({ kind: "rosterQuery", request: 1, account });
    transport.socket.receive({ kind: "roster", request: 1, account, version: 4, devices: [1, 7] });
    expect(await roster).toEqual({ account, version: 4, devices: [1, 7] });
  });
});
