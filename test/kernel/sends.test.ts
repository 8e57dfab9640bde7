import { describe, expect, it } from "vitest";
import { limits } from "../../src/rules/limits.js";
import { decodeClientFrame, encodeClientFrame } from "../../src/wire/client-frames.js";
import { codes } from "../../src/wire/codes.js";
import { FrameBuilder } from "../model/frames.js";
import { Random } from "../model/random.js";
import { Stage, sequencesIn } from "./stage.js";

/** No two bytes in a row are alike. */
function large(bytes: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes).map((_, i) => i);
}

const { rosterStale, repeatedRecipient, overloaded, payloadTooLarge, badFrame, diskLow } = codes;

describe("a send", () => {
  it("reaches every device of its recipients and the sender's other ones, in one run each", () => {
    const stage = new Stage();
    const own = stage.account(1, [1, 2]);
    const others = stage.account(2, [5, 6]);
    const sender = stage.connect(own, 1);
    const receivers = [stage.connect(own, 2), stage.connect(others, 5), stage.connect(others, 6)];
    stage.say(sender, stage.frame(sender, [own, others]), stage.frame(sender, [own, others]));
    const { sends, outcomes } = stage.turn();
    expect(outcomes).toEqual([]);
    expect(sends.map(({ slot }) => slot).sort()).toEqual(receivers.map(({ slot }) => slot).sort());
    for (const { bytes } of sends) expect(sequencesIn(bytes)).toHaveLength(2);
  });

  it("that names an unknown device twice is refused as such, not as stale", () => {
    const stage = new Stage();
    const sender = stage.connect(stage.account(1, [1]));
    const { address, version } = stage.account(2, [1]);
    const twice = [9, 1, 9].map((device) => ({ device, payload: new Uint8Array(1) }));
    const accounts = [{ account: address, version, devices: twice }];
    expect(stage.codes(sender, { kind: "send", id: stage.newId(), accounts })).toEqual([
      repeatedRecipient.code,
    ]);
  });

  it("that is refused as stale can be decoded by the host, which must say what differs", () => {
    const stage = new Stage();
    const sender = stage.connect(stage.account(1, [1]));
    const known = stage.account(2, [1, 2]);
    const devices = [7, 8, 1].map((device) => ({ device, payload: new Uint8Array(2) }));
    const accounts = [
      { account: known.address, version: 2 ** 32 - 1, devices },
      { account: stage.account(3, []).address, version: 3, devices },
    ];
    stage.say(sender, { kind: "send", id: stage.newId(), accounts });
    const frame = stage.pair.kernel.bytes.slice(stage.pair.kernel.inboxAt + 16);
    expect(stage.turn().outcomes.map(({ code }) => code)).toEqual([rosterStale.code]);
    expect(decodeClientFrame(frame, 0, limits).frame).toMatchObject({ kind: "send" });
  });

  it("whose kind is 2 only modulo 2^32 is no send", () => {
    const stage = new Stage();
    const account = stage.account(2, [1]);
    const sender = stage.connect(stage.account(1, [1]));
    const good = encodeClientFrame(stage.frame(sender, [account]));
    const wide = Buffer.from([0x93, 0xcf, 0, 0, 0, 1, 0, 0, 0, 2, ...good.subarray(2)]);
    stage.sayBytes(sender, wide);
    expect(stage.turn().outcomes.map(({ code }) => code)).toEqual([badFrame.code]);
  });

  it("may carry payloadBytesMax bytes to a device and no byte more", () => {
    const stage = new Stage();
    const receiver = stage.connect(stage.account(2, [1]));
    const sender = stage.connect(stage.account(1, [1]));
    const payload = large(limits.payloadBytesMax + 1);
    const most = stage.frame(sender, [receiver.account], payload.subarray(1));
    stage.say(sender, most, stage.frame(sender, [receiver.account], payload));
    const { sends, outcomes } = stage.turn();
    expect(outcomes).toEqual([expect.objectContaining({ code: payloadTooLarge.code, position: 2 })]);
    expect(sends.map(({ bytes }) => bytes.length)).toEqual([65 + limits.payloadBytesMax]);
  });

  it("is read to the inbox's last byte, and its payload may be empty", () => {
    const stage = new Stage({ inboxBytes: 4096 });
    const receiver = stage.connect(stage.account(2, [1]));
    const sender = stage.connect(stage.account(1, [1]));
    const empty = encodeClientFrame(stage.frame(sender, [receiver.account], new Uint8Array(0)));
    const room = 4096 - 16 - empty.length;
    const pings = Array.from({ length: Math.floor(room / 3) }, () => [0x92, 5, 1]).flat();
    // One wider number, so that the message ends where the inbox does.
    if (room % 3 > 0) pings.splice(0, 3, ...(room % 3 === 1 ? [0x92, 5, 0xcc, 1] : [0x92, 0xcc, 5, 0xcc, 1]));
    const message = Buffer.concat([new Uint8Array(pings), Buffer.from(empty)]);
    expect(message).toHaveLength(4096 - 16);
    expect(stage.pair.push(sender.slot, sender.connection, new Uint8Array(4096 - 16 + 1))).toBe(false);
    stage.sayBytes(sender, message);
    const { sends, outcomes } = stage.turn();
    expect(outcomes).toHaveLength(Math.floor(room / 3));
    expect(sends.map(({ bytes }) => bytes.length)).toEqual([65]);
  });

  it("that is refused leaves no trace: the same id can be accepted later", () => {
    const stage = new Stage();
    const receiver = stage.connect(stage.account(2, [1]));
    const sender = stage.connect(stage.account(1, [1]));
    const frame = stage.frame(sender, [receiver.account]);
    stage.pair.setDiskLow(true);
    expect(stage.codes(sender, frame)).toEqual([diskLow.code]);
    expect(stage.commit()).toBe(false);
    stage.pair.setDiskLow(false);
    stage.say(sender, frame);
    expect(stage.turn().sends).toHaveLength(1);
  });

  it("to more accounts than can be resident together is refused, and what follows is not", () => {
    const stage = new Stage({ accounts: 6, devices: 20 });
    const receiver = stage.connect(stage.account(2, [1]));
    const sender = stage.connect(stage.account(1, [1]));
    const many = Array.from({ length: 8 }, (_, i) => stage.account(10 + i, [1]));
    stage.say(sender, stage.frame(sender, many), stage.frame(sender, [receiver.account]));
    const { sends, outcomes } = stage.turn();
    expect(outcomes.map(({ code }) => code)).toEqual([overloaded.code]);
    expect(sends).toHaveLength(1);
  });

  it("to an account that the full tables cannot take is refused, and what follows is not", () => {
    const stage = new Stage({ accounts: 3, devices: 20 });
    const receiver = stage.connect(stage.account(2, [1]));
    const sender = stage.connect(stage.account(1, [1]));
    stage.connect(stage.account(3, [1]));
    stage.say(sender, stage.frame(sender, [stage.account(4, [1])]), stage.frame(sender, [receiver.account]));
    const { sends, outcomes } = stage.turn();
    expect(outcomes.map(({ code }) => code)).toEqual([overloaded.code]);
    expect(sends).toHaveLength(1);
  });
});

