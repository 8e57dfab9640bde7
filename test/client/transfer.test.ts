/** Transfers between two devices of one account, over real sockets and a real node; and over a node that lies. */
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Client, type ClientOptions, createClient, InterlineError } from "../../src/client/client.js";
import { nodeTransport } from "../../src/client/node-transport.js";
import {
  type IncomingTransfer,
  inviteTransfer,
  type ReceiveOptions,
  resumeTransfer,
  sendTransfer,
  type TransferPart,
} from "../../src/client/transfer.js";
import { createNode, type InterlineNode } from "../../src/index.js";
import { until } from "../support/until.js";
import { type Lie, lyingTransport } from "./lying-transport.js";

const CHUNK = 65_536;

let directory: string;
let node: InterlineNode;
const clients: Client[] = [];
let people = 0;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "interline-transfer-"));
  node = await createNode({ dataDirectory: directory, port: 0 });
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
});
afterAll(async () => {
  await node.stop();
  rmSync(directory, { recursive: true });
});

async function connect(
  account: string,
  device: number,
  options: Partial<ClientOptions> = {},
): Promise<Client> {
  const client = createClient({
    url: node.url as string,
    token: () => node.mintToken({ brand: "whatsapp", account, device }),
    transport: nodeTransport(),
    ...options,
  });
  clients.push(client);
  client.on("envelope", () => {});
  await client.connect();
  return client;
}

/** Two devices of an account that nobody else has. */
async function pair(options: { oldLie?: Lie; newLie?: Lie } = {}) {
  const account = `person ${++people}`;
  const lying = (lie: Lie | undefined) => (lie ? { transport: lyingTransport(nodeTransport(), lie) } : {});
  const oldDevice = await connect(account, 1, lying(options.oldLie));
  return { account, oldDevice, newDevice: await connect(account, 2, lying(options.newLie)) };
}

/** A disk: what is stored counts, whatever dies. */
class Disk {
  bytes = Buffer.alloc(0);
  state: Uint8Array = new Uint8Array(0);
  /** Bytes given to it, also those it had. */
  written = 0;
  readonly options: ReceiveOptions;

  constructor(bytesMax = 10_000_000, failAt = -1) {
    this.options = {
      bytesMax,
      store: async ({ offset, bytes, state }: TransferPart) => {
        await new Promise((resolve) => setImmediate(resolve));
        if (offset === failAt && bytes.length > 0) throw new Error("the disk is full");
        if (offset > this.bytes.length) throw new Error("a hole");
        this.bytes = Buffer.concat([this.bytes.subarray(0, offset), bytes]);
        this.written += bytes.length;
        this.state = state;
      },
    };
  }
}

function blob(bytes: number, seed = 1): Uint8Array {
  const whole = Buffer.alloc(bytes);
  for (let at = 0, i = seed * 1_000_000; at < bytes; i++) {
    at += createHash("sha512").update(`${i}`).digest().copy(whole, at);
  }
  return whole;
}

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    return error instanceof InterlineError ? error.code : (error as Error).message;
  }
  return "none";
}

