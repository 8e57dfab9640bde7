/** Asking one question after the other over a connection, and telling two sets of times apart. */
import type { SeededRandom } from "../demo/seeded-random.js";
import type { Stranger } from "./stranger.js";
import { mintService, type WorldBrand } from "./world.js";

/** The body of `accounts.resolve`: `{ brand, name }`, byte by byte. */
export function resolveBody(brand: number, name: Buffer): Buffer {
  return Buffer.concat([
    Buffer.of(0x82),
    text("brand"),
    Buffer.of(brand),
    text("name"),
    Buffer.of(0xc4, name.length),
    name,
  ]);
}

function text(value: string): Buffer {
  return Buffer.concat([Buffer.of(0xa0 + value.length), Buffer.from(value)]);
}

export interface TimingOptions {
  readonly stranger: Stranger;
  readonly samples: number;
  readonly random: SeededRandom;
  readonly method: string;
  /** The bodies of two questions; each is given how often it was asked before. */
  readonly bodies: readonly [Question, Question];
}

type Question = (asked: number) => Buffer;

export interface Timing {
  /** In milliseconds, for each of the two questions. */
  readonly times: readonly [number[], number[]];
  /** The different answers that came, as text. */
  readonly answers: ReadonlySet<string>;
}

/** Asks one at a time, which of both by chance. */
export async function timingOf({
  stranger,
  samples,
  random,
  method,
  bodies,
}: TimingOptions): Promise<Timing> {
  const times: [number[], number[]] = [[], []];
  const answers = new Set<string>();
  for (let i = 0; i < samples; i++) {
    const which = random.fraction() < 0.5 ? 0 : 1;
    const body = bodies[which](times[which].length);
    const startedMs = performance.now();
    const { code, retryAfterMs, body: said } = await stranger.request(method, body);
    times[which].push(performance.now() - startedMs);
    answers.add(JSON.stringify([code, retryAfterMs, ...said]));
  }
  return { times, answers };
}

/** Welch's t of the difference of two means, each sample cut at the pooled 90th percentile against stray pauses. */
export function welchT(a: readonly number[], b: readonly number[]): number {
  const pooled = [...a, ...b].sort((x, y) => x - y);
  const cut = pooled[Math.floor(pooled.length * 0.9)] as number;
  const [left, right] = [a, b].map((sample) => momentsOf(sample.map((value) => Math.min(value, cut))));
  const { mean, varianceOfMean } = left as Moments;
  const other = right as Moments;
  return (mean - other.mean) / Math.sqrt(varianceOfMean + other.varianceOfMean);
}

interface Moments {
  readonly mean: number;
  readonly varianceOfMean: number;
}

function momentsOf(sample: readonly number[]): Moments {
  const mean = sample.reduce((sum, value) => sum + value, 0) / sample.length;
  const squares = sample.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, varianceOfMean: squares / (sample.length - 1) / sample.length };
}

/** One request of a brand's back end to the admin API. */
export async function serviceCall(
  port: number,
  brand: WorldBrand,
  method: string,
  path: string,
  body?: object,
): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${mintService(brand)}`,
      ...(body !== undefined && { "content-type": "application/json" }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  if (!response.ok) throw new Error(`${method} ${path} was answered with ${response.status}`);
}
