/**
 * One socket, from open to close: what the edge keeps per connection and what
 * the path sees of it (`Connection`).
 *
 *   hello ──▶ signingIn ──▶ attached ──▶ ending ──▶ closed
 *     └───────────┴─────────────┴──────────▲          ▲
 *     └───────────┴─────────────┴───── peer leaves ───┘
 *
 * Invariants. A closed native socket is never touched: every use goes through
 * the stage. A link holds no timer and no closure of its own; its deadlines are
 * fields that deadlines.ts reads. `end` never calls back into the path before
 * it returns. Nothing is sent once the stage is past attached, except the error
 * frame and the close.
 *
 * Ending. A peer that has taken everything so far gets the error frame and the
 * close code at once. One with bytes still waiting gets them when it has taken
 * those, within endingMs. One that is ended because it takes
 * nothing is cut without a word: in native code a graceful end with bytes
 * waiting would be waited for without a bound.
 */

import { type CodeName, closeCode } from "../wire/codes.js";
import type { HelloFrame } from "../wire/hello.js";
import { encodeError } from "../wire/server-frame-writer.js";
import type { WebSocket } from "./native.js";

export const stages = { hello: 0, signingIn: 1, attached: 2, ending: 3, closed: 4 } as const;
export type Stage = (typeof stages)[keyof typeof stages];

/** What the path is given for each device: a socket here, something in-process elsewhere. */
export interface Connection {
  /** Bytes hold one or more whole frames and are copied before this returns. 1: sent; 0: waits, `writable` follows; 2: dropped. */
  send(bytes: Uint8Array): 0 | 1 | 2;
  /** Sends an error frame if the peer takes it, then closes with the code. Does not call back before it returns. */
  end(code: CodeName, retryAfterMs: number): void;
}

/** What addon objects carry for us: the addon copies the properties given at upgrade onto them. */
export interface Attached {
  link: Link;
}
export type Socket = WebSocket<Attached> & Attached;

/** Bytes that wait for a socket, and since when it has taken too few of them. */
export interface Backlog {
  /** Bytes handed to the socket since the backlog began, those waiting then included. */
  offeredBytes: number;
  /** offeredBytes less what waited, when last looked at as progress. */
  takenBytesMark: number;
  tickMark: number;
}

interface Farewell {
  readonly code: CodeName;
  readonly retryAfterMs: number;
  readonly untilTick: number;
}

/** The edge's books as one link needs them (table.ts). */
export interface LinkOwner {
  readonly tick: number;
  /** How long an ending link may take what waits for it. */
  readonly endingTicks: number;
  /** Bytes wait for the link from now on. */
  backlogBegins(link: Link): void;
  /** We end the link: it counts as gone, and whoever it was attached to is told after the present call. */
  leaves(link: Link, code: CodeName): void;
  /** The link ends once it has taken what waits for it, or when its time is up. */
  farewellWaits(link: Link): void;
  /** The native end was called: the descriptor is held until the peer closes too. */
  lingers(): void;
}

/** Ended for these, a peer with bytes waiting would not take a farewell either. */
const hopeless: ReadonlySet<CodeName> = new Set(["tooSlow", "silent", "helloTimeout"]);

export class Link implements Connection {
  stage: Stage = stages.hello;
  /** The path's slot while attached, -1 before. */
  slot = -1;
  /** When the last whole message came; while not attached, when the socket was opened. */
  lastSeenTick: number;
  /** Where it came from (newcomers.ts). */
  readonly address: string;
  /** What it said, until its sign-in begins. */
  hello: HelloFrame | undefined = undefined;
  /** Place in the edge's table. */
  tableIndex = -1;
  backlog: Backlog | undefined = undefined;
  /** Of an ending link: what it will be told, and when it is cut. */
  farewell: Farewell | undefined = undefined;
  /** Set at open, before anything can use the link. */
  socket: Socket | undefined = undefined;
  readonly #owner: LinkOwner;

  constructor(owner: LinkOwner, address: string) {
    this.#owner = owner;
    this.address = address;
    this.lastSeenTick = owner.tick;
  }

  send(bytes: Uint8Array): 0 | 1 | 2 {
    if (this.stage > stages.attached) return 2;
    const status = (this.socket as Socket).send(bytes, true, false) as 0 | 1 | 2;
    if (this.backlog !== undefined) {
      if (status !== 2) this.backlog.offeredBytes += bytes.length;
    } else if (status !== 1) {
      this.noteBacklog();
    }
    return status;
  }

  /** Starts watching that the waiting bytes are taken. */
  noteBacklog(): void {
    if (this.backlog !== undefined || this.stage > stages.attached) return;
    this.backlog = { offeredBytes: this.waitingBytes(), takenBytesMark: 0, tickMark: this.#owner.tick };
    this.#owner.backlogBegins(this);
  }

  waitingBytes(): number {
    return this.stage === stages.closed ? 0 : (this.socket as Socket).getBufferedAmount();
  }

  end(code: CodeName, retryAfterMs: number): void {
    if (this.stage > stages.attached) return;
    this.#owner.leaves(this, code);
    this.stage = stages.ending;
    this.farewell = { code, retryAfterMs, untilTick: this.#owner.tick + this.#owner.endingTicks };
    if (this.waitingBytes() === 0) this.sayFarewell();
    else if (hopeless.has(code)) this.cut();
    else this.#owner.farewellWaits(this);
  }

  /** Of an ending link that has taken everything: the error frame and the close code. */
  sayFarewell(): void {
    if (this.stage !== stages.ending || this.farewell === undefined) return;
    const socket = this.socket as Socket;
    const { code, retryAfterMs } = this.farewell;
    if (socket.send(encodeError(code, retryAfterMs), true, false) !== 1) {
      this.cut();
      return;
    }
    this.#owner.lingers();
    socket.end(closeCode(code), code);
  }

  /** Closes the socket without a word. */
  cut(): void {
    if (this.stage === stages.closed) return;
    (this.socket as Socket).close();
  }
}
