/** Decimal digits in bytes, for protocols of text: read and written in place, without a string per message. */
const ZERO = 0x30;

export function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= ZERO + 9;
}

/** The number whose digits fill [from, to); NaN when anything else is among them, or nothing is there. */
export function readDigits(bytes: Uint8Array, from: number, to: number): number {
  if (from >= to) return Number.NaN;
  let value = 0;
  for (let at = from; at < to; at++) {
    const byte = bytes[at]!;
    if (!isDigit(byte)) return Number.NaN;
    value = 10 * value + byte - ZERO;
  }
  return value;
}

/** Writes a number with `count` digits. */
export function writeDigits(bytes: Uint8Array, at: number, count: number, value: number): void {
  let rest = value;
  for (let i = at + count - 1; i >= at; i--) {
    const tens = Math.floor(rest / 10);
    bytes[i] = ZERO + rest - 10 * tens;
    rest = tens;
  }
}
