/**
 * What was asked of the node and has no answer yet, in the order of asking. A connection has a bounded number of questions
 * under way; the others wait here for an answer to one before them.
 */
import { InterlineError } from "./errors.js";

const OPEN_COUNT_MAX = 1024;

export interface Question {
  readonly frame: Uint8Array;
  /** Whether it may be asked again when nobody can say what came of it. */
  readonly isRepeatable: boolean;
  readonly reject: (error: InterlineError) => void;
}

export class Questions<Q extends Question> {
  readonly #open = new Map<number, Q>();
  readonly #underWayMax: number;
  /** Questions that the connection was asked, and that have no answer. */
  readonly #underWay = new Set<number>();
  /** Every question below it was asked, or is answered. */
  #nextToAsk = 1;
  #nextNumber = 1;

  constructor(underWayMax: number) {
    this.#underWayMax = underWayMax;
  }

  /** Takes the question that `ask` makes of its number. Throws `queueFull`. */
  add(ask: (number: number) => Q): void {
    if (this.#open.size >= OPEN_COUNT_MAX) throw new InterlineError("queueFull");
    const question = ask(this.#nextNumber);
    this.#open.set(this.#nextNumber++, question);
  }

  /** The question that is answered; undefined when nobody asks it any more. */
  take(number: number): Q | undefined {
    const question = this.#open.get(number);
    this.#open.delete(number);
    this.#underWay.delete(number);
    return question;
  }

  /** The frames that the connection may be given now; they count as under way. */
  due(): Uint8Array[] {
    const frames: Uint8Array[] = [];
    while (this.#underWay.size < this.#underWayMax && this.#nextToAsk < this.#nextNumber) {
      const number = this.#nextToAsk++;
      const question = this.#open.get(number);
      if (question === undefined) continue;
      this.#underWay.add(number);
      frames.push(question.frame);
    }
    return frames;
  }

  /** The connection is gone. What it was asked is asked again of the next one, or ends here. */
  disconnected(): void {
    for (const number of this.#underWay) {
      const { isRepeatable, reject } = this.#open.get(number) as Q;
      if (isRepeatable) continue;
      this.#open.delete(number);
      reject(new InterlineError("connectionLost"));
    }
    this.#underWay.clear();
    this.#nextToAsk = this.#open.keys().next().value ?? this.#nextNumber;
  }

  rejectAll(error: InterlineError): void {
    for (const { reject } of this.#open.values()) reject(error);
    this.#open.clear();
    this.#underWay.clear();
  }
}
