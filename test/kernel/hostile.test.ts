/**
 * Hostile bytes in the inbox, from a device that has signed in: nothing traps, no region is written across, only the
 * offender's connection ends, and what others send in the same turn arrives. Every turn is compared with the model.
 */
import { describe, expect, it } from "vitest";
import { encodeClientFrame } from "../../src/wire/client-frames.js";
import { damage, FrameBuilder } from "../model/frames.js";
import { chosenSeed, Random } from "../model/random.js";
import { Stage, type StageDevice, sequencesIn } from "./stage.js";

class Scene {
  readonly stage: Stage;
  private readonly sender: StageDevice;
  private readonly receiver: StageDevice;
  private offender: StageDevice;
  messages = 0;
  ended = 0;

  constructor(build: "release" | "debug") {
    this.stage = new Stage({ inboxBytes: 4 << 20 }, build);
    this.sender = this.stage.connect(this.stage.account(1, [1]));
    this.receiver = this.stage.connect(this.stage.account(2, [1]));
    this.offender = this.stage.connect(this.stage.account(3, [1, 2]));
  }

  /** A send of the offender that would be good. */
  good(payloadBytes: number): Uint8Array {
    const { stage, offender } = this;
    const to = [offender.account, this.receiver.account, stage.account(9, [1, 2, 3])];
    return encodeClientFrame(stage.frame(offender, to, new Uint8Array(payloadBytes).fill(0x92)));
  }

  /** The offender's message stands between two sends of somebody else. */
  play(message: Uint8Array): void {
    const { stage, sender, receiver } = this;
    const before = stage.pair.kernel.counters().delivered;
    const held = stage.pair.kernel.last(receiver.slot);
    stage.say(sender, stage.frame(sender, [receiver.account]));
    stage.sayBytes(this.offender, message);
    stage.say(sender, stage.frame(sender, [receiver.account]));
    const { sends, outcomes } = stage.turn();
    this.messages++;
    const received = sends.flatMap(({ slot, bytes }) => (slot === receiver.slot ? sequencesIn(bytes) : []));
    expect(received).toEqual(received.map((_, i) => held + 1 + i));
    expect(received.length).toBeGreaterThanOrEqual(2);
    expect(stage.pair.kernel.counters().delivered).toBeGreaterThanOrEqual(before + 2);
    expect(outcomes.every(({ slot }) => slot === this.offender.slot)).toBe(true);
    for (const { slot } of [sender, receiver]) expect(stage.pair.kernel.isConnected(slot)).toBe(true);
    this.goOn();
  }

  /** Everything is acked, committed and spilled, and the offender is back. */
  private goOn(): void {
    const { stage, receiver } = this;
    stage.say(receiver, { kind: "ack", sequence: stage.pair.kernel.cursor(receiver.slot) });
    stage.turn();
    if (!stage.pair.kernel.isConnected(this.offender.slot)) {
      this.ended++;
      this.offender = stage.connect(this.offender.account);
    }
    if (this.messages % 20 > 0) return;
    stage.commit();
    stage.spill();
    stage.receipts();
    stage.pair.takeAttention();
  }
}

/** Bytes that promise much more than they hold, or nest without end. */
function bombs(bytes: number): [string, Uint8Array][] {
  const filled = (...pattern: number[]): Uint8Array => {
    const message = new Uint8Array(bytes);
    for (let i = 0; i < bytes; i++) message[i] = pattern[i % pattern.length] as number;
    return message;
  };
  const after = (head: readonly number[], rest: Uint8Array): Uint8Array =>
    Buffer.concat([Buffer.from(head), rest]);
  return [
    ["arrays of one", filled(0x91)],
    ["arrays of fifteen", filled(0x9f)],
    ["wide arrays", filled(0xdc, 0xff, 0xff)],
    ["array32", filled(0xdd, 0xff, 0xff, 0xff, 0xff)],
    ["maps of fifteen", filled(0x8f)],
    ["wide maps", filled(0xde, 0xff, 0xff)],
    ["map32", filled(0xdf, 0xff, 0xff, 0xff, 0xff)],
    ["empty arrays in a ping", after([0x92, 5, 0xdc, 0xff, 0xff], filled(0x90))],
    ["empty maps in a ping", after([0x92, 5, 0xde, 0x7f, 0xff], filled(0x80))],
    ["arrays in a ping", after([0x92, 5], filled(0x9f))],
    ["byte strings that promise 2^32 bytes", after([0x92, 5], filled(0xc6, 0xff, 0xff, 0xff, 0xff))],
    ["texts that promise 2^32 bytes", after([0x92, 5], filled(0xdb, 0xff, 0xff, 0xff, 0xff))],
    ["extensions", after([0x92, 5], filled(0xc9, 0xff, 0xff, 0xff, 0xff, 1))],
    [
      "a send to 65,535 accounts",
      after([0x93, 2, 0xc4, 16, ...new Array(16).fill(7), 0xdc, 0xff, 0xff], filled(0x93)),
    ],
    ["an ack of 2^64 - 1", after([0x92, 3, 0xcf], filled(0xff))],
    ["a kind of 2^64 - 1", after([0x92, 0xcf], filled(0xff))],
    ["pings", filled(0x92, 5, 0)],
    ["zeros", filled(0)],
  ];
}

describe.each(["release", "debug"] as const)("hostile bytes (%s)", (build) => {
  it("a send cut short at every byte, with the rest of it left in the inbox by the send before", () => {
    const scene = new Scene(build);
    const whole = scene.good(5);
    for (let length = 0; length < whole.length; length++) {
      scene.play(whole);
      scene.play(whole.subarray(0, length));
    }
    expect(scene.ended).toBe(whole.length - 1);
  });

  it("a send with every single bit turned", () => {
    const scene = new Scene(build);
    const whole = scene.good(1);
    for (let bit = 0; bit < whole.length * 8; bit++) {
      const message = Buffer.from(whole);
      message[bit >> 3] = (message[bit >> 3] as number) ^ (1 << (bit & 7));
      scene.play(message);
    }
    expect(scene.ended).toBeGreaterThan(100);
  });

  it("a send with every byte of its frame replaced by every head that msgpack has", () => {
    const scene = new Scene(build);
    const whole = scene.good(0);
    const heads = [0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xe0];
    for (let head = 0xc0; head <= 0xdf; head++) heads.push(head);
    for (let at = 0; at < whole.length; at += build === "debug" ? 3 : 1) {
      for (const head of heads) {
        const message = Buffer.from(whole);
        message[at] = head;
        scene.play(message);
      }
    }
  });

  it.each(bombs(1 << 20))("a megabyte of %s", (_name, message) => {
    const scene = new Scene(build);
    const startMs = performance.now();
    scene.play(message);
    expect(performance.now() - startMs).toBeLessThan(5000);
  });

  it("thousands of damaged messages", () => {
    const scene = new Scene(build);
    const random = new Random(chosenSeed());
    process.stdout.write(`hostile bytes, ${build}: INTERLINE_SEED=${random.seed}\n`);
    for (let i = 0; i < 3000; i++) {
      const frames = new FrameBuilder(random);
      for (let n = random.between(1, 4); n > 0; n--) {
        if (random.chance(0.6)) frames.raw(scene.good(random.below(40)));
        else if (random.chance(0.5)) frames.control();
        else frames.ack(random.below(3)).value(0);
      }
      let message = frames.take();
      for (let n = random.between(1, 3); n > 0; n--) message = damage(random, message);
      scene.play(message);
    }
    expect(scene.ended).toBeGreaterThan(500);
  });
});
