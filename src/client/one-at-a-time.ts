/**
 * Runs pieces of work strictly one after the other, in the order they were handed in.
 *
 * A ratchet moves with every message: two encryptions or decryptions of one
 * device that overlap would both start from the same state, and one of them
 * would be lost. Work that fails does not stop what comes after it.
 */
export class OneAtATime {
  #last: Promise<unknown> = Promise.resolve();

  run<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => {});
    return result;
  }
}
