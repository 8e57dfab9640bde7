import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Needle, searchFiles, spellings, textNeedle } from "./canaries.js";

const MARKER = "canary-5d1c77b0f2a94e63";
const CHUNK_BYTES = 1 << 20;

let directory = "";
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "canaries-"));
});
afterEach(() => rm(directory, { recursive: true }));

async function search(known: Needle[] = []) {
  return searchFiles({ paths: [directory], forbidden: spellings(textNeedle(MARKER)), known });
}

test("a directory without the marker is clean, and says how much was searched", async () => {
  await mkdir(join(directory, "deep", "er"), { recursive: true });
  await writeFile(join(directory, "one"), randomBytes(3 * CHUNK_BYTES + 17));
  await writeFile(join(directory, "deep", "er", "two"), "canary-5d1c77b0f2a94e6");
  const result = await search();
  expect(result.forbiddenFound).toEqual([]);
  expect(result.filesSearched).toBe(2);
  expect(result.bytesSearched).toBe(3 * CHUNK_BYTES + 17 + 22);
});

test("the marker is found in every file of the tree, with file and offset", async () => {
  await mkdir(join(directory, "deep"));
  const file = join(directory, "deep", "data.mdb");
  await writeFile(file, Buffer.concat([randomBytes(1000), Buffer.from(MARKER), randomBytes(1000)]));
  await writeFile(join(directory, "log"), `{"text":"${MARKER}"}${MARKER}`);
  const { forbiddenFound } = await search();
  expect(forbiddenFound).toHaveLength(3);
  expect(forbiddenFound).toContainEqual({ name: `${MARKER} (plain)`, file, offset: 1000 });
});

test("a marker across the border of two pieces is found once, wherever the border cuts it", async () => {
  for (const distance of [0, 1, 2, MARKER.length - 1, MARKER.length]) {
    const before = CHUNK_BYTES - distance;
    const bytes = Buffer.concat([randomBytes(before), Buffer.from(MARKER), randomBytes(2 * CHUNK_BYTES)]);
    await writeFile(join(directory, "data"), bytes);
    const { forbiddenFound } = await search();
    expect(forbiddenFound.map(({ offset }) => offset)).toEqual([before]);
  }
});

test("other spellings are found: UTF-16, hex, lists of byte values, base64 at any alignment", async () => {
  const inside = (shift: number) => Buffer.from(`${"x".repeat(shift)}${MARKER}-17 and more`);
  const spelled = [
    inside(0).toString("utf16le"),
    inside(1).toString("hex"),
    inside(1).toString("hex").toUpperCase(),
    JSON.stringify(inside(2)),
    `<Buffer ${[...inside(3)].join(", ")}>`,
    inside(0).toString("base64"),
    inside(1).toString("base64"),
    inside(2).toString("base64url"),
    inside(3).toString("base64url"),
  ];
  for (const [i, text] of spelled.entries()) {
    await writeFile(join(directory, "log"), Buffer.from(text, i === 0 ? "utf16le" : "utf8"));
    expect((await search()).forbiddenFound.length, `spelling ${i}`).toBeGreaterThan(0);
  }
});

test("what must be there and is not is named: such a search proves nothing", async () => {
  await writeFile(join(directory, "log"), "serving on port 7400");
  const result = await search([textNeedle("serving on port"), textNeedle("ciphertext")]);
  expect(result.knownMissing).toEqual(["ciphertext"]);
});
