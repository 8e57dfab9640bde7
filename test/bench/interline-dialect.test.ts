import { describe, expect, it } from "vitest";
import type { DeviceEvents } from "../../bench/generator/dialect.js";
import { InterlineDialect } from "../../bench/generator/interline-dialect.js";
import { Mix } from "../../bench/generator/mix.js";
import { COUNTER_OFFSET, SENDER_OFFSET, STAMP_OFFSET, TARGET_OFFSET } from "../../bench/generator/payload.js";
import { ReadMemory } from "../../bench/generator/reads.js";
import { FrameScanner } from "../../bench/generator/scanner.js";
import { SizedSends } from "../../bench/generator/sized-sends.js";
import { limits } from "../../src/rules/limits.js";
import { type ClientFrame, decodeClientMessage } from "../../src/wire/client-frames.js";
import { encodeRefusal, encodeWelcome } from "../../src/wire/control.js";
import { encodeServerFrame } from "../../src/wire/server-frame-writer.js";

const PAYLOAD_BYTES = 256;
const accounts = ["0001", "0002"].map((brand, i) => brand + String(i).repeat(32));

/** A dialect of two devices, what it wrote, and what it told the workload. */
function setUp({ takesWrites = true } = {}, sized?: SizedSends) {
  const written: Uint8Array[] = [];
  const events: unknown[][] = [];
  const tell: DeviceEvents = {
    ready: (...told) => events.push(["ready", ...told]),
    delivered: (device, at) =>
      events.push(["delivered", device, memory.view.getUint32(at + COUNTER_OFFSET, true)]),
    receipted: (...told) => events.push(["receipted", ...told]),
    refused: (...told) => events.push(["refused", ...told]),
    broken: (...told) => events.push(["broken", ...told]),
  };
  const memory = new ReadMemory();
  const dialect = new InterlineDialect({
    events: tell,
    wire: {
      write(_device, bytes) {
        // Without a copy: a slab that is written to again before it was taken shows.
        written.push(takesWrites ? bytes.slice() : bytes);
        return takesWrites;
      },
    },
    view: memory.view,
    payloadBytes: PAYLOAD_BYTES,
    signIns: accounts.map((account) => ({ token: `token of ${account}`, account, device: 1 })),
    windows: { entries: 100, bytes: 100_000 },
    ...(sized && { sized }),
  });
  const scanner = new FrameScanner(2, memory, dialect);
  const receive = (device: number, ...frames: Uint8Array[]) => {
    const payload = Buffer.concat(frames);
    const header = Uint8Array.of(0x82, 126, payload.length >> 8, payload.length & 0xff);
    memory.readBuffer.set(Buffer.concat([header, payload]));
    scanner.scan(device, header.length + payload.length);
  };
  dialect.opened(0);
  receive(0, ...accounts.map((account, request) => rosterOf(request, account)));
  return { dialect, written, events, receive };
}

function rosterOf(request: number, account: string): Uint8Array {
  return encodeServerFrame({
    kind: "roster",
    request,
    account: Buffer.from(account, "hex"),
    version: 3,
    devices: [1],
  });
}

function deliver(sequence: number, counter: number): Uint8Array {
  const payload = new Uint8Array(PAYLOAD_BYTES);
  new DataView(payload.buffer).setUint32(COUNTER_OFFSET, counter, true);
  const [sender, id] = [new Uint8Array(20), new Uint8Array(16)];
  return encodeServerFrame({ kind: "deliver", sequence, sender, id, timeMs: 1, payload });
}

function groupDeliver(sequence: number, counter: number): Uint8Array {
  const shared = new Uint8Array(PAYLOAD_BYTES / 2);
  new DataView(shared.buffer).setUint32(COUNTER_OFFSET, counter, true);
  const [sender, id, group, block] = [20, 16, 18, 0].map((length) => new Uint8Array(length)) as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ];
  return encodeServerFrame({
    kind: "groupDeliver",
    sequence,
    sender,
    id,
    timeMs: 1,
    group,
    version: 1,
    block,
    shared,
  });
}