describe("a transfer", () => {
  it.each([
    ["nothing", 0],
    ["one byte", 1],
    ["a chunk less a byte", CHUNK - 1],
    ["a chunk", CHUNK],
    ["a chunk and a byte", CHUNK + 1],
    ["more than is ever on the way", 25 * CHUNK + 7],
  ])("brings %s whole", async (_name, bytes) => {
    const { oldDevice, newDevice } = await pair();
    const disk = new Disk();
    const whole = blob(bytes);
    const incoming = await inviteTransfer(newDevice, disk.options);
    const outgoing = sendTransfer(oldDevice, { invitation: incoming.invitation, source: whole });
    const [sent, received] = await Promise.all([outgoing.done, incoming.done]);
    expect(sent).toEqual(received);
    expect(received.bytes).toBe(bytes);
    expect(disk.bytes.equals(whole)).toBe(true);
    expect(disk.written).toBe(bytes);
  });

  it("reads a stream in pieces of any size, no faster than the new device stores, and tells both how far it is", async () => {
    const { oldDevice, newDevice } = await pair();
    const whole = blob(40 * CHUNK + 5);
    const disk = new Disk();
    const told: number[] = [];
    let ahead = 0;
    const incoming = await inviteTransfer(newDevice, {
      ...disk.options,
      onProgress: ({ bytes }) => void told.push(bytes),
    });
    async function* watched(): AsyncGenerator<Uint8Array> {
      let read = 0;
      for await (const piece of pieces(whole, 50_001)) {
        read += piece.length;
        ahead = Math.max(ahead, read - disk.bytes.length);
        yield piece;
      }
    }
    const outgoingTold: number[] = [];
    const outgoing = sendTransfer(oldDevice, {
      invitation: incoming.invitation,
      source: watched(),
      bytesMax: whole.length + 10,
      onProgress: ({ bytes, bytesMax }) => {
        expect(bytesMax).toBe(whole.length + 10);
        outgoingTold.push(bytes);
      },
    });
    await Promise.all([outgoing.done, incoming.done]);
    expect(disk.bytes.equals(whole)).toBe(true);
    expect(ahead).toBeLessThanOrEqual(18 * CHUNK + 50_001);
    for (const list of [told, outgoingTold]) expect(list).toEqual([...list].sort((a, b) => a - b));
    expect([told.at(-1), outgoingTold.at(-1)]).toEqual([whole.length, whole.length]);
  });

  it("goes on in manual mode, beside envelopes that are not acked", async () => {
    const account = `person ${++people}`;
    const oldDevice = await connect(account, 1, { acks: "manual" });
    const newDevice = await connect(account, 2, { acks: "manual" });
    const disk = new Disk();
    const whole = blob(20 * CHUNK);
    const incoming = await inviteTransfer(newDevice, disk.options);
    await Promise.all([
      sendTransfer(oldDevice, { invitation: incoming.invitation, source: whole }).done,
      incoming.done,
    ]);
    expect(disk.bytes.equals(whole)).toBe(true);
  });

  it("is refused when it may be larger than the new device takes", async () => {
    const { oldDevice, newDevice } = await pair();
    const incoming = await inviteTransfer(newDevice, new Disk(1000).options);
    const outgoing = sendTransfer(oldDevice, { invitation: incoming.invitation, source: blob(1001) });
    expect(await codeOf(incoming.done)).toBe("transferTooLarge");
    expect(await codeOf(outgoing.done)).toBe("transferTooLarge");
  });

  it("ends when the blob is larger than it was said to be", async () => {
    const { oldDevice, newDevice } = await pair();
    const incoming = await inviteTransfer(newDevice, new Disk().options);
    const source = pieces(blob(5 * CHUNK), CHUNK);
    const outgoing = sendTransfer(oldDevice, {
      invitation: incoming.invitation,
      source,
      bytesMax: 4 * CHUNK,
    });
    expect(await codeOf(outgoing.done)).toBe("transferTooLarge");
    expect(await codeOf(incoming.done)).toBe("transferTooLarge");
  });

  it.each(["old", "new"])(
    "that the %s device gives up ends on both, and lets go of the source",
    async (who) => {
      const { oldDevice, newDevice } = await pair();
      const incoming = await inviteTransfer(newDevice, new Disk(2e9).options);
      let isClosed = false;
      async function* endless(): AsyncGenerator<Uint8Array> {
        try {
          for (;;) yield new Uint8Array(CHUNK);
        } finally {
          isClosed = true;
        }
      }
      const outgoing = sendTransfer(oldDevice, {
        invitation: incoming.invitation,
        source: endless(),
        bytesMax: 1e9,
        onProgress: ({ bytes }) => bytes > 0 && void (who === "old" ? outgoing : incoming).cancel(),
      });
      const codes = await Promise.all([codeOf(outgoing.done), codeOf(incoming.done)]);
      expect(codes).toEqual(["transferCancelled", "transferCancelled"]);
      await until("the source is let go of", () => isClosed);
    },
  );
});

