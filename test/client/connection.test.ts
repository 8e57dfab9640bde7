/** How a client signs in, stays connected, gives up, and ends. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { ClientState, InterlineError } from "../../src/client/client.js";
import { closeCode } from "../../src/wire/codes.js";
import { encodeWelcome } from "../../src/wire/control.js";
import { welcomeBody } from "./scripted-transport.js";
import { deliver, errorOf, liveClient, scriptedClient, settle } from "./support.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe("sign-in", () => {
  test("hello is alone in the first message and asks for what the options say", async () => {
    const { client, transport } = scriptedClient({
      windowEntries: 9,
      windowBytes: 70_000,
      token: async () => "t",
    });
    const connected = client.connect();
    await settle();
    expect(transport.socket.subprotocol).toBe("interline.v1");
    transport.socket.open();
    expect(transport.socket.take()).toEqual([
      [{ kind: "hello", token: "t", resume: 0, windowEntries: 9, windowBytes: 70_000 }],
    ]);
    transport.socket.receive(encodeWelcome(welcomeBody({ silenceMs: 1_234 })));
    expect((await connected).silenceMs).toBe(1_234);
    expect(client.welcome?.silenceMs).toBe(1_234);
  });

  test("what comes in one message with welcome waits for whoever listens when connect() has resolved", async () => {
    const { client, transport } = scriptedClient();
    const heard: string[] = [];
    const listening = client.connect().then(() => {
      client.on("gap", ({ sequence }) => void heard.push(`gap ${sequence}`));
      client.on("live", ({ sequence }) => void heard.push(`live ${sequence}`));
    });
    await settle();
    transport.socket.open();
    transport.socket.receive(
      encodeWelcome(welcomeBody({})),
      { kind: "gap", sequence: 3, count: 3, reason: 1 },
      { kind: "live", sequence: 3 },
    );
    await listening;
    await settle();
    expect(heard).toEqual(["gap 3", "live 3"]);
    await client.close();
  });

  test("what comes in a message right behind it waits as well, and so does nothing after", async () => {
    const { client, transport } = scriptedClient();
    const heard: string[] = [];
    const listening = client.connect().then(() => {
      client.on("gap", ({ sequence }) => void heard.push(`gap ${sequence}`));
      client.on("live", ({ sequence }) => void heard.push(`live ${sequence}`));
    });
    await settle();
    transport.socket.open();
    transport.socket.receive(encodeWelcome(welcomeBody({})), {
      kind: "gap",
      sequence: 3,
      count: 3,
      reason: 1,
    });
    transport.socket.receive({ kind: "live", sequence: 3 });
    await listening;
    await settle();
    expect(heard).toEqual(["gap 3", "live 3"]);
    transport.socket.receive({ kind: "gap", sequence: 4, count: 1, reason: 1 });
    expect(heard).toEqual(["gap 3", "live 3", "gap 4"]);
    await client.close();
  });

  test("what came with welcome is handed over before the end of a connection that ends at once", async () => {
    const { client, transport } = scriptedClient();
    const heard: string[] = [];
    client.on("gap", ({ sequence }) => void heard.push(`gap ${sequence}`));
    client.on("closed", ({ error }) => void heard.push(`closed ${error?.code}`));
    void client.connect();
    await settle();
    transport.socket.open();
    transport.socket.receive(encodeWelcome(welcomeBody({})), {
      kind: "gap",
      sequence: 3,
      count: 3,
      reason: 1,
    });
    transport.socket.end(closeCode("replaced"));
    await settle();
    expect(heard).toEqual(["gap 3", "closed replaced"]);
  });

  test("states are told in their order", async () => {
    const { client, transport } = scriptedClient();
    const states: ClientState[] = [];
    client.on("state", (state) => states.push(state));
    expect(client.state).toBe("idle");
    void client.connect();
    await settle();
    transport.socket.welcome();
    transport.socket.receive({ kind: "live", sequence: 0 });
    transport.socket.end(1006);
    await settle(600);
    await client.close();
    expect(states).toEqual(["connecting", "catchingUp", "live", "waiting", "connecting", "closed"]);
  });

  test.each(["tokenInvalid", "tokenExpired"] as const)(
    "after %s a fresh token is fetched at once, a second time only after a back-off",
    async (code) => {
      vi.spyOn(Math, "random").mockReturnValue(0.9);
      let calls = 0;
      const { client, transport } = scriptedClient({ token: () => `token ${++calls}` });
      void client.connect();
      await settle();
      transport.socket.open();
      transport.socket.refuse(code);
      await settle();
      expect(transport.sockets.length).toBe(2);
      transport.socket.open();
      expect(transport.socket.take()[0]?.[0]).toMatchObject({ token: "token 2" });
      transport.socket.refuse(code);
      await settle(400);
      expect(transport.sockets.length).toBe(2);
      await settle(100);
      expect(transport.sockets.length).toBe(3);
      // Once signed in, the next expiry is again the first in a row.
      transport.socket.welcome();
      transport.socket.refuse(code);
      await settle();
      expect(transport.sockets.length).toBe(4);
      expect(calls).toBe(4);
      await client.close();
    },
  );

  test("a failing token callback is tried again after a back-off", async () => {
    let calls = 0;
    const errors: InterlineError[] = [];
    const { client, transport } = scriptedClient({
      token: async () => {
        calls += 1;
        if (calls === 1) throw new Error("offline");
        return "token";
      },
    });
    client.on("disconnected", ({ error }) => errors.push(error));
    void client.connect();
    await settle(600);
    expect(errors).toMatchObject([{ code: "tokenUnavailable" }]);
    expect(transport.sockets.length).toBe(1);
    await client.close();
  });

  test("an attempt whose socket does not open in time is given up and repeated", async () => {
    const { client, transport } = scriptedClient({ connectTimeoutMs: 1_000, welcomeTimeoutMs: 3_000 });
    const errors: string[] = [];
    client.on("disconnected", ({ error }) => errors.push(error.code));
    void client.connect();
    await settle(999);
    expect(transport.socket.closedWith).toBeUndefined();
    await settle(600);
    expect(errors).toEqual(["connectTimeout"]);
    expect(transport.sockets.length).toBe(2);
    await client.close();
  });

  test("an open socket without a welcome in time is given up, and the attempt repeated", async () => {
    const { client, transport } = scriptedClient({ connectTimeoutMs: 1_000, welcomeTimeoutMs: 3_000 });
    const errors: string[] = [];
    client.on("disconnected", ({ error }) => errors.push(error.code));
    void client.connect();
    await settle(900);
    transport.socket.open();
    await settle(2_999);
    expect(transport.socket.closedWith).toBeUndefined();
    await settle(600);
    expect(errors).toEqual(["connectTimeout"]);
    expect(transport.sockets.length).toBe(2);
    await client.close();
  });

  test("a URL that can never work ends the client", async () => {
    const transport = {
      connect: () => {
        throw new SyntaxError("bad URL");
      },
    };
    const { client } = scriptedClient({ transport });
    expect(await errorOf(client.connect())).toMatchObject({ code: "badArgument" });
    expect(client.state).toBe("closed");
  });
});

describe("ends", () => {
  test.each(["replaced", "badFrame", "helloExpected", "tooManyDevices", "positionAhead"] as const)(
    "%s ends the client for good",
    async (code) => {
      const { client, transport } = await liveClient();
      const closed = client.once("closed");
      transport.socket.refuse(code);
      expect(await closed).toMatchObject({ error: { code } });
      await settle(120_000);
      expect(transport.sockets.length).toBe(1);
      expect(client.state).toBe("closed");
      expect(await errorOf(client.connect())).toMatchObject({ code: "clientClosed" });
    },
  );

  test("the close code alone is enough when the error frame did not arrive", async () => {
    const { client, transport } = await liveClient();
    const closed = client.once("closed");
    transport.socket.end(4501);
    expect(await closed).toMatchObject({ error: { code: "replaced", number: 501 } });
  });

  test("the server's delay is the least that is waited", async () => {
    const { client, transport } = await liveClient();
    const disconnected = client.once("disconnected");
    transport.socket.refuse("draining", 7_000);
    expect((await disconnected).retryInMs).toBeGreaterThanOrEqual(7_000);
    await settle(6_999);
    expect(transport.sockets.length).toBe(1);
    await settle(600);
    expect(transport.sockets.length).toBe(2);
    await client.close();
  });

  test("an error frame whose sender never closes ends the connection all the same", async () => {
    const { client, transport } = await liveClient();
    transport.socket.receive({ kind: "error", code: 503, retryAfterMs: 0, message: "" });
    await settle(2_000);
    expect(transport.sockets[0]?.closedWith).toBe(1000);
    expect(transport.sockets.length).toBe(2);
    await client.close();
  });

  test("pauses have full jitter under a doubling bound with a cap", async () => {
    const random = vi.spyOn(Math, "random").mockReturnValue(0.5);
    const { client, transport } = scriptedClient({ backOff: { baseMs: 100, capMs: 1_000 } });
    const pauses: number[] = [];
    client.on("disconnected", ({ retryInMs }) => pauses.push(retryInMs));
    void client.connect();
    for (let i = 0; i < 6; i++) {
      await settle(1_000);
      transport.socket.end(1006);
    }
    expect(pauses).toEqual([50, 100, 200, 400, 500, 500]);
    random.mockReturnValue(0);
    await settle(1_000);
    // Having been live begins anew.
    transport.socket.welcome();
    transport.socket.receive({ kind: "live", sequence: 0 });
    random.mockReturnValue(0.5);
    transport.socket.end(1006);
    expect(pauses.at(-1)).toBe(50);
    await client.close();
  });

  test("bytes that are no frame close the connection with 4101 and the client tries again", async () => {
    const { client, transport } = await liveClient();
    const errors: string[] = [];
    client.on("disconnected", ({ error }) => errors.push(error.code));
    client.on("closed", ({ error }) => errors.push(error?.code ?? ""));
    transport.socket.receive(Uint8Array.of(0xc1));
    await settle(600);
    expect(transport.sockets[0]?.closedWith).toBe(4101);
    expect(errors).toEqual(["badMessage"]);
    expect(transport.sockets.length).toBe(2);
    await client.close();
  });

  test("frames before the bad bytes of one message still count", async () => {
    const { client, transport } = await liveClient();
    const seen: number[] = [];
    client.on("envelope", ({ sequence }) => seen.push(sequence));
    await settle();
    transport.socket.receive(deliver(1), Uint8Array.of(0xc1));
    expect(seen).toEqual([1]);
    await client.close();
  });

  test("frames of an unknown kind are stepped over", async () => {
    const { client, transport } = await liveClient();
    const seen: number[] = [];
    client.on("envelope", ({ sequence }) => seen.push(sequence));
    await settle();
    // [99, {"a": [nil, 1.5]}]
    transport.socket.receive(
      Uint8Array.of(0x92, 99, 0x81, 0xa1, 0x61, 0x92, 0xc0, 0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0),
      deliver(1),
    );
    expect(seen).toEqual([1]);
    await client.close();
  });

  test("close() does not wait for a server that never answers", async () => {
    const { client, transport } = await liveClient();
    transport.socket.answersClose = false;
    const closed = client.close();
    await settle(1_000);
    await closed;
    expect(client.state).toBe("closed");
    expect(vi.getTimerCount()).toBe(0);
  });

  test("close() while waiting for the next attempt leaves no timer behind", async () => {
    const { client, transport } = await liveClient();
    transport.socket.end(1006);
    await settle();
    await client.close();
    expect(vi.getTimerCount()).toBe(0);
    await settle(60_000);
    expect(transport.sockets.length).toBe(1);
  });
});

describe("life", () => {
  test("a quiet connection is pinged every third of silenceMs, and an answering peer is kept", async () => {
    const { client, transport } = await liveClient({}, { silenceMs: 30_000 });
    for (let i = 1; i <= 5; i++) {
      await settle(10_000);
      expect(transport.socket.take()).toEqual([[{ kind: "ping", nonce: i }]]);
      transport.socket.receive({ kind: "pong", nonce: i, timeMs: 1 });
    }
    expect(client.state).toBe("live");
    await client.close();
  });

  test("a peer that does not answer a ping is given up within silenceMs", async () => {
    const { client, transport } = await liveClient({}, { silenceMs: 30_000 });
    const errors: string[] = [];
    client.on("disconnected", ({ error }) => errors.push(error.code));
    await settle(21_000);
    expect(errors).toEqual(["connectionLost"]);
    expect(transport.sockets[0]?.closedWith).toBe(1000);
    await client.close();
  });

  test("a client that only receives still pings, so that the server hears from it", async () => {
    const { client, transport } = await liveClient({}, { silenceMs: 30_000 });
    for (let i = 1; i <= 4; i++) {
      await settle(5_000);
      transport.socket.receive({ kind: "live", sequence: 0 });
    }
    expect(
      transport.socket
        .take()
        .flat()
        .map(({ kind }) => kind),
    ).toContain("ping");
    await client.close();
  });
});

test("an exception of a listener does not break the client", async () => {
  const { client, transport } = await liveClient();
  const thrown: unknown[] = [];
  vi.spyOn(globalThis, "setTimeout").mockImplementationOnce(((run: () => void) => {
    try {
      run();
    } catch (error) {
      thrown.push(error);
    }
    return 0;
  }) as never);
  client.on("signal", () => {
    throw new Error("the application's own");
  });
  const signals: number[] = [];
  client.on("signal", () => signals.push(1));
  transport.socket.receive({ kind: "signal", sender: new Uint8Array(20), payload: new Uint8Array(0) });
  expect(signals).toEqual([1]);
  expect(thrown).toMatchObject([{ message: "the application's own" }]);
  await client.close();
});
