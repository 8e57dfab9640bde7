/**
 * Searches files for what must not be in them.
 *
 * Every plaintext of the demonstration begins with a marker that exists nowhere
 * else. The node must never have written it down, in whatever spelling: as it
 * is, as UTF-16, as hex, as base64 at any of its three alignments, or as a list
 * of byte values. Files are searched as raw bytes, the database file included.
 *
 * A search that finds nothing proves nothing unless it can find something, so
 * every search also names things that must be there: it says which of
 * them it did not find.
 *
 * It does not look into compressed or encrypted data; nothing the node writes
 * is either, except the payloads themselves.
 */
import { open, readdir, stat } from "node:fs/promises";
import { join } from "node:path";

/** Something to look for. */
export interface Needle {
  /** How a finding calls it. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

export interface Finding {
  readonly name: string;
  readonly file: string;
  readonly offset: number;
}

export interface SearchResult {
  readonly filesSearched: number;
  readonly bytesSearched: number;
  /** Every place where something forbidden is. */
  readonly forbiddenFound: readonly Finding[];
  /** Names of what must be there and is not: when there are any, the search itself cannot be trusted. */
  readonly knownMissing: readonly string[];
}

const CHUNK_BYTES = 1 << 20;

/** All the ways in which a text or a secret may have been written down. */
export function spellings(needle: Needle): Needle[] {
  const bytes = Buffer.from(needle.bytes);
  const spelled = (how: string, value: string | Buffer): Needle => ({
    name: `${needle.name} (${how})`,
    bytes: Buffer.from(value),
  });
  return [
    spelled("plain", bytes),
    spelled("UTF-16", Buffer.from(bytes.toString("latin1"), "utf16le")),
    spelled("hex", bytes.toString("hex")),
    spelled("HEX", bytes.toString("hex").toUpperCase()),
    spelled("bytes", [...bytes].join(",")),
    spelled("spaced bytes", [...bytes].join(", ")),
    ...[0, 1, 2].map((shift) => spelled(`base64, shifted by ${shift}`, innerBase64(bytes, shift))),
  ];
}

/** A needle of plain text. */
export function textNeedle(text: string): Needle {
  return { name: text, bytes: Buffer.from(text) };
}

/**
 * The base64 characters that depend on nothing but `bytes` when `shift` bytes
 * stand before them: the first and last characters, which mix with neighbours, are cut off.
 */
function innerBase64(bytes: Buffer, shift: number): string {
  const encoded = Buffer.concat([Buffer.alloc(shift), bytes])
    .toString("base64")
    .replace(/=+$/, "");
  const wholeCharacters = Math.floor(((shift + bytes.length) * 8) / 6);
  return encoded.slice(Math.ceil((shift * 8) / 6), wholeCharacters);
}

/** Searches all files at and under `paths`. */
export async function searchFiles(options: {
  paths: readonly string[];
  forbidden: readonly Needle[];
  known: readonly Needle[];
}): Promise<SearchResult> {
  const forbiddenFound: Finding[] = [];
  const knownFound = new Set<string>();
  let filesSearched = 0;
  let bytesSearched = 0;
  for (const path of options.paths) {
    for (const file of await filesUnder(path)) {
      filesSearched++;
      bytesSearched += await eachFinding(file, [...options.forbidden, ...options.known], (needle, offset) => {
        if (options.known.includes(needle)) knownFound.add(needle.name);
        else forbiddenFound.push({ name: needle.name, file, offset });
      });
    }
  }
  const knownMissing = options.known.map(({ name }) => name).filter((name) => !knownFound.has(name));
  return { filesSearched, bytesSearched, forbiddenFound, knownMissing };
}

async function filesUnder(path: string): Promise<string[]> {
  if (!(await stat(path)).isDirectory()) return [path];
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

/** Calls back for every occurrence in the file, read piece by piece; returns the file's length. */
async function eachFinding(
  file: string,
  needles: readonly Needle[],
  found: (needle: Needle, offset: number) => void,
): Promise<number> {
  const overlapBytes = Math.max(0, ...needles.map(({ bytes }) => bytes.length - 1));
  const window = Buffer.alloc(overlapBytes + CHUNK_BYTES);
  const handle = await open(file);
  try {
    let filled = 0;
    let start = 0;
    for (;;) {
      const { bytesRead } = await handle.read(window, filled, CHUNK_BYTES, start + filled);
      if (bytesRead === 0) return start + filled;
      const searched = filled;
      filled += bytesRead;
      for (const needle of needles) {
        // Whatever ends inside the part searched before was found then.
        const from = Math.max(0, searched - needle.bytes.length + 1);
        const view = window.subarray(0, filled);
        for (let at = view.indexOf(needle.bytes, from); at >= 0; at = view.indexOf(needle.bytes, at + 1)) {
          found(needle, start + at);
        }
      }
      const kept = Math.min(overlapBytes, filled);
      window.copyWithin(0, filled - kept, filled);
      start += filled - kept;
      filled = kept;
    }
  } finally {
    await handle.close();
  }
}
