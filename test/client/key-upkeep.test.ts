/** When this device's keys are looked after: rounds, their repeats, and what the cipher is told. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { KeyStocks, KeyUpload } from "../../src/client/client.js";
import type { Cipher, KeyTimes } from "../../src/client/encrypted-client.js";
import { InterlineError } from "../../src/client/errors.js";
import { KeyUpkeep } from "../../src/client/key-upkeep.js";
import { OneAtATime } from "../../src/client/one-at-a-time.js";

const AGE_MS = 4_000_000;
const KEPT_MS = 9_000_000;
const FULL = 10;

/** A node that stores keys, and a cipher that wants ten. */
class Scene {
  stock = 0;
  uploads = 0;
  /** What the next uploads are answered with. */
  failures: Error[] = [];
  readonly times: KeyTimes[] = [];
  readonly told: number[] = [];
  readonly upkeep: KeyUpkeep<"signal">;

  constructor() {
    const cipher = {
      refill: async ({ preKey }: KeyStocks, times: KeyTimes) => {
        this.times.push(times);
        return preKey.count < FULL ? ({ preKey: [] } as KeyUpload) : undefined;
      },
      uploaded: (_: KeyUpload, nowMs: number) => this.told.push(nowMs),
    } as unknown as Cipher<"signal">;
    const keys = {
      stock: async () => ({ preKey: { count: this.stock, claimedThrough: 0 } }) as KeyStocks,
      upload: async () => {
        this.uploads++;
        const failure = this.failures.shift();
        if (failure !== undefined) throw failure;
        this.stock = FULL;
        return {} as KeyStocks;
      },
    };
    this.upkeep = new KeyUpkeep({ keys, cipher, turns: new OneAtATime(), ageMs: AGE_MS, keptMs: KEPT_MS });
  }
}

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
});
afterEach(() => {
  vi.useRealTimers();
});

test("two notices of one shortage make one upload", async () => {
  const scene = new Scene();
  scene.upkeep.look();
  scene.upkeep.look();
  await vi.advanceTimersByTimeAsync(0);
  expect([scene.uploads, scene.times.length]).toEqual([1, 2]);
});

test("the cipher hears of an upload when the node has it, and of a refused one nothing", async () => {
  const scene = new Scene();
  scene.failures = [new InterlineError("rateLimited", { retryAfterMs: 5_000 })];
  await expect(scene.upkeep.publish()).rejects.toMatchObject({ code: "rateLimited" });
  expect(scene.told).toEqual([]);
  await scene.upkeep.publish();
  expect([scene.told, scene.uploads]).toEqual([[1_000_000], 2]);
});

test("a round that failed in the background is made again, not before the node's delay", async () => {
  const scene = new Scene();
  scene.failures = [new InterlineError("rateLimited", { retryAfterMs: 90_000 }), new Error("lost")];
  scene.upkeep.look();
  await vi.advanceTimersByTimeAsync(89_000);
  expect(scene.uploads).toBe(1);
  await vi.advanceTimersByTimeAsync(2_000);
  expect(scene.uploads).toBe(2);
  await vi.advanceTimersByTimeAsync(58_000);
  expect(scene.uploads).toBe(2);
  await vi.advanceTimersByTimeAsync(2_000);
  expect([scene.uploads, scene.told.length]).toEqual([3, 1]);
});

test("keys are looked at four times within their age, as the options say, until the end", async () => {
  const scene = new Scene();
  await scene.upkeep.publish();
  await vi.advanceTimersByTimeAsync(AGE_MS);
  expect(scene.times.length).toBe(5);
  expect(scene.times.at(-1)).toEqual({ nowMs: 1_000_000 + AGE_MS, ageMs: AGE_MS, keptMs: KEPT_MS });
  await scene.upkeep.publish(0);
  expect(scene.times.at(-1)?.ageMs).toBe(0);
  scene.upkeep.end();
  await vi.advanceTimersByTimeAsync(2 * AGE_MS);
  expect([scene.times.length, vi.getTimerCount()]).toEqual([6, 0]);
});

test("a round that ends after the client begins no other", async () => {
  const scene = new Scene();
  const published = scene.upkeep.publish();
  scene.upkeep.end();
  await published;
  expect(vi.getTimerCount()).toBe(0);
});