describe("what fills a column", () => {
  it("control frames beyond the column's end are read in the turn's next batch", () => {
    const stage = new Stage();
    const sender = stage.connect(stage.account(1, [1]));
    const frames = new FrameBuilder(new Random(1));
    for (let i = 0; i < 10_000; i++) frames.raw(new Uint8Array([0x92, 5, i & 0x7f]));
    stage.sayBytes(sender, frames.take());
    const { outcomes, batches } = stage.turn();
    expect(outcomes).toHaveLength(10_000);
    expect(batches).toBe(3);
  });

  it("items beyond the column's end are routed in the turn's next batch, each once", () => {
    const stage = new Stage({ tailBytes: 32 << 20, uncommittedBytes: 32 << 20, dedupKeys: 10_000 });
    const own = stage.account(1, [1]);
    const others = Array.from({ length: 16 }, (_, i) =>
      stage.account(2 + i, i < 3 ? Array.from({ length: 16 }, (_, n) => n + 1) : [1]),
    ).slice(0, 3);
    const sender = stage.connect(own);
    const sends = 1400;
    for (let i = 0; i < sends; i++) stage.say(sender, stage.frame(sender, others, new Uint8Array(0)));
    const { batches } = stage.turn();
    expect(batches).toBe(2);
    expect(stage.pair.kernel.counters()).toMatchObject({ sendsAccepted: sends, entries: 48 * sends });
  });

  it("bytes beyond what one gather lays out are routed in the turn's next batch, each once", () => {
    const stage = new Stage({ inboxBytes: 12 << 20, tailBytes: 32 << 20, uncommittedBytes: 32 << 20 });
    const receiver = stage.connect(stage.account(2, [1]), 1, { windowEntries: 1000, windowBytes: 32 << 20 });
    const sender = stage.connect(stage.account(1, [1]));
    const payload = new Uint8Array(90_000);
    for (let i = 0; i < 110; i++) stage.say(sender, stage.frame(sender, [receiver.account], payload));
    const { batches, sends } = stage.turn();
    expect(batches).toBe(2);
    expect(sends.flatMap(({ bytes }) => sequencesIn(bytes))).toHaveLength(110);
  });
});