describe("an invitation", () => {
  it.each([
    ["no invitation at all", () => "hello"],
    ["one cut short", (text: string) => text.slice(0, -3)],
    ["one of a later version", (text: string) => text.replace(":AQ", ":Ag")],
  ])("that is %s is refused at once", async (_name, spoil) => {
    const { oldDevice, newDevice } = await pair();
    const { invitation } = await inviteTransfer(newDevice, new Disk().options);
    const refused = () => sendTransfer(oldDevice, { invitation: spoil(invitation), source: blob(1) });
    expect(refused).toThrow(expect.objectContaining({ code: "invitationBad" }));
  });

  it("of another account, or of the device itself, is refused", async () => {
    const [one, other] = [await pair(), await pair()];
    const { invitation } = await inviteTransfer(one.newDevice, new Disk().options);
    for (const device of [other.oldDevice, one.newDevice]) {
      expect(await codeOf(sendTransfer(device, { invitation, source: blob(1) }).done)).toBe("invitationBad");
    }
  });

  it("of a device that was removed ends the transfer", async () => {
    const { oldDevice, newDevice } = await pair();
    const { invitation } = await inviteTransfer(newDevice, new Disk().options);
    await oldDevice.devices.remove(2);
    expect(await codeOf(sendTransfer(oldDevice, { invitation, source: blob(1) }).done)).toBe("deviceNotOwn");
  });

  it("is of no use to whoever changes its key or its secret", async () => {
    const { oldDevice, newDevice } = await pair();
    const incoming = await inviteTransfer(newDevice, new Disk().options);
    const bytes = Buffer.from(incoming.invitation.split(":")[1] as string, "base64url");
    bytes[40] = (bytes[40] as number) ^ 1;
    const invitation = `interline-transfer:${bytes.toString("base64url")}`;
    sendTransfer(oldDevice, { invitation, source: blob(1) });
    expect(await codeOf(incoming.done)).toBe("transferTampered");
  });
});

