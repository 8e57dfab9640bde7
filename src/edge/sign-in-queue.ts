/**
 * Those who said hello and wait for their sign-in to begin: first come, first
 * served, a bounded number in each turn of the event loop. Between two turns the
 * loop reads its sockets and runs the path, so that established devices wait for
 * one turn's sign-ins and not for a storm's.
 *
 * Measured on one core: with every sign-in begun as it came, deliveries to
 * others stood still for as long as hellos arrived (bench/README.md).
 *
 * The waiting set is the edge's table's: a link that leaves is not in it any more.
 */
import type { HelloFrame } from "../wire/hello.js";
import type { Link } from "./link.js";

export class SignInQueue {
  readonly #waiting: Set<Link>;
  readonly #perTurn: number;
  readonly #begin: (link: Link, hello: HelloFrame) => void;
  #isScheduled = false;

  constructor(waiting: Set<Link>, perTurn: number, begin: (link: Link, hello: HelloFrame) => void) {
    this.#waiting = waiting;
    this.#perTurn = perTurn;
    this.#begin = begin;
  }

  add(link: Link, hello: HelloFrame): void {
    link.hello = hello;
    this.#waiting.add(link);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(this.#turn);
  }

  readonly #turn = (): void => {
    this.#isScheduled = false;
    let left = this.#perTurn;
    for (const link of this.#waiting) {
      if (left-- === 0) break;
      this.#waiting.delete(link);
      const hello = link.hello as HelloFrame;
      link.hello = undefined;
      this.#begin(link, hello);
    }
    if (this.#waiting.size > 0) this.#schedule();
  };
}
