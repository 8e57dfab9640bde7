/**
 * What all scenes share: the judge, the seeded choices, what was overheard, and the moments the story waits for.
 *
 * A moment is a condition over what has happened. It is looked at after every
 * event, and its action runs within the event that made it true: so a SIGKILL
 * falls exactly where the story wants it, with sends in flight. The first thing
 * that differs from what must be ends the play, and with it every wait.
 */
import { randomBytes } from "node:crypto";
import type { GroupEnvelope } from "../../src/client/encrypted-client.js";
import { SeededRandom } from "./seeded-random.js";
import { Tally } from "./tally.js";

interface Moment {
  readonly condition: () => boolean;
  readonly reached: () => void;
}

export class Stage {
  readonly tally = new Tally();
  readonly random: SeededRandom;
  /** Begins every plaintext and exists nowhere else. */
  readonly marker = `canary-${randomBytes(8).toString("hex")}`;
  /** Sends handed to a connection and not yet receipted. */
  inFlight = 0;
  receipts = 0;
  /** Sends refused because a roster had changed. */
  refusals = 0;
  ciphertexts = 0;
  /** Envelopes that connections carried out and in, repetitions included. */
  departures = 0;
  arrivals = 0;
  /** When something last happened, on performance.now()'s clock. */
  happenedMs = performance.now();
  /** Decryptions of what was sent to groups. */
  groupDecrypted = 0;
  /** Everything that devices were handed of groups: what a thief has who takes it from all of them. */
  readonly overheard: GroupEnvelope[] = [];
  /** Messages sent after a member's removal that could be read with the state of its devices; null while nobody was removed. */
  removedMemberCouldRead: number | null = null;
  /** Messages of old devices that new ones were given. */
  historyTransferred = 0;
  /** Places where a dead node had something of a sealed sender; null while nobody sent sealed. */
  sealedSenderTraces: number | null = null;
  /** The ciphertexts, by device, of the message whose receipt came last. */
  latestReceipted: ReadonlyMap<string, Uint8Array> | undefined;
  /** Messages without a receipt, by the end of each of their ciphertexts; and the last of them that reached a device. */
  readonly unreceipted = new Map<string, string>();
  latestArrived: string | undefined;
  /** The latest receipted ciphertext for each device, by its address as formatAddress writes it. */
  readonly receiptedCiphertexts = new Map<string, Uint8Array>();
  #texts = 0;
  #end: (reason: Error) => void = () => {};
  readonly #ended: Promise<never>;
  readonly #moments = new Set<Moment>();

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
    this.#ended = new Promise((_, reject) => {
      this.#end = reject;
    });
    this.#ended.catch(() => {});
  }

  /** A text no other message has, with the marker in it. */
  newText(content: string): string {
    return `${this.marker}-${++this.#texts}: ${content}`;
  }

  /** The play cannot go on: every wait, now and later, rejects with the reason. */
  end(reason: Error): void {
    this.#end(reason);
  }

  /** Says that something happened: waiting moments are looked at. */
  happened(): void {
    this.happenedMs = performance.now();
    if (this.tally.faultCount > 0) this.end(new Error("something happened that must not"));
    for (const moment of this.#moments) {
      if (!moment.condition()) continue;
      this.#moments.delete(moment);
      moment.reached();
    }
  }

  /** Runs `act` within the event that makes the condition true; resolves with its result. */
  when<T>(condition: () => boolean, act: () => T | Promise<T>): Promise<T> {
    const acted = new Promise<T>((resolve, reject) => {
      const reached = () => {
        try {
          resolve(act());
        } catch (error) {
          reject(error);
        }
      };
      this.#moments.add({ condition, reached });
    });
    this.happened();
    return this.orEnd(acted);
  }

  until(condition: () => boolean): Promise<void> {
    return this.when(condition, () => {});
  }

  /** The act's outcome, unless the play ends before. The act may go on beside others: its failure ends the play. */
  orEnd<T>(act: Promise<T>): Promise<T> {
    const outcome = Promise.race([act, this.#ended]);
    outcome.catch((reason: Error) => this.end(reason));
    return outcome;
  }
}
