/**
 * The demonstration's judge: what was written, who must have read it, who did.
 *
 * It knows names and texts only. It shares no code with the engine, learns
 * nothing from it and trusts nobody's count: a message counts as read when a device
 * hands in the decrypted text itself, and who must read it is said by the
 * story before the message is sent, not by a roster of the node.
 *
 * Judged: every message by every device it is for, exactly once, from the
 * right sender, in the order in which the sending device wrote to it; nothing by anybody
 * else; every send receipted.
 */

/** What one device wrote. Texts are unique: they name the message. */
interface Message {
  readonly text: string;
  readonly from: string;
  readonly readers: ReadonlySet<string>;
  /** Order of the last time the sending device handed it over; 0 before the first. */
  submitted: number;
  receipted: boolean;
}

export interface Verdict {
  readonly ok: boolean;
  /** Messages written. */
  readonly sent: number;
  readonly receipted: number;
  /** Decryptions that had to happen. */
  readonly expected: number;
  /** Decryptions that happened and were right. */
  readonly decrypted: number;
  readonly missing: number;
  readonly duplicatesShown: number;
  readonly outOfOrder: number;
  /** Everything that differs, in words; empty when ok. */
  readonly faults: readonly string[];
}

export class Tally {
  readonly #messages = new Map<string, Message>();
  /** Reader → text → how often. */
  readonly #read = new Map<string, Map<string, number>>();
  /** Reader → decryptions still to come. */
  readonly #outstanding = new Map<string, number>();
  /** Order of the latest message read, per `sender → reader`. */
  readonly #latest = new Map<string, number>();
  readonly #faults: string[] = [];
  #submissions = 0;
  #decrypted = 0;
  #duplicates = 0;
  #outOfOrder = 0;
  #expected = 0;
  #receipted = 0;

  /** `from` is about to write `text`, which every device of `readers` must read once. */
  written(text: string, from: string, readers: readonly string[]): void {
    if (this.#messages.has(text)) throw new Error("two messages must not have the same text");
    const unique = new Set(readers);
    if (unique.size !== readers.length || unique.has(from)) throw new Error("readers are others, each once");
    this.#messages.set(text, { text, from, readers: unique, submitted: 0, receipted: false });
    this.#expected += unique.size;
    for (const reader of unique) this.#owe(reader, 1);
  }

  /** The sending device handed the message over; again, when it had to be repaired after a refusal. */
  submitted(text: string): void {
    this.#message(text).submitted = ++this.#submissions;
  }

  receipted(text: string): void {
    const message = this.#message(text);
    if (message.receipted) this.#faults.push(`${message.from}'s message got two receipts`);
    else this.#receipted++;
    message.receipted = true;
  }

  isReceipted(text: string): boolean {
    return this.#message(text).receipted;
  }

  /** `reader` decrypted a payload that came as `from`'s. */
  read(reader: string, from: string, text: string): void {
    const message = this.#messages.get(text);
    if (message === undefined) {
      this.#faults.push(`${reader} read a text nobody wrote`);
      return;
    }
    if (message.from !== from) this.#faults.push(`${reader} read ${message.from}'s message as ${from}'s`);
    if (!message.readers.has(reader)) {
      this.#faults.push(`${reader} read a message of ${message.from} that was not for it`);
      return;
    }
    const texts = this.#textsOf(reader);
    const times = (texts.get(text) ?? 0) + 1;
    texts.set(text, times);
    if (times > 1) {
      this.shownTwice(reader, from);
      return;
    }
    this.#decrypted++;
    this.#owe(reader, -1);
    this.#checkOrder(message, reader);
  }

  /** A device was handed an envelope it had been handed before. */
  shownTwice(reader: string, from: string): void {
    this.#duplicates++;
    this.#faults.push(`${reader} was shown a message of ${from} twice`);
  }

  /** Anything else that must not happen, such as a payload that cannot be decrypted. */
  fault(what: string): void {
    this.#faults.push(what);
  }

  /** Decryptions still to come on this device. */
  outstandingOf(reader: string): number {
    return this.#outstanding.get(reader) ?? 0;
  }

  get unreceipted(): number {
    return this.#messages.size - this.#receipted;
  }

  get faultCount(): number {
    return this.#faults.length;
  }

  judge(): Verdict {
    const faults = [...this.#faults];
    let missing = 0;
    for (const { text, from, readers, receipted } of this.#messages.values()) {
      if (!receipted) faults.push(`${from} has no receipt for a message`);
      for (const reader of readers) {
        if (this.#read.get(reader)?.has(text)) continue;
        missing++;
        faults.push(`${reader} never read a message of ${from}`);
      }
    }
    return {
      ok: faults.length === 0 && this.#messages.size > 0,
      sent: this.#messages.size,
      receipted: this.#receipted,
      expected: this.#expected,
      decrypted: this.#decrypted,
      missing,
      duplicatesShown: this.#duplicates,
      outOfOrder: this.#outOfOrder,
      faults: counted(faults),
    };
  }

  #checkOrder(message: Message, reader: string): void {
    const pair = `${message.from} → ${reader}`;
    if (message.submitted < (this.#latest.get(pair) ?? 0)) {
      this.#outOfOrder++;
      this.#faults.push(`${reader} read messages of ${message.from} out of order`);
    }
    this.#latest.set(pair, message.submitted);
  }

  #owe(reader: string, change: number): void {
    this.#outstanding.set(reader, this.outstandingOf(reader) + change);
  }

  #message(text: string): Message {
    const message = this.#messages.get(text);
    if (message === undefined) throw new Error("this text was never announced as written");
    return message;
  }

  #textsOf(reader: string): Map<string, number> {
    let texts = this.#read.get(reader);
    if (texts === undefined) {
      texts = new Map();
      this.#read.set(reader, texts);
    }
    return texts;
  }
}

/** Each fault once, with how often it was found. */
function counted(faults: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const fault of faults) counts.set(fault, (counts.get(fault) ?? 0) + 1);
  return [...counts].map(([fault, count]) => (count === 1 ? fault : `${fault} (${count} times)`));
}
