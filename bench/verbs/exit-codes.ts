/** What the command says to the program that started it; 0 is done. */

export const EXIT_COULD_NOT_RUN = 1;
/** Lost, repeated or out of order: figures of such a run are worth nothing. */
export const EXIT_WRONG = 2;
/** A threshold does not hold, or `diff --fail-on-regression` found one. */
export const EXIT_FAILED = 3;
