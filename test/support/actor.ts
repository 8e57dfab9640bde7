/**
 * One device of a fleet (fleet.ts): it sends and receives as docs/protocol.md
 * asks of a client, and notes in the history what it did and saw.
 *
 * Its duties: sends have a position on their connection, and those without an
 * answer are repeated on the next one under the same id and in order. Its
 * habits may be bad, within what the protocol allows: it acks late or never,
 * grants a small window, forgets where it was, or is gone for long.
 */
import type { Fleet } from "./fleet.js";
import { type Addressee, digestOf } from "./history.js";
import { type Delivery, type GapNotice, Stranger } from "./stranger.js";
import { frames, type Party } from "./stranger-codec.js";
import { traceableId } from "./trace.js";
import type { WorldAccount, WorldDevice } from "./world.js";

export interface Habits {
  /** `prompt` acks each message at its end, `late` one in eight, `never` only by resuming. */
  readonly acks: "prompt" | "late" | "never";
  /** What hello says was taken: all that was, what was acked, or nothing. */
  readonly resume: "taken" | "acked" | "nothing";
  /** 0 leaves it to the node. */
  readonly windowEntries: number;
}

export type { Sending };

export const goodHabits: Habits = { acks: "prompt", resume: "acked", windowEntries: 0 };

interface Sending {
  readonly id: Buffer;
  readonly frame: Buffer;
}

const LATE = 8;

export class Actor {
  readonly device: WorldDevice;
  readonly habits: Habits;
  /** Sends without an answer, oldest first. */
  readonly unanswered: Sending[] = [];
  stranger: Stranger | undefined;
  /** Whether it wants to be connected. */
  isWanted = false;
  /** Called for every envelope that comes, with its id. */
  heard: ((id: string) => void) | undefined;
  /** Everything queued for it has come by the present connection. */
  isLive = false;
  readonly #fleet: Fleet;
  /** Sends of the present connection, by position, up to the answered ones. */
  #byPosition: { readonly sending: Sending; readonly isRepeat: boolean }[] = [];
  #answered = 0;
  #port = 0;
  readonly #numbers = new Map<string, number>();
  #highest = 0;
  #acked = 0;
  #messages = 0;
  #isReformed = false;
  #leaving: Stranger | undefined;
  /** The highest sequence that the present connection has brought. */
  #heardUpTo = 0;
  /** … and the highest that was acked there: an ack of an earlier one may have been lost with the node. */
  #ackedHere = 0;
  #gone: Promise<unknown> = Promise.resolve();

  constructor(fleet: Fleet, device: WorldDevice, habits: Habits) {
    this.#fleet = fleet;
    this.device = device;
    this.habits = habits;
  }

  /** The port of the present or latest connection, and what was sent there; undefined for repetitions. */
  get latest(): { readonly port: number; readonly ids: readonly (string | undefined)[] } {
    const ids = this.#byPosition.map(({ sending, isRepeat }) =>
      isRepeat ? undefined : sending.id.toString(),
    );
    return { port: this.#port, ids };
  }

  get isConnected(): boolean {
    return this.stranger?.isOpen === true;
  }

  /** Resolves when no socket of it is left. */
  async gone(): Promise<void> {
    await this.#gone;
  }

  /** One attempt. */
  async connect(): Promise<void> {
    if (this.stranger !== undefined) return;
    const connection = this.#fleet.nextConnection();
    const stranger = new Stranger({
      port: this.#fleet.port,
      token: this.#fleet.world.token(this.device),
      resume: this.#resume(),
      windowEntries: this.habits.windowEntries,
      delivery: (delivery) => {
        if (this.#leaving !== stranger) this.#delivered(connection, delivery);
      },
      notice: ({ sequence }) => this.#hear(sequence),
      receipt: (position, durability) => this.#receipted(position, durability),
      refusal: (position, code) => this.#refused(position, code),
      gap: (gap) => {
        if (this.#leaving !== stranger) this.#gap(connection, gap);
      },
      live: () => {
        this.isLive = true;
      },
      messageEnd: () => this.#messageEnd(),
      unreadable: () => {
        this.#fleet.history.note({ op: "unreadable", device: this.device.address });
        // It would be sent the same again, for ever.
        this.isWanted = false;
      },
    });
    this.stranger = stranger;
    this.isLive = false;
    this.#heardUpTo = 0;
    this.#ackedHere = 0;
    let wasWelcomed = false;
    this.#gone = stranger.ended.then((end) => {
      if (this.stranger === stranger) this.stranger = undefined;
      if (wasWelcomed) this.#fleet.connectionEnded(end);
    });
    try {
      await stranger.welcomed;
    } catch {
      return;
    }
    wasWelcomed = true;
    this.#fleet.history.note({ op: "connected", device: this.device.address, connection });
    this.#port = stranger.socket.localPort as number;
    this.#byPosition = [];
    this.#answered = 0;
    for (const sending of this.unanswered) this.#give(sending, true);
  }

