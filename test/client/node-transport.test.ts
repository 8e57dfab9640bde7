/** Our own WebSocket for Node 20, against a server that answers byte by byte as told. */
import { once } from "node:events";
import { createServer } from "node:http";
import { afterEach, describe, expect, test } from "vitest";
import { createClient, type TransportSocket } from "../../src/client/client.js";
import { nodeTransport } from "../../src/client/node-transport.js";
import { MESSAGE_BYTES_MAX } from "../../src/client/websocket-frames.js";
import { encodeWelcome } from "../../src/wire/control.js";
import { decodeHello } from "../../src/wire/hello.js";
import { welcomeBody } from "./scripted-transport.js";
import { frame, startTinyServer, type TinyPeer, type TinyServer } from "./tiny-server.js";

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

async function tinyServer(...parameters: Parameters<typeof startTinyServer>): Promise<TinyServer> {
  const server = await startTinyServer(...parameters);
  closers.push(() => server.close());
  return server;
}

/** A socket and what it tells. */
class Watched {
  readonly socket: TransportSocket;
  readonly opened: Promise<void>;
  readonly closed: Promise<{ code: number; reason: string }>;
  readonly #messages: Uint8Array[] = [];
  #wake: (() => void) | undefined;

  constructor(url: string) {
    this.socket = nodeTransport().connect(url, "interline.v1");
    this.opened = new Promise((resolve) => {
      this.socket.onopen = resolve;
    });
    this.closed = new Promise((resolve) => {
      this.socket.onclose = (code, reason) => resolve({ code, reason });
    });
    this.socket.onmessage = (bytes) => {
      this.#messages.push(bytes);
      this.#wake?.();
    };
  }

