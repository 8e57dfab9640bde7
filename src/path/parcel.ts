/**
 * Frames for one connection that go out in one send. Small ones are copied together, because a send costs as much as
 * copying tens of thousands of bytes.
 */
const PARCEL_BYTES = 64 * 1024;

export class Parcel {
  readonly #bytes = new Uint8Array(PARCEL_BYTES);
  #used = 0;

  /** Takes a copy; false when it does not fit. */
  add(frames: Uint8Array): boolean {
    if (frames.length > this.#bytes.length - this.#used) return false;
    this.#bytes.set(frames, this.#used);
    this.#used += frames.length;
    return true;
  }

  /** All of it, a view that is good until the next add; the parcel is empty then. */
  take(): Uint8Array {
    const frames = this.#bytes.subarray(0, this.#used);
    this.#used = 0;
    return frames;
  }
}
