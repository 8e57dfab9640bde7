/**
 * What was done and seen in a fault test, in the order in which it happened:
 * the only thing that the judge (judge.ts) is given. One event is an operation,
 * what it was about, its outcome and its time. Nothing here knows the engine.
 *
 *   sent      a device gave an envelope to its connection for the first time
 *   receipted its sender was told that it is accepted
 *   refused   its sender was told that it is not
 *   connected a device was welcomed; what it hears from now on comes by this connection
 *   delivered a connection brought an envelope
 *   gap       a connection brought word of removed entries
 *   unreadable a connection brought bytes that are no frames
 *   applied   the SDK handed an envelope to its application, which took it
 *   killed    the node was ended without warning, or ended itself
 */
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";

/** One of the devices an envelope is for. */
export interface Addressee {
  /** 20 bytes in hex, as all devices here. */
  readonly device: string;
  /** Counts the envelopes of this sender to this device, from 1. */
  readonly number: number;
  readonly digest: string;
}

export type HistoryEvent =
  | {
      readonly op: "sent";
      readonly device: string;
      readonly id: string;
      readonly to: readonly Addressee[];
    }
  | { readonly op: "receipted"; readonly device: string; readonly id: string; readonly durability: number }
  | { readonly op: "refused"; readonly device: string; readonly id: string; readonly code: number }
  | { readonly op: "connected"; readonly device: string; readonly connection: number }
  | {
      readonly op: "delivered";
      readonly device: string;
      readonly connection: number;
      readonly sequence: number;
      readonly sender: string;
      readonly id: string;
      readonly digest: string;
    }
  | {
      readonly op: "gap";
      readonly device: string;
      readonly connection: number;
      readonly sequence: number;
      readonly count: number;
      readonly reason: number;
    }
  | {
      readonly op: "applied";
      readonly device: string;
      readonly sender: string;
      readonly id: string;
      readonly digest: string;
    }
  | { readonly op: "unreadable"; readonly device: string }
  | { readonly op: "killed"; readonly how: string };

export type TimedEvent = HistoryEvent & { readonly atMs: number };

export class History {
  readonly events: TimedEvent[] = [];
  readonly #startedMs = performance.now();

  note(event: HistoryEvent): void {
    this.events.push({ ...event, atMs: Math.round(performance.now() - this.#startedMs) });
  }

  count(op: HistoryEvent["op"]): number {
    let count = 0;
    for (const event of this.events) if (event.op === op) count++;
    return count;
  }

  /** One event a line, for whoever looks for the reason of a verdict. */
  save(file: string): void {
    writeFileSync(file, `${this.events.map((event) => JSON.stringify(event)).join("\n")}\n`);
  }
}

/** Stands for a payload in a history. */
export function digestOf(payload: Uint8Array): string {
  return createHash("sha1").update(payload).digest("hex").slice(0, 16);
}