describe("after the death of a side", () => {
  it("the new device goes on from the state that it stored", async () => {
    const { account, oldDevice, newDevice } = await pair();
    const whole = blob(60 * CHUNK + 1);
    const disk = new Disk();
    const first = await inviteTransfer(newDevice, disk.options);
    const outgoing = sendTransfer(oldDevice, {
      invitation: first.invitation,
      source: pieces(whole, 9_999),
      bytesMax: 1e7,
    });
    await until("some of it is stored", () => disk.bytes.length > 5 * CHUNK);
    await newDevice.close();
    const stored = disk.bytes.length;
    expect(stored).toBeLessThan(whole.length);
    const again = createClient({
      url: node.url as string,
      token: () => node.mintToken({ brand: "whatsapp", account, device: 2 }),
      transport: nodeTransport(),
    });
    clients.push(again);
    again.on("envelope", () => {});
    const incoming = await resumeTransfer(again, disk.state, disk.options);
    await again.connect();
    const [received, sent] = await Promise.all([incoming.done, outgoing.done]);
    expect(received).toEqual(sent);
    expect(disk.bytes.equals(whole)).toBe(true);
    expect(disk.written).toBeLessThanOrEqual(whole.length + CHUNK);
  });

  it("also when what was on the way was dropped before the transfer was resumed", async () => {
    const { account, oldDevice, newDevice } = await pair();
    const whole = blob(40 * CHUNK + 1);
    const disk = new Disk();
    const first = await inviteTransfer(newDevice, disk.options);
    const outgoing = sendTransfer(oldDevice, { invitation: first.invitation, source: whole });
    await until("some of it is stored", () => disk.bytes.length > 5 * CHUNK);
    await newDevice.close();
    const again = await connect(account, 2);
    await until("the queue has been dropped", () => again.state === "live");
    const incoming = await resumeTransfer(again, disk.state, disk.options);
    await Promise.all([incoming.done, outgoing.done]);
    expect(disk.bytes.equals(whole)).toBe(true);
  });

  it("the old device accepts the invitation again and goes on where the new one is", async () => {
    const { account, oldDevice, newDevice } = await pair();
    const whole = blob(60 * CHUNK + 1);
    const disk = new Disk();
    const incoming = await inviteTransfer(newDevice, disk.options);
    const { invitation } = incoming;
    const first = sendTransfer(oldDevice, { invitation, source: whole });
    await until("some of it is stored", () => disk.bytes.length > 5 * CHUNK);
    await oldDevice.close();
    expect(await codeOf(first.done)).toBe("clientClosed");
    const again = await connect(account, 1);
    const outgoing = sendTransfer(again, {
      invitation,
      source: pieces(whole, 70_000),
      bytesMax: whole.length,
    });
    expect(await outgoing.done).toEqual(await incoming.done);
    expect(disk.bytes.equals(whole)).toBe(true);
    expect(disk.written).toBe(whole.length);
  });

  it("both die, the new one first; what is complete stays complete and is told again", async () => {
    const { account, oldDevice, newDevice } = await pair();
    const whole = blob(30 * CHUNK + 1);
    const disk = new Disk();
    const { invitation } = await inviteTransfer(newDevice, disk.options);
    sendTransfer(oldDevice, { invitation, source: whole });
    await until("some of it is stored", () => disk.bytes.length > 5 * CHUNK);
    await newDevice.close();
    await oldDevice.close();
    const oldAgain = await connect(account, 1);
    const outgoing = sendTransfer(oldAgain, { invitation, source: whole });
    const newAgain = await connect(account, 2);
    const incoming = await resumeTransfer(newAgain, disk.state, disk.options);
    const result = await incoming.done;
    expect(await outgoing.done).toEqual(result);
    incoming.close();
    const complete = await resumeTransfer(newAgain, disk.state, disk.options);
    expect(await complete.done).toEqual(result);
    expect(await sendTransfer(oldAgain, { invitation, source: whole }).done).toEqual(result);
    expect(await codeOf(sendTransfer(oldAgain, { invitation, source: blob(30 * CHUNK + 2) }).done)).toBe(
      "transferChanged",
    );
    expect(disk.bytes.equals(whole)).toBe(true);
    expect(disk.written).toBeLessThanOrEqual(whole.length + CHUNK);
  });

  it("an offer that came before the transfer was resumed is made again soon", async () => {
    const { account, oldDevice, newDevice } = await pair();
    const whole = blob(30 * CHUNK);
    const disk = new Disk();
    const { invitation } = await inviteTransfer(newDevice, disk.options);
    sendTransfer(oldDevice, { invitation, source: whole });
    await until("some of it is stored", () => disk.bytes.length > 3 * CHUNK);
    await Promise.all([newDevice.close(), oldDevice.close()]);
    const [oldAgain, newAgain] = [await connect(account, 1), await connect(account, 2)];
    await until("the queue has been dropped", () => newAgain.state === "live");
    const before = newAgain.position;
    const outgoing = sendTransfer(oldAgain, { invitation, source: whole });
    await until("the offer has been dropped", () => newAgain.position > before);
    const startMs = performance.now();
    const incoming = await resumeTransfer(newAgain, disk.state, disk.options);
    await Promise.all([outgoing.done, incoming.done]);
    expect(performance.now() - startMs).toBeLessThan(10_000);
    expect(disk.bytes.equals(whole)).toBe(true);
  });

  it("another blob than before is not taken for the rest of it", async () => {
    const { account, oldDevice, newDevice } = await pair();
    const disk = new Disk();
    const incoming = await inviteTransfer(newDevice, disk.options);
    const { invitation } = incoming;
    sendTransfer(oldDevice, { invitation, source: blob(30 * CHUNK) });
    await until("some of it is stored", () => disk.bytes.length > 5 * CHUNK);
    await oldDevice.close();
    const again = await connect(account, 1);
    const other = sendTransfer(again, { invitation, source: blob(30 * CHUNK, 2) });
    expect(await codeOf(other.done)).toBe("transferChanged");
    expect(await codeOf(incoming.done)).toBe("transferChanged");
  });

  it("a store that fails ends it here, and resuming goes on", async () => {
    const { oldDevice, newDevice } = await pair();
    const whole = blob(9 * CHUNK);
    const broken = new Disk(1e7, 5 * CHUNK);
    const incoming = await inviteTransfer(newDevice, broken.options);
    const outgoing = sendTransfer(oldDevice, { invitation: incoming.invitation, source: whole });
    expect(await codeOf(incoming.done)).toBe("the disk is full");
    const mended = new Disk();
    mended.bytes = broken.bytes;
    const again = await resumeTransfer(newDevice, broken.state, mended.options);
    await Promise.all([again.done, outgoing.done]);
    expect(mended.bytes.equals(whole)).toBe(true);
  });
});

