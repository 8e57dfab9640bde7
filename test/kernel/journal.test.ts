import { describe, expect, it } from "vitest";
import { codes } from "../../src/wire/codes.js";
import { Stage, sequencesIn } from "./stage.js";

const { overloaded } = codes;

describe("receipts", () => {
  it("of a duplicate leave after a commit, even when nothing else is to be committed", () => {
    const stage = new Stage();
    const receiver = stage.account(2, [1]);
    const first = stage.connect(stage.account(1, [1]));
    const frame = stage.frame(first, [receiver]);
    stage.say(first, frame);
    stage.turn();
    expect(stage.commit()).toBe(true);
    const again = stage.connect(first.account);
    stage.say(again, frame);
    stage.turn();
    expect(stage.receipts()).toEqual([]);
    expect(stage.commit()).toBe(true);
    expect(stage.receipts()).toEqual([[again.slot, 1]]);
    expect(stage.commit()).toBe(false);
  });

  it("of a send to accounts without devices leave after a commit, too", () => {
    const stage = new Stage();
    const sender = stage.connect(stage.account(1, [1]));
    stage.say(sender, stage.frame(sender, [stage.account(2, [])]));
    expect(stage.turn().outcomes).toEqual([]);
    expect(stage.commit()).toBe(true);
    expect(stage.receipts()).toEqual([[sender.slot, 1]]);
  });

  it("are never owed for more than the log takes: beyond it a send is refused and nothing is receipted early", () => {
    const stage = new Stage({ devices: 64, accounts: 64 });
    const senders = Array.from({ length: 60 }, (_, i) => stage.connect(stage.account(1 + i, [1])));
    const nobody = stage.account(99, []);
    const frames = senders.map((sender) => stage.frame(sender, [nobody]));
    let refused = 0;
    let turns = 0;
    for (; refused < 1000; turns++) {
      senders.forEach((sender, i) => {
        stage.say(sender, frames[i] as (typeof frames)[number]);
      });
      const { outcomes } = stage.turn();
      expect(outcomes.every(({ code }) => code === overloaded.code)).toBe(true);
      refused += outcomes.length;
    }
    expect(turns * senders.length - refused).toBe(2 ** 18 - 1);
    expect(stage.receipts()).toEqual([]);
    expect(stage.commit()).toBe(true);
    const told = stage.receipts();
    expect(told).toHaveLength(senders.length);
  });

  it("of a connection that was replaced are not credited to the one that replaced it", () => {
    const stage = new Stage();
    const receiver = stage.account(2, [1]);
    const older = stage.connect(stage.account(1, [1]));
    stage.say(older, stage.frame(older, [receiver]), stage.frame(older, [receiver]));
    stage.turn();
    const newer = stage.connect(older.account);
    stage.say(newer, stage.frame(newer, [receiver]));
    stage.say(older, stage.frame(older, [receiver]));
    stage.turn();
    stage.commit();
    expect(stage.receipts()).toEqual([[newer.slot, 1]]);
  });
});

describe("the dedup log", () => {
  it("that is full refuses sends until the next seal, and loses no key", () => {
    const stage = new Stage({ dedupKeys: 200_000 });
    const sender = stage.connect(stage.account(1, [1]));
    const nobody = stage.account(2, []);
    let refused = 0;
    for (let i = 0; i < 66; i++) {
      for (let n = 0; n < 2000; n++) stage.say(sender, stage.frame(sender, [nobody]));
      refused += stage.turn().outcomes.length;
    }
    expect(refused).toBe(66 * 2000 - 2 ** 17);
    const sealed = stage.pair.seal(1, 1);
    expect(sealed?.kernel.dedupKeys.length).toBe(20 * 2 ** 17);
    expect(stage.codes(sender, stage.frame(sender, [nobody]))).toEqual([]);
  });
});

describe("the tail", () => {
  it("takes no more records than it can tell apart, and goes on after a spill", () => {
    const stage = new Stage({ tailBytes: 8 << 20, uncommittedBytes: 8 << 20 });
    const receiver = stage.account(2, [1]);
    const sender = stage.connect(stage.account(1, [1]));
    let accepted = 0;
    for (; ; accepted++) {
      if (stage.codes(sender, stage.frame(sender, [receiver])).length > 0) break;
      stage.commit();
    }
    expect(accepted).toBe(16_382);
    expect(stage.codes(sender, stage.frame(sender, [receiver]))).toEqual([overloaded.code]);
    expect(stage.spill()).toBe(4096);
    expect(stage.codes(sender, stage.frame(sender, [receiver]))).toEqual([]);
  });

  it("spills as many runs as the column takes at a time, and the rest later", () => {
    const stage = new Stage();
    const receiver = stage.account(2, [1]);
    const sender = stage.connect(stage.account(1, [1]));
    for (let i = 0; i < 5000; i++) {
      stage.say(sender, stage.frame(sender, [receiver]));
      stage.turn();
    }
    stage.commit();
    expect([stage.spill(), stage.spill(), stage.spill()]).toEqual([4096, 904, 0]);
    expect(stage.pair.kernel.tailUsed).toBe(0);
  });

  it("gives a device that catches up its runs in order, at most a column of them at a time", () => {
    const stage = new Stage();
    const sender = stage.connect(stage.account(1, [1]));
    const receiver = stage.connect(stage.account(2, [1]));
    stage.pair.goLagging(receiver.slot);
    for (let i = 0; i < 150; i++) {
      stage.say(sender, stage.frame(sender, [receiver.account]));
      stage.turn();
    }
    const sequences: number[] = [];
    const spans: number[] = [];
    while (!stage.pair.goLive(receiver.slot)) {
      const part = stage.pair.tailSpans(receiver.slot, 1_000_000, 1000);
      for (const { frames, last } of part) {
        sequences.push(...sequencesIn(frames));
        stage.pair.setCursor(receiver.slot, last);
      }
      spans.push(part.length);
    }
    expect(spans).toEqual([64, 64, 22]);
    expect(sequences.map((sequence, i) => sequence - i)).toEqual(sequences.map(() => sequences[0]));
  });

  it("carries the time of the turn in a record that a later batch closed, not of the seal before it", () => {
    const stage = new Stage({ tailBytes: 32_768, uncommittedBytes: 32_768 });
    const sender = stage.connect(stage.account(1, [1]));
    const receiver = stage.account(2, [1]);
    const payload = new Uint8Array(6000);
    const fill = (): void => {
      stage.say(sender, stage.frame(sender, [receiver], payload));
      expect(stage.turn().outcomes).toEqual([]);
    };
    for (const sends of [2, 1]) {
      for (let i = 0; i < sends; i++) fill();
      stage.commit();
    }
    // The first record's place is free again, before the second's: there the ring goes on when it comes to its end.
    stage.pair.spillScan(2);
    stage.pair.release();
    for (let i = 0; i < 3; i++) fill();
    const sealed = stage.pair.seal(5, 5);
    const times = sealed?.kernel.records.map(({ bytes }) => Number(Buffer.from(bytes).readBigUInt64LE(32)));
    expect(times).toHaveLength(2);
    expect(times?.at(-1)).toBe(5);
    expect(times?.at(0)).toBe(1_700_000_000_000);
  });
});