/** The frames of one written WebSocket message, read by the engine's own decoder. */
function framesOf(message: Uint8Array): ClientFrame[] {
  expect(message[0]).toBe(0x82);
  const length = message[1]! & 0x7f;
  const header = length < 126 ? 6 : length === 126 ? 8 : 14;
  expect(message.subarray(header - 4, header)).toEqual(new Uint8Array(4));
  return [...decodeClientMessage(message.subarray(header), limits)];
}

describe("the generator's Interline", () => {
  it("says hello first and is ready when it is welcome", () => {
    const { written, events, receive } = setUp();
    expect(framesOf(written[0]!)).toMatchObject([
      { kind: "hello", token: `token of ${accounts[0]}`, windowEntries: 100 },
    ]);
    const body = {
      device: new Uint8Array(20),
      serverTimeMs: 1,
      durability: "disk" as const,
      position: 0,
      dedupWindowMs: 1,
      dedupWindowCount: 1,
      payloadBytesMax: 1,
      messageBytesMax: 1,
      accountsPerSendMax: 1,
      windowEntries: 1,
      windowBytes: 1,
      silenceMs: 1,
    };
    receive(0, encodeWelcome(body), encodeServerFrame({ kind: "live", sequence: 0 }));
    expect(events).toEqual([["ready", 0]]);
  });

  it("writes sends that the engine's decoder reads, in one message, with ids of their own", () => {
    const { dialect, written } = setUp();
    dialect.send(0, 1, 11, 21);
    dialect.send(0, 0, 12, 22);
    dialect.flush(0);
    const frames = framesOf(written.at(-1)!);
    expect(frames).toMatchObject([
      { kind: "send", accounts: [{ version: 3, devices: [{ device: 1 }] }] },
      { kind: "send", accounts: [{ version: 3, devices: [{ device: 1 }] }] },
    ]);
    const sends = frames.filter((frame) => frame.kind === "send");
    expect(sends.map(({ accounts: [to] }) => Buffer.from(to!.account).toString("hex"))).toEqual([
      accounts[1],
      accounts[0],
    ]);
    expect(new Set(sends.map(({ id }) => Buffer.from(id).toString("hex"))).size).toBe(2);
    const payload = sends[0]!.accounts[0]!.devices[0]!.payload;
    const view = new DataView(payload.buffer, payload.byteOffset);
    expect(payload).toHaveLength(PAYLOAD_BYTES);
    expect(
      [TARGET_OFFSET, SENDER_OFFSET, COUNTER_OFFSET, STAMP_OFFSET].map((at) => view.getUint32(at, true)),
    ).toEqual([1, 0, 11, 21]);
  });

  it("acks what was delivered, up to the highest sequence, in front of what it sends", () => {
    const { dialect, written, events, receive } = setUp();
    const sequence = 2 ** 32 * 5 + 7;
    receive(0, deliver(sequence, 1), deliver(sequence + 1, 2));
    dialect.send(0, 1, 1, 1);
    dialect.flush(0);
    expect(events).toEqual([
      ["delivered", 0, 1],
      ["delivered", 0, 2],
    ]);
    expect(framesOf(written.at(-1)!)).toMatchObject([
      { kind: "ack", sequence: sequence + 1 },
      { kind: "send" },
    ]);
  });

  it("writes nothing when there is nothing to say", () => {
    const { dialect, written, receive } = setUp();
    const before = written.length;
    receive(0, encodeServerFrame({ kind: "receipt", position: 0, durability: 2 }));
    dialect.flush(0);
    expect(written).toHaveLength(before);
  });

  it("still acks properly after a long message without an ack, whose header lies over the ack's place", () => {
    const { dialect, written, receive } = setUp();
    for (let i = 0; i < 300; i++) dialect.send(0, 1, i, 0);
    dialect.flush(0);
    expect(framesOf(written.at(-1)!)).toHaveLength(300);
    receive(0, deliver(9, 1));
    dialect.flush(0);
    expect(framesOf(written.at(-1)!)).toEqual([{ kind: "ack", sequence: 9 }]);
  });

  it("leaves bytes alone that the kernel has not taken", () => {
    const { dialect, written } = setUp({ takesWrites: false });
    dialect.send(0, 1, 1, 1);
    dialect.flush(0);
    const pending = written.at(-1)!;
    const before = pending.slice();
    dialect.send(0, 0, 2, 2);
    dialect.flush(0);
    expect(pending).toEqual(before);
  });

  it("reads receipts in every width, and whatever else stands in the message", () => {
    const { events, receive } = setUp();
    const positions = [5, 200, 40_000, 70_000];
    const frames = positions.map((position) =>
      encodeServerFrame({ kind: "receipt", position, durability: 2 }),
    );
    receive(
      1,
      deliver(1, 1),
      ...frames,
      encodeServerFrame({ kind: "pong", nonce: 1, timeMs: 2 }),
      deliver(2, 2),
    );
    expect(events).toEqual([
      ["delivered", 1, 1],
      ...positions.map((position) => ["receipted", 1, position, 2]),
      ["delivered", 1, 2],
    ]);
  });

  it("tells a refusal that may be repeated from one for good", () => {
    const { events, receive } = setUp();
    receive(0, encodeRefusal({ position: 4, code: "overloaded", retryAfterMs: 30 }));
    receive(0, encodeRefusal({ position: 5, code: "rosterStale" }));
    receive(0, encodeServerFrame({ kind: "error", code: 501, retryAfterMs: 0, message: "" }));
    expect(events).toEqual([
      ["refused", 0, 4, 30],
      ["broken", 0, expect.stringContaining("rosterStale")],
      ["broken", 0, expect.stringContaining("replaced")],
    ]);
  });

  it("reads group deliveries, and resumes behind what it has taken, acked or not", () => {
    const { dialect, written, events, receive } = setUp();
    receive(0, deliver(7, 70), groupDeliver(8, 80), deliver(9, 90));
    expect(events).toEqual([70, 80, 90].map((counter) => ["delivered", 0, counter]));
    dialect.holdAck(0);
    dialect.opened(0);
    expect(framesOf(written.at(-1)!)).toMatchObject([{ kind: "hello", resume: 9 }]);
  });

  it("writes sends of a mix in their own lengths, to devices and groups, an ack in front", () => {
    const sizes = { medianBytes: 300, sigma: 1, bytesMax: 4096 };
    const kinds = [{ share: 0.5, groups: 1, membersMin: 2, membersMax: 2 }];
    const group = "0001".padEnd(36, "7");
    const mix = new Mix({ devices: 2, senders: 2, seed: 1, kinds, sizes });
    const { dialect, written, receive } = setUp({}, new SizedSends(mix, [{ group, version: 2 }]));
    receive(0, deliver(7, 70));
    dialect.send(0, 1, 11, 21);
    dialect.send(0, 2, 12, 22);
    dialect.flush(0);
    expect(framesOf(written.at(-2)!)).toEqual([{ kind: "ack", sequence: 7 }]);
    const [direct, toGroup] = framesOf(written.at(-1)!);
    expect(direct).toMatchObject({ kind: "send", accounts: [{ version: 3, devices: [{ device: 1 }] }] });
    expect(toGroup).toMatchObject({ kind: "groupSend", version: 2, blocks: [] });
    if (direct?.kind !== "send" || toGroup?.kind !== "groupSend") throw new Error("two sends");
    expect(Buffer.from(direct.accounts[0]!.account).toString("hex")).toBe(accounts[1]);
    expect(Buffer.from(toGroup.group).toString("hex")).toBe(group);
    const payloads = [direct.accounts[0]!.devices[0]!.payload, toGroup.shared];
    expect(payloads.map(({ length }) => length)).toEqual([mix.sizeOf(0, 11), mix.sizeOf(0, 12)]);
    const said = payloads.map((payload) => {
      const view = new DataView(payload.buffer, payload.byteOffset);
      return [TARGET_OFFSET, SENDER_OFFSET, COUNTER_OFFSET, STAMP_OFFSET].map((at) =>
        view.getUint32(at, true),
      );
    });
    expect(said).toEqual([
      [1, 0, 11, 21],
      [2, 0, 12, 22],
    ]);
    expect(direct.id).not.toEqual(toGroup.id);
  });
});
