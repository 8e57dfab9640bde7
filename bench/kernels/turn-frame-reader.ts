/**
 * A reader of msgpack for hot frames, in JavaScript, as the kernel's (assembly/msgpack.ts): any width of a number,
 * never past the end, failure by a flag. One object for all frames, so that nothing is allocated.
 */
export class FrameReader {
  at = 0;
  end = 0;
  failed = false;
  /** Where the bytes of the last `bin` begin. */
  binAt = 0;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array, view: DataView) {
    this.#bytes = bytes;
    this.#view = view;
  }

  begin(from: number, to: number): void {
    this.at = from;
    this.end = to;
    this.failed = false;
  }

  uint(): number {
    const { at } = this;
    if (at < this.end) {
      const head = this.#bytes[at]!;
      if (head < 0x80) {
        this.at = at + 1;
        return head;
      }
      if (head >= 0xcc && head <= 0xcf) return this.#wideUint(head);
    }
    return this.#fail();
  }

  #wideUint(head: number): number {
    const from = this.at + 1;
    const bytes = 1 << (head - 0xcc);
    if (from + bytes > this.end) return this.#fail();
    this.at = from + bytes;
    if (bytes === 1) return this.#bytes[from]!;
    if (bytes === 2) return this.#view.getUint16(from);
    if (bytes === 4) return this.#view.getUint32(from);
    return this.#view.getUint32(from) * 2 ** 32 + this.#view.getUint32(from + 4);
  }

  /** The number of elements of the array whose header is here. */
  array(): number {
    const { at } = this;
    if (at >= this.end) return this.#fail();
    const head = this.#bytes[at]!;
    if ((head & 0xf0) === 0x90) {
      this.at = at + 1;
      return head & 0x0f;
    }
    if (head !== 0xdc || at + 3 > this.end) return this.#fail();
    this.at = at + 3;
    return this.#view.getUint16(at + 1);
  }

  /** The length of the byte string here. */
  bin(): number {
    const { at, end } = this;
    if (at + 2 > end) return this.#fail();
    const head = this.#bytes[at]!;
    let length = 0;
    let from = 0;
    if (head === 0xc4) {
      length = this.#bytes[at + 1]!;
      from = at + 2;
    } else if (head === 0xc5 && at + 3 <= end) {
      length = this.#view.getUint16(at + 1);
      from = at + 3;
    } else if (head === 0xc6 && at + 5 <= end) {
      length = this.#view.getUint32(at + 1);
      from = at + 5;
    } else {
      return this.#fail();
    }
    if (from + length > end) return this.#fail();
    this.binAt = from;
    this.at = from + length;
    return length;
  }

  #fail(): number {
    this.failed = true;
    return 0;
  }
}