  async message(): Promise<Uint8Array> {
    while (this.#messages.length === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#messages.shift() as Uint8Array;
  }
}

async function connected(): Promise<{ watched: Watched; peer: TinyPeer }> {
  const server = await tinyServer();
  const watched = new Watched(server.url);
  const peer = await server.accept();
  await watched.opened;
  return { watched, peer };
}

describe("messages", () => {
  test("offers the subprotocol and no extension", async () => {
    const { peer } = await connected();
    expect(peer.request.headers["sec-websocket-protocol"]).toBe("interline.v1");
    expect(peer.request.headers["sec-websocket-extensions"]).toBeUndefined();
  });

  test.each([0, 125, 126, 65_535, 65_536, 300_000])(
    "%d bytes go out masked and come back",
    async (length) => {
      const { watched, peer } = await connected();
      const bytes = Uint8Array.from({ length }, (_, i) => i * 7);
      watched.socket.send(bytes);
      const sent = await peer.next();
      expect(sent).toMatchObject({ opcode: 2, masked: true });
      expect(Buffer.compare(sent.payload, bytes)).toBe(0);
      peer.write(2, bytes);
      expect(Buffer.compare(await watched.message(), bytes)).toBe(0);
    },
  );

  test("messages that arrive one byte at a time, or many at once, are told apart", async () => {
    const { watched, peer } = await connected();
    const stream = Buffer.concat([
      frame(2, Uint8Array.of(1)),
      frame(2, new Uint8Array(200).fill(2)),
      frame(2, Uint8Array.of(3)),
    ]);
    for (const byte of stream) peer.socket.write(Uint8Array.of(byte));
    peer.socket.write(stream);
    const lengths: number[] = [];
    for (let i = 0; i < 6; i++) lengths.push((await watched.message()).length);
    expect(lengths).toEqual([1, 200, 1, 1, 200, 1]);
  });

  test("a fragmented message is put together, with a ping in the middle answered", async () => {
    const { watched, peer } = await connected();
    peer.write(2, Uint8Array.of(1, 2), false);
    peer.write(9, Uint8Array.of(42));
    peer.write(0, Uint8Array.of(3), false);
    peer.write(10, Uint8Array.of(9));
    peer.write(0, Uint8Array.of(4));
    expect(await watched.message()).toEqual(Uint8Array.of(1, 2, 3, 4));
    expect(await peer.next()).toMatchObject({ opcode: 10, payload: Buffer.of(42) });
  });

  test("a message in the same packet as the upgrade's answer is not lost", async () => {
    const server = await tinyServer();
    const watched = new Watched(server.url);
    const peer = await server.accept();
    peer.write(2, Uint8Array.of(5));
    expect(await watched.message()).toEqual(Uint8Array.of(5));
  });

  test("bufferedAmount grows while the peer does not read", async () => {
    const { watched, peer } = await connected();
    peer.socket.pause();
    for (let i = 0; i < 100; i++) watched.socket.send(new Uint8Array(200_000));
    expect(watched.socket.bufferedAmount).toBeGreaterThan(1_000_000);
  });
});

describe("ends", () => {
  test("the server's close code and reason are told, and the close is answered", async () => {
    const { watched, peer } = await connected();
    peer.close(4501, "replaced");
    expect(await watched.closed).toEqual({ code: 4501, reason: "replaced" });
    expect((await peer.next()).payload.readUInt16BE()).toBe(4501);
  });

  test("our close reaches the server, and its answer ends the socket", async () => {
    const { watched, peer } = await connected();
    watched.socket.close(1000, "");
    const sent = await peer.next();
    expect([sent.opcode, sent.payload.readUInt16BE()]).toEqual([8, 1000]);
    peer.close(1000);
    expect(await watched.closed).toEqual({ code: 1000, reason: "" });
  });

  test("a server that does not answer our close is left after a second", async () => {
    const { watched } = await connected();
    watched.socket.close(1000, "");
    expect((await watched.closed).code).toBe(1006);
  });

  test("a cut connection is told as 1006", async () => {
    const { watched, peer } = await connected();
    peer.socket.destroy();
    expect((await watched.closed).code).toBe(1006);
  });

  test("a close without a code is told as 1005", async () => {
    const { watched, peer } = await connected();
    peer.write(8, new Uint8Array(0));
    expect((await watched.closed).code).toBe(1005);
  });

  test("nothing is sent after the end", async () => {
    const { watched, peer } = await connected();
    peer.socket.destroy();
    await watched.closed;
    watched.socket.send(Uint8Array.of(1));
    watched.socket.close(1000, "");
  });

  test.each<[string, (peer: TinyPeer) => void, number]>([
    ["a text message", (peer) => peer.write(1, Buffer.from("hi")), 1002],
    ["a reserved bit", (peer) => peer.socket.write(Uint8Array.of(0xc2, 0)), 1002],
    ["an unknown opcode", (peer) => peer.socket.write(Uint8Array.of(0x83, 0)), 1002],
    ["a masked frame", (peer) => peer.socket.write(Uint8Array.of(0x82, 0x80, 0, 0, 0, 0)), 1002],
    ["a long control frame", (peer) => peer.write(9, new Uint8Array(126)), 1002],
    ["a fragmented control frame", (peer) => peer.write(9, new Uint8Array(1), false), 1002],
    ["a continuation of nothing", (peer) => peer.write(0, Uint8Array.of(1)), 1002],
    [
      "a new message inside a fragmented one",
      (peer) => {
        peer.write(2, Uint8Array.of(1), false);
        peer.write(2, Uint8Array.of(1));
      },
      1002,
    ],
    ["a close frame of one byte", (peer) => peer.write(8, Uint8Array.of(1)), 1002],
    [
      "a length that promises an exabyte",
      (peer) => peer.socket.write(Uint8Array.of(0x82, 127, 0x0f, 0, 0, 0, 0, 0, 0, 0)),
      1009,
    ],
    [
      "fragments that together are too large",
      (peer) => {
        peer.write(2, new Uint8Array(MESSAGE_BYTES_MAX - 1), false);
        peer.write(0, new Uint8Array(2));
      },
      1009,
    ],
    [
      "fragments without end",
      (peer) => {
        peer.write(2, Uint8Array.of(1), false);
        peer.socket.write(
          Buffer.concat(Array.from({ length: 5_000 }, () => frame(0, new Uint8Array(0), false))),
        );
      },
      1009,
    ],
  ])("%s closes the connection and delivers nothing", async (_what, write, code) => {
    const { watched, peer } = await connected();
    let delivered = 0;
    watched.socket.onmessage = () => {
      delivered += 1;
    };
    write(peer);
    const answer = await peer.next();
    expect([answer.opcode, answer.payload.readUInt16BE()]).toEqual([8, code]);
    peer.socket.destroy();
    await watched.closed;
    expect(delivered).toBe(0);
  });
});

describe("upgrades that are not accepted", () => {
  test.each<[string, (answer: Record<string, string>) => Record<string, string>]>([
    ["another subprotocol", (answer) => ({ ...answer, "Sec-WebSocket-Protocol": "chat" })],
    ["no subprotocol", ({ "Sec-WebSocket-Protocol": _, ...answer }) => answer],
    ["a wrong accept key", (answer) => ({ ...answer, "Sec-WebSocket-Accept": "x" })],
    ["an extension", (answer) => ({ ...answer, "Sec-WebSocket-Extensions": "permessage-deflate" })],
    ["no upgrade", (answer) => ({ ...answer, Upgrade: "h2c" })],
    ["an endless head", (answer) => ({ ...answer, Padding: "x".repeat(40_000) })],
  ])("%s", async (_what, headers) => {
    const server = await tinyServer(headers);
    const watched = new Watched(server.url);
    let opened = false;
    watched.socket.onopen = () => {
      opened = true;
    };
    const { code, reason } = await watched.closed;
    expect(code).toBe(1006);
    expect(reason).not.toBe("");
    expect(opened).toBe(false);
  });

  test("an HTTP status is told as the reason", async () => {
    const http = createServer((_request, response) => response.writeHead(503).end());
    http.listen(0, "127.0.0.1");
    await once(http, "listening");
    closers.push(() => http.close());
    const watched = new Watched(`ws://127.0.0.1:${(http.address() as { port: number }).port}`);
    expect(await watched.closed).toMatchObject({ code: 1006, reason: expect.stringContaining("503") });
  });

  test("nobody listening is told as 1006", async () => {
    const server = await startTinyServer();
    server.close();
    expect((await new Watched(server.url).closed).code).toBe(1006);
  });

  test("closing before the upgrade ends the attempt", async () => {
    const http = createServer();
    http.on("upgrade", () => undefined);
    http.listen(0, "127.0.0.1");
    await once(http, "listening");
    closers.push(() => http.closeAllConnections());
    const watched = new Watched(`ws://127.0.0.1:${(http.address() as { port: number }).port}`);
    await once(http, "upgrade");
    watched.socket.close(1000, "");
    expect((await watched.closed).code).toBe(1006);
    http.close();
  });

  test("a URL that is not ws: or wss: is refused at once", () => {
    expect(() => nodeTransport().connect("http://127.0.0.1", "interline.v1")).toThrow(TypeError);
    expect(() => nodeTransport().connect("not a url", "interline.v1")).toThrow(TypeError);
  });
});

test("a client without a transport of its own finds one on this platform and signs in", async () => {
  const server = await tinyServer();
  const client = createClient({ url: server.url, token: () => "a token" });
  const welcomed = client.connect();
  const peer = await server.accept();
  expect(decodeHello((await peer.next()).payload, 4096).token).toBe("a token");
  peer.write(2, encodeWelcome(welcomeBody()));
  expect((await welcomed).durability).toBe("disk");
  const closed = client.close();
  expect((await peer.next()).payload.readUInt16BE()).toBe(1000);
  peer.close(1000);
  await closed;
});

test("a server that does not speak TLS is no wss: server", async () => {
  const server = await tinyServer(undefined, undefined, "wss");
  expect((await new Watched(server.url).closed).code).toBe(1006);
});
