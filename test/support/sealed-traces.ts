/**
 * What a node has kept of somebody who sent without being named: everything under its data directory, and all that it
 * wrote, is searched for what could name the sender, in every spelling. What must be there (the recipient, the ciphertext)
 * is searched for too, so that a search that cannot find anything shows.
 */
import { type Needle, searchFiles, spellings } from "../demo/canaries.js";

export interface SealedTraces {
  /** Names of what was found of the sender, and where. */
  readonly traces: readonly string[];
  /** What should have been found and was not: then the search proves nothing. */
  readonly missing: readonly string[];
  readonly bytesSearched: number;
}

export async function sealedTraces(options: {
  /** Data directories, and files with output and metrics. */
  readonly paths: readonly string[];
  /** What names the sender. */
  readonly sender: readonly Needle[];
  readonly known: readonly Needle[];
}): Promise<SealedTraces> {
  const { paths, sender, known } = options;
  const found = await searchFiles({ paths, forbidden: sender.flatMap(spellings), known });
  return {
    traces: found.forbiddenFound.map(({ name, file, offset }) => `${name} in ${file} at ${offset}`),
    missing: found.knownMissing,
    bytesSearched: found.bytesSearched,
  };
}