describe("nobody is left waiting", () => {
  it("when a store failed after all had come: an old device that begins anew is told that it has", async () => {
    const { oldDevice, newDevice } = await pair();
    const disk = new Disk();
    let isBroken = false;
    const store = async (part: TransferPart) => {
      if (isBroken) throw new Error("the disk is full");
      await disk.options.store(part);
    };
    const incoming = await inviteTransfer(newDevice, { ...disk.options, store });
    const { invitation } = incoming;
    const whole = blob(3 * CHUNK);
    const first = sendTransfer(oldDevice, { invitation, source: whole });
    await Promise.all([first.done, incoming.done]);
    isBroken = true;
    const unheard = sendTransfer(oldDevice, { invitation, source: whole });
    await new Promise((resolve) => setTimeout(resolve, 300));
    isBroken = false;
    const again = sendTransfer(oldDevice, { invitation, source: whole });
    expect((await again.done).bytes).toBe(whole.length);
    await unheard.cancel();
  });

  it("when a device gives up and its client is closed as soon as that is known", async () => {
    const { oldDevice, newDevice } = await pair();
    const incoming = await inviteTransfer(newDevice, new Disk(CHUNK).options);
    const outgoing = sendTransfer(oldDevice, { invitation: incoming.invitation, source: blob(3 * CHUNK) });
    const left = codeOf(incoming.done).then(async (code) => {
      await newDevice.close();
      return code;
    });
    expect(await left).toBe("transferTooLarge");
    expect(await codeOf(outgoing.done)).toBe("transferTooLarge");
  });

  it("when a device gives up and its client is closed before the node has heard of it", async () => {
    const { oldDevice, newDevice } = await pair();
    const incoming = await inviteTransfer(newDevice, new Disk().options);
    const outgoing = sendTransfer(oldDevice, { invitation: incoming.invitation, source: blob(30 * CHUNK) });
    await until("it is under way", () => oldDevice.unreceiptedCount > 0);
    const cancelled = outgoing.cancel();
    await oldDevice.close();
    await cancelled;
    expect(await codeOf(outgoing.done)).toBe("transferCancelled");
  });
});

