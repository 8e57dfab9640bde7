/**
 * Two devices that write to each other without a pause, each send with its
 * receipt and its delivery: the measure of whether a node serves others while
 * something bad is done to it.
 */
import { randomBytes } from "node:crypto";
import { Stranger } from "./stranger.js";
import type { World, WorldDevice } from "./world.js";

export interface Served {
  /** Envelopes delivered and receipted. */
  readonly exchanges: number;
  /** From a send to its delivery. */
  readonly longestMs: number;
  readonly p99Ms: number;
}

export class PingPong {
  readonly #latenciesMs: number[] = [];
  readonly #ends: Stranger[] = [];
  readonly #world: World;
  #receipts = 0;
  #sentMs = 0;
  #isOver = false;
  #finished: () => void = () => {};
  /** What must not happen to those who do nothing bad. */
  readonly #complaints: string[] = [];

  private constructor(world: World) {
    this.#world = world;
  }

  /** Between the world's first two devices. */
  static async start(port: number, world: World): Promise<PingPong> {
    const pair = new PingPong(world);
    const [a, b] = world.devices as [WorldDevice, WorldDevice];
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      pair.#ends.push(
        await Stranger.open({
          port,
          token: world.token(from),
          receipt: () => pair.#receipts++,
          delivery: ({ sequence }) => pair.#arrived(from, to, sequence),
          refusal: (_, code) => pair.#complaints.push(`a send was refused with ${code}`),
          ended: ({ code }) => pair.#complaints.push(`a connection was ended with ${code}`),
        }),
      );
    }
    pair.#send(a, b);
    return pair;
  }

  /** Ends the exchange after the envelope that is under way. Rejects when it never arrives. */
  async stop(): Promise<Served> {
    this.#isOver = true;
    const finished = new Promise<void>((resolve) => {
      this.#finished = resolve;
    });
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Error(`an envelope under way never arrived: ${this.#complaints}`)),
        15_000,
      );
    });
    await Promise.race([finished, tooLate]);
    clearTimeout(timer);
    for (const end of this.#ends) end.drop();
    const sorted = this.#latenciesMs.toSorted((x, y) => x - y);
    return {
      exchanges: Math.min(sorted.length, this.#receipts),
      longestMs: sorted.at(-1) ?? 0,
      p99Ms: sorted[Math.floor(sorted.length * 0.99)] ?? 0,
    };
  }

  #send(from: WorldDevice, to: WorldDevice): void {
    this.#sentMs = performance.now();
    const devices = [{ device: to.number, payload: Buffer.from("ping") }];
    const party = { account: to.account.address, version: 1, devices };
    this.#ends[this.#world.devices.indexOf(from)]?.send(randomBytes(16), [party]);
  }

  #arrived(at: WorldDevice, from: WorldDevice, sequence: number): void {
    this.#latenciesMs.push(performance.now() - this.#sentMs);
    this.#ends[this.#world.devices.indexOf(at)]?.ack(sequence);
    if (this.#isOver) this.#finished();
    else this.#send(at, from);
  }
}
