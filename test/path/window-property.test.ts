/**
 * The window of a device against what it has in hand, over random histories: sends of any size, acks of a part, sockets
 * that hold back, spills, departures and returns with other windows. Never is more on the way than the window takes; and
 * whenever it takes more, nothing is waiting.
 */
import fc from "fast-check";
import { expect, it } from "vitest";
import { limits } from "../../src/rules/limits.js";
import { encodeServerFrame } from "../../src/wire/server-frame-writer.js";
import { type Device, World } from "./harness.js";

/** What the node keeps free before it sends an entry that may be of any size. */
const ENTRY_BYTES_MAX = limits.payloadBytesMax + limits.blockBytesMax + 128;
/** What is acked in part is counted by its entries, rounded to whole bytes. */
const ROUNDING_BYTES = 64;

type Step =
  | { readonly kind: "send"; readonly sizes: readonly number[] }
  | { readonly kind: "ack"; readonly held: number }
  | { readonly kind: "block" }
  | { readonly kind: "writable" }
  | { readonly kind: "spill" }
  | { readonly kind: "return"; readonly windowEntries: number; readonly windowBytes: number };

const anyWindow = {
  windowEntries: fc.integer({ min: 1, max: 12 }),
  windowBytes: fc.constantFrom(1, 70_000, 140_000, 262_144),
};

function history(anySize: fc.Arbitrary<number>): fc.Arbitrary<Step[]> {
  const sizes = fc.array(anySize, { minLength: 1, maxLength: 6 });
  const anyStep = fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant("send" as const), sizes }) },
    { weight: 6, arbitrary: fc.record({ kind: fc.constant("ack" as const), held: fc.nat({ max: 12 }) }) },
    { weight: 1, arbitrary: fc.constant({ kind: "block" as const }) },
    { weight: 1, arbitrary: fc.constant({ kind: "writable" as const }) },
    { weight: 1, arbitrary: fc.constant({ kind: "spill" as const }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("return" as const), ...anyWindow }) },
  );
  return fc.array(anyStep, { minLength: 20, maxLength: 60 });
}

/** Payloads that are all of one size, so that every estimate is exact; and of every size. */
const alike = fc.integer({ min: 8, max: limits.payloadBytesMax }).chain((size) => history(fc.constant(size)));
const mixed = history(fc.oneof(fc.integer({ min: 8, max: 200 }), fc.integer({ min: 8, max: 65_000 })));

class Receiver {
  #windowEntries = 0;
  #windowBytes = 0;
  /** Of texts, by all that were sent: what this connection began with. */
  #acked = 0;
  #ackedHere = 0;
  #isBlocked = false;
  readonly #sent: string[] = [];

  constructor(
    readonly world: World,
    readonly sender: Device,
    readonly device: Device,
  ) {}

  async take(step: Step): Promise<void> {
    const { world, device } = this;
    if (step.kind === "send") {
      for (const size of step.sizes) {
        const text = `${this.#sent.length}`.padEnd(size, ".");
        this.#sent.push(text);
        this.sender.send(this.#sent.length, text, device);
      }
    } else if (step.kind === "ack") this.#ack(step.held);
    else if (step.kind === "block") device.connection.results.push(0);
    else if (step.kind === "writable") world.path.writable(device.slot);
    else if (step.kind === "spill") await world.spillAll();
    else await this.#comeBack(step);
    if (step.kind === "writable") this.#isBlocked = false;
    const { results } = device.connection;
    const before = results.length;
    world.turn();
    // What it answered it has said once, and was sent nothing after.
    expect(before - results.length).toBeLessThanOrEqual(this.#isBlocked ? 0 : 1);
    if (results.length < before) this.#isBlocked = true;
  }

  #ack(held: number): void {
    const { sequences } = this.device.connection;
    const count = sequences.length - held;
    if (count <= this.#ackedHere) return;
    this.device.ack(sequences[count - 1] as number);
    this.#ackedHere = count;
  }

  async #comeBack(window: { windowEntries: number; windowBytes: number }): Promise<void> {
    this.#acked += this.#ackedHere;
    this.#ackedHere = 0;
    this.#isBlocked = false;
    this.device.leave();
    await this.device.connect(window);
    const [welcome] = this.device.connection.of("welcome");
    this.#windowEntries = welcome?.body.windowEntries as number;
    this.#windowBytes = welcome?.body.windowBytes as number;
  }

  check(areAlike: boolean): void {
    const { texts } = this.device.connection;
    expect(texts).toEqual(this.#sent.slice(this.#acked, this.#acked + texts.length));
    const frames = this.device.connection.of("deliver").slice(this.#ackedHere);
    const bytes = frames.reduce((sum, frame) => sum + encodeServerFrame(frame).length, 0);
    const [windowEntries, windowBytes] = [this.#windowEntries, this.#windowBytes];
    expect(frames.length).toBeLessThanOrEqual(windowEntries);
    const room = Math.min(windowBytes / 2, ENTRY_BYTES_MAX);
    // The least windows take an entry that may be larger than what is left of them.
    const overBytes = Math.max(0, ENTRY_BYTES_MAX - room) + (areAlike ? ROUNDING_BYTES : windowBytes);
    expect(bytes).toBeLessThanOrEqual(windowBytes + overBytes);
    const takesMore =
      frames.length === 0 ||
      (frames.length < windowEntries && windowBytes - bytes >= room + ROUNDING_BYTES && areAlike);
    if (takesMore && !this.#isBlocked)
      expect(this.#acked + texts.length, "nothing waits").toBe(this.#sent.length);
  }
}

async function run(steps: readonly Step[], areAlike: boolean): Promise<void> {
  const world = await World.open();
  try {
    const sender = await world.device(1, 1).connect();
    const device = await world.device(2, 2).connect();
    const receiver = new Receiver(world, sender, device);
    await receiver.take({ kind: "return", windowEntries: 8, windowBytes: 262_144 });
    for (const step of steps) {
      await receiver.take(step);
      receiver.check(areAlike);
    }
  } finally {
    await world.remove();
  }
}

it("never holds more than a window, and holds nothing back that it takes", async () => {
  await fc.assert(
    fc.asyncProperty(alike, (steps) => run(steps, true)),
    { numRuns: 40, interruptAfterTimeLimit: 25_000 },
  );
  await fc.assert(
    fc.asyncProperty(mixed, (steps) => run(steps, false)),
    { numRuns: 40, interruptAfterTimeLimit: 25_000 },
  );
}, 60_000);
