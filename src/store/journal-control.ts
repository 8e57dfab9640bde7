/** What the node's thread (journal-file.ts) and the journal's (journal-thread.ts) share and say to one another. */

/** What the thread is started with. */
export interface JournalThreadData {
  readonly path: string;
  readonly control: SharedArrayBuffer;
  /** Page aligned, as O_DIRECT wants it; a block begins at its start. */
  readonly memory: WebAssembly.Memory;
}

/** Words of the control memory. */
export const REQUESTED = 0;
export const FINISHED = 1;
export const HAS_FAILED = 2;
/** Of the block, with and without its padding; neither: end the thread. */
export const BLOCK_BYTES = 3;
export const PADDED_BYTES = 4;
/** Index, in 64-bit floats, of the place in the file. */
export const POSITION = 3;
export const CONTROL_BYTES = 32;

/** What the thread says: it is ready, a write is finished, or it failed and why. */
export type JournalThreadMessage =
  | { readonly ready: true }
  | { readonly finished: number }
  | { readonly failure: string };