describe("a node that lies", () => {
  const isChunk = (payload: Uint8Array, index: number): boolean =>
    payload[1] === 2 && Buffer.from(payload).readUInt32BE(42) === index;

  /** Runs a transfer of 12 chunks through the lie; what came of it on the new device, which must never be wrong bytes. */
  async function lied(lie: Lie): Promise<{ code: string; isWhole: boolean }> {
    const { oldDevice, newDevice } = await pair({ newLie: lie });
    const whole = blob(12 * CHUNK + 3);
    const disk = new Disk();
    const incoming: IncomingTransfer = await inviteTransfer(newDevice, disk.options);
    const outgoing = sendTransfer(oldDevice, { invitation: incoming.invitation, source: whole });
    const code = await codeOf(incoming.done);
    if (code === "none") expect((await outgoing.done).bytes).toBe(whole.length);
    expect(disk.bytes.equals(whole.subarray(0, disk.bytes.length))).toBe(true);
    expect(disk.written).toBe(disk.bytes.length);
    return { code, isWhole: disk.bytes.length === whole.length };
  }

  it("control: an honest one behind the same transport brings it", async () => {
    expect(await lied((payload) => [payload])).toEqual({ code: "none", isWhole: true });
  });

  it.each([
    ["the first byte of a chunk", 46],
    ["the last byte of its seal", -1],
    ["its index", 45],
    ["its version's place in the nonce", 35],
  ])("and changes %s is found", async (_name, at) => {
    const lie: Lie = (payload) => {
      if (!isChunk(payload, 5)) return [payload];
      const changed = payload.slice();
      const place = at < 0 ? changed.length + at : at;
      changed[place] = (changed[place] as number) ^ 1;
      return [changed];
    };
    expect(await lied(lie)).toEqual({ code: "transferTampered", isWhole: false });
  });

  it.each([
    ["cuts a chunk short", (payload: Uint8Array) => payload.subarray(0, 1000)],
    [
      "puts bytes of its own behind a chunk",
      (payload: Uint8Array) => Buffer.concat([payload, Buffer.alloc(9)]),
    ],
  ])("and %s is found", async (_name, change) => {
    const lie: Lie = (payload) => [isChunk(payload, 5) ? change(payload) : payload];
    expect(await lied(lie)).toEqual({ code: "transferTampered", isWhole: false });
  });

  it("and drops a chunk once is asked for it again", async () => {
    let dropped = 0;
    const lie: Lie = (payload) => (isChunk(payload, 5) && dropped++ === 0 ? [] : [payload]);
    expect(await lied(lie)).toEqual({ code: "none", isWhole: true });
    expect(dropped).toBe(2);
  });

  it("and drops a chunk whenever it comes is found out", async () => {
    let dropped = 0;
    const lie: Lie = (payload) => (isChunk(payload, 5) && ++dropped > 0 ? [] : [payload]);
    expect(await lied(lie)).toEqual({ code: "transferBroken", isWhole: false });
    expect(dropped).toBeGreaterThan(3);
  });

  it("and turns two chunks round, or repeats one, changes nothing in what comes", async () => {
    let held: Uint8Array | undefined;
    const turned: Lie = (payload) => {
      if (isChunk(payload, 4) && held === undefined) {
        held = payload.slice();
        return [];
      }
      return isChunk(payload, 5) && held !== undefined ? [payload, held] : [payload];
    };
    expect(await lied(turned)).toEqual({ code: "none", isWhole: true });
    let first: Uint8Array | undefined;
    const repeated: Lie = (payload) => {
      if (isChunk(payload, 2)) first = payload.slice();
      return first === undefined ? [payload] : [payload, first, payload];
    };
    expect(await lied(repeated)).toEqual({ code: "none", isWhole: true });
  });

  it("and puts a chunk in the place of another is found, also when it turns the index to fit", async () => {
    let first: Uint8Array | undefined;
    const lie: Lie = (payload) => {
      if (isChunk(payload, 3)) first = payload.slice();
      if (!isChunk(payload, 7) || first === undefined) return [payload];
      const forged = first.slice();
      forged.set(payload.subarray(34, 46), 34);
      return [forged];
    };
    expect(await lied(lie)).toEqual({ code: "transferTampered", isWhole: false });
  });

  it("and says that the end has come before it has is found", async () => {
    let end: Uint8Array | undefined;
    const early = await pair({
      newLie: (payload) => {
        if (payload[1] === 3) end = payload.slice();
        return [payload];
      },
    });
    const small = new Disk();
    const first = await inviteTransfer(early.newDevice, small.options);
    await sendTransfer(early.oldDevice, { invitation: first.invitation, source: blob(3 * CHUNK) }).done;
    expect(end).toBeDefined();
    const asEnd: Lie = (payload) => {
      if (!isChunk(payload, 5)) return [payload];
      const forged = payload.slice();
      forged[1] = 3;
      forged[34] = 3;
      return [forged];
    };
    expect(await lied(asEnd)).toEqual({ code: "transferTampered", isWhole: false });
  });

  it("and repeats an older offer does not turn the new device back", async () => {
    const offers: Uint8Array[] = [];
    const lie: Lie = (payload) => {
      if (payload[1] === 1) offers.push(payload.slice());
      return isChunk(payload, 20) ? [payload, offers[0] as Uint8Array] : [payload];
    };
    const { account, oldDevice, newDevice } = await pair({ newLie: lie });
    const whole = blob(30 * CHUNK);
    const disk = new Disk();
    const incoming = await inviteTransfer(newDevice, disk.options);
    const { invitation } = incoming;
    sendTransfer(oldDevice, { invitation, source: whole });
    await until("some of it is stored", () => disk.bytes.length > 3 * CHUNK);
    await oldDevice.close();
    const again = await connect(account, 1);
    await Promise.all([sendTransfer(again, { invitation, source: whole }).done, incoming.done]);
    expect(offers.length).toBe(2);
    expect(disk.bytes.equals(whole)).toBe(true);
  });

  it("to the old device about progress is found", async () => {
    const lie: Lie = (payload) => {
      const changed = payload.slice();
      if (payload[1] === 6) changed[50] = (changed[50] as number) ^ 1;
      return [changed];
    };
    const { oldDevice, newDevice } = await pair({ oldLie: lie });
    const incoming = await inviteTransfer(newDevice, new Disk().options);
    const outgoing = sendTransfer(oldDevice, { invitation: incoming.invitation, source: blob(9) });
    expect(await codeOf(outgoing.done)).toBe("transferTampered");
  });
});
