/** Roster queries that have no answer yet; asked again after a reconnect. */
import type { AccountAddress } from "../base/address.js";
import { encodeClientFrame } from "../wire/client-frames.js";
import type { RosterFrame } from "../wire/server-frames.js";
import { InterlineError } from "./errors.js";
import type { Roster } from "./types.js";

const PENDING_COUNT_MAX = 1024;

interface RosterQuery {
  readonly frame: Uint8Array;
  readonly resolve: (roster: Roster) => void;
  readonly reject: (error: InterlineError) => void;
}

export class RosterQueries {
  readonly #pending = new Map<number, RosterQuery>();
  #nextRequest = 1;

  /** Calls `ask` with the frame to write. */
  add(account: AccountAddress, ask: (frame: Uint8Array) => void): Promise<Roster> {
    if (this.#pending.size >= PENDING_COUNT_MAX) return Promise.reject(new InterlineError("queueFull"));
    const request = this.#nextRequest++;
    const frame = encodeClientFrame({ kind: "rosterQuery", request, account });
    return new Promise((resolve, reject) => {
      this.#pending.set(request, { frame, resolve, reject });
      ask(frame);
    });
  }

  answer({ request, account, version, devices }: RosterFrame): void {
    this.#pending.get(request)?.resolve({ account, version, devices });
    this.#pending.delete(request);
  }

  /** The frames to write on a new connection. */
  frames(): Uint8Array[] {
    return [...this.#pending.values()].map(({ frame }) => frame);
  }

  rejectAll(error: InterlineError): void {
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }
}