  drop(): void {
    this.stranger?.drop();
  }

  /** Acks what it has and goes; what comes after the ack counts as not taken. */
  leave(): void {
    if (!this.isConnected) return;
    this.#ack();
    this.#leaving = this.stranger;
    void this.stranger?.close();
  }

  /** A new envelope to these accounts, given to the connection now or when there is one. */
  send(to: readonly WorldAccount[], payloadBytes: number, id = traceableId()): Sending {
    const addressees: Addressee[] = [];
    const own = this.device.account;
    const others = own.devices.length > 1 && !to.includes(own) ? [own] : [];
    const parties: Party[] = [...to, ...others].map((account) => ({
      account: account.address,
      version: this.#fleet.rosterVersion(account),
      devices: account.devices
        .filter((device) => device !== this.device)
        .map((device) => {
          const number = (this.#numbers.get(device.address) ?? 0) + 1;
          this.#numbers.set(device.address, number);
          const payload = this.#fleet.payload(payloadBytes);
          addressees.push({ device: device.address, number, digest: digestOf(payload) });
          return { device: device.number, payload };
        }),
    }));
    const sending = { id, frame: frames.send(id, parties) };
    this.unanswered.push(sending);
    this.#fleet.sent(this.device.address, id.toString("hex"), addressees);
    if (this.isConnected) this.#give(sending, false);
    return sending;
  }

  /** Sends the same bytes once more, as a client does that is not sure; false when there is no connection. */
  repeat(sending: Sending): boolean {
    if (!this.isConnected) return false;
    this.#give(sending, true);
    return true;
  }

  #resume(): number {
    if (this.habits.resume === "taken") return this.#highest;
    return this.habits.resume === "acked" ? this.#acked : 0;
  }

  #give(sending: Sending, isRepeat: boolean): void {
    this.#byPosition.push({ sending, isRepeat });
    this.stranger?.write(sending.frame);
  }

  #receipted(position: number, durability: number): void {
    const answered = this.#byPosition.slice(this.#answered, position);
    this.#answered = position;
    const device = this.device.address;
    for (const { sending } of answered) {
      this.#fleet.history.note({ op: "receipted", device, id: sending.id.toString("hex"), durability });
    }
    for (const { sending } of answered) if (this.unanswered[0] === sending) this.unanswered.shift();
    this.#fleet.receipts += answered.length;
    this.#fleet.receipted();
  }

  #refused(position: number, code: number): void {
    const id = this.#byPosition[position - 1]?.sending.id.toString("hex") ?? "nothing";
    this.#fleet.history.note({ op: "refused", device: this.device.address, id, code });
  }

  #delivered(connection: number, { sequence, sender, id, payload }: Delivery): void {
    this.#hear(sequence);
    const device = this.device.address;
    this.#fleet.history.note({
      op: "delivered",
      device,
      connection,
      sequence,
      sender,
      id,
      digest: digestOf(payload),
    });
    this.#fleet.arrived(device, sender, id);
    this.heard?.(id);
  }

  #hear(sequence: number): void {
    this.#heardUpTo = sequence;
    this.#highest = Math.max(this.#highest, sequence);
  }

  #gap(connection: number, gap: GapNotice): void {
    this.#hear(gap.sequence);
    this.#fleet.history.note({ op: "gap", device: this.device.address, connection, ...gap });
    this.#fleet.removed += gap.count;
  }

  #messageEnd(): void {
    const { acks, windowEntries } = this.habits;
    this.#messages++;
    const isDue = acks === "prompt" || windowEntries > 0 || (acks === "late" && this.#messages % LATE === 0);
    if (isDue || this.#isReformed) this.#ack();
  }

  /** From here on it acks promptly, or the window of one that never did would stay full. */
  reform(): void {
    this.#isReformed = true;
    this.#ack();
  }

  #ack(): void {
    if (this.#heardUpTo <= this.#ackedHere || !this.isConnected) return;
    this.#ackedHere = this.#heardUpTo;
    this.#acked = Math.max(this.#acked, this.#heardUpTo);
    this.stranger?.ack(this.#heardUpTo);
  }
}
