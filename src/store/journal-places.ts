/**
 * Where the journal's blocks lie in their file. A block goes to the file's start
 * when what lay there is spilled, or behind the newest, or at the end. The file
 * therefore grows to some two or three times what is unspilled at most at a time,
 * and is then written over and over.
 */
interface Place {
  readonly number: number;
  readonly start: number;
  readonly end: number;
}

export class JournalPlaces {
  /** Of the blocks that are not yet spilled, in the order of their numbers. */
  #places: Place[] = [];
  #fileBytes = 0;

  get count(): number {
    return this.#places.length;
  }

  /** How far the file was ever used. */
  get fileBytes(): number {
    return this.#fileBytes;
  }

  /** Finds `bytes` for the next block; numbers rise. */
  take(number: number, bytes: number): number {
    const start = this.#find(bytes);
    this.#places.push({ number, start, end: start + bytes });
    this.#fileBytes = Math.max(this.#fileBytes, start + bytes);
    return start;
  }

  #find(bytes: number): number {
    const isFree = (from: number): boolean =>
      this.#places.every(({ start, end }) => from + bytes <= start || end <= from);
    const behindNewest = this.#places.at(-1)?.end ?? 0;
    const behindAll = this.#places.reduce((furthest, { end }) => Math.max(furthest, end), 0);
    return [0, behindNewest].find(isFree) ?? behindAll;
  }

  /** The blocks numbered up to `number` are spilled. */
  free(number: number): void {
    const kept = this.#places.findIndex((place) => place.number > number);
    this.#places = kept < 0 ? [] : this.#places.slice(kept);
  }
}
