import { describe, expect, it } from "vitest";
import { Kernel } from "../../src/kernel/kernel.js";
import { codes } from "../../src/wire/codes.js";
import { roomy, Stage, sequencesIn } from "./stage.js";

const { badFrame } = codes;

describe("a resident account", () => {
  it("is not set back by an older record, whose devices would be forgotten", () => {
    const stage = new Stage();
    const older = stage.account(2, [1]);
    const newer = stage.account(2, [1, 2]);
    const receiver = stage.connect(newer, 2);
    const sender = stage.connect(stage.account(1, [1]));
    stage.pair.load(older);
    stage.say(sender, stage.frame(sender, [newer]));
    expect(stage.turn().sends.map(({ slot }) => slot)).toContain(receiver.slot);
    stage.pair.load(newer);
    expect(stage.pair.findDevice(receiver.address)).toBe(receiver.slot);
  });

  it("takes a send for its new roster as soon as a device was added", () => {
    const stage = new Stage();
    const older = stage.account(2, [1]);
    const first = stage.connect(older, 1);
    const sender = stage.connect(stage.account(1, [1]));
    const stale = stage.frame(sender, [older]);
    const newer = stage.account(2, [1, 2]);
    const second = stage.connect(newer, 2);
    stage.say(sender, stale, stage.frame(sender, [newer]));
    const { sends, outcomes } = stage.turn();
    expect(outcomes.map(({ code }) => code)).toEqual([codes.rosterStale.code]);
    expect(sends.map(({ slot }) => slot).sort()).toEqual([first.slot, second.slot].sort());
  });

  it("that was given up continues above its old sequences when it comes back", () => {
    const stage = new Stage({ accounts: 3, devices: 3 });
    const sender = stage.connect(stage.account(1, [1]));
    const receiver = stage.connect(stage.account(2, [1]));
    stage.say(sender, stage.frame(sender, [receiver.account]), stage.frame(sender, [receiver.account]));
    const before = stage.turn().sends.flatMap(({ bytes }) => sequencesIn(bytes));
    stage.commit();
    stage.receipts();
    stage.pair.detach(receiver.slot, receiver.connection);
    stage.spill();
    stage.pair.takeAttention();
    for (let i = 0; i < 4; i++) stage.pair.load(stage.account(10 + i, [1]));
    expect(stage.pair.findDevice(receiver.address)).toBeUndefined();
    const back = stage.connect(receiver.account);
    stage.say(sender, stage.frame(sender, [receiver.account]));
    const after = stage
      .turn()
      .sends.flatMap(({ slot, bytes }) => (slot === back.slot ? sequencesIn(bytes) : []));
    expect(Math.min(...after)).toBeGreaterThan(Math.max(...before));
  });

  it("keeps its slot while the host has not heard that its connection ended", () => {
    const stage = new Stage({ accounts: 3, devices: 3 });
    const culprit = stage.connect(stage.account(1, [1]));
    const sender = stage.connect(stage.account(2, [1]));
    stage.sayBytes(culprit, new Uint8Array([0xc1]));
    // Each of these needs room that only an idle account could give.
    for (let i = 0; i < 3; i++) stage.say(sender, stage.frame(sender, [stage.account(10 + i, [1])]));
    const { outcomes } = stage.turn();
    expect(outcomes[0]).toMatchObject({ slot: culprit.slot, code: badFrame.code });
    expect(stage.pair.findDevice(culprit.address)).toBe(culprit.slot);
    expect(stage.pair.takeAttention()).toContain(culprit.slot);
  });
});

describe("a device that never acks", () => {
  it("gets from the tick what the host leaves it of its window, each time it goes live", () => {
    const windowBytes = 1_000_000;
    const stage = new Stage();
    const sender = stage.connect(stage.account(1, [1]));
    const receiver = stage.connect(stage.account(2, [1]), 1, { windowEntries: 20, windowBytes });
    const { kernel } = stage.pair;
    for (const left of [20, 7, 1]) {
      stage.pair.setWindow(receiver.slot, left, windowBytes);
      expect(kernel.inFlight(receiver.slot)).toBe(0);
      let fromTick = 0;
      for (let i = 0; i < 30; i++) {
        stage.say(sender, stage.frame(sender, [receiver.account]));
        fromTick += stage.turn().sends.flatMap(({ bytes }) => sequencesIn(bytes)).length;
      }
      expect(fromTick).toBe(left);
      expect(kernel.inFlight(receiver.slot)).toBe(left);
      expect(kernel.inFlightBytes(receiver.slot)).toBeGreaterThan(0);
      for (const { last } of stage.pair.tailSpans(receiver.slot, windowBytes, 30))
        stage.pair.setCursor(receiver.slot, last);
      expect(stage.pair.goLive(receiver.slot)).toBe(true);
    }
    const cursor = stage.pair.kernel.cursor(receiver.slot);
    stage.say(receiver, { kind: "ack", sequence: cursor });
    stage.say(sender, stage.frame(sender, [receiver.account]));
    expect(stage.turn().sends).toHaveLength(1);
  });
});

describe("a kernel", () => {
  it("that would need more than 4 GiB is not made", () => {
    for (const build of ["release", "debug"] as const) {
      expect(
        () =>
          new Kernel(
            { ...roomy, tailBytes: 0xf000_0000, inboxBytes: 0x1000_0000 },
            { epoch: 1, firstPart: 1 },
            build,
          ),
      ).toThrow(/not enough memory/);
    }
  });
});
