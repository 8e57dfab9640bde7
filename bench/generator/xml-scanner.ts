/**
 * Finds where an element ends in bytes that may not be all there yet. XMPP allows
 * no comments, no processing instructions and no entities of one's own (RFC 6120,
 * 11.1), so tags, quotes and nesting are all there is to follow.
 */
const LESS = 0x3c;
const GREATER = 0x3e;
const SLASH = 0x2f;
const APOSTROPHE = 0x27;
const QUOTE = 0x22;

/** Behind the `>` of the tag that begins at `at`; -1 when it is not all there. */
export function tagEnd(bytes: Uint8Array, at: number, end: number): number {
  let quote = 0;
  for (let i = at + 1; i < end; i++) {
    const byte = bytes[i]!;
    if (quote !== 0) {
      if (byte === quote) quote = 0;
    } else if (byte === GREATER) return i + 1;
    else if (byte === APOSTROPHE || byte === QUOTE) quote = byte;
  }
  return -1;
}

/** Behind the element that begins at `at` with a tag up to `tag`; -1 when it is not all there. */
export function elementEnd(bytes: Uint8Array, at: number, tag: number, end: number): number {
  let depth = 0;
  let opened = at;
  let closed = tag;
  for (;;) {
    if (bytes[opened + 1] === SLASH) depth -= 1;
    else if (bytes[closed - 2] !== SLASH) depth += 1;
    if (depth === 0) return closed;
    opened = closed;
    while (opened < end && bytes[opened] !== LESS) opened += 1;
    if (opened === end) return -1;
    closed = tagEnd(bytes, opened, end);
    if (closed < 0) return -1;
  }
}

/** Where `text` first stands in [at, end); -1 when it does not. */
export function findText(bytes: Uint8Array, text: Uint8Array, at: number, end: number): number {
  const first = text[0];
  const last = end - text.length;
  for (let i = at; i <= last; i++) {
    if (bytes[i] === first && standsAt(bytes, text, i)) return i;
  }
  return -1;
}

/** Whether `text` stands at `at`; what lies behind the bytes that have come must not be asked for. */
export function standsAt(bytes: Uint8Array, text: Uint8Array, at: number): boolean {
  for (let i = 0; i < text.length; i++) if (bytes[at + i] !== text[i]) return false;
  return true;
}
