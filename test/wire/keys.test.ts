/** The bytes of a digest are those that docs/protocol.md draws: literal ones, and an independent writing of them. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { type KeyKind, keyDigestInput, keyKindNames, keyKinds, keySuites } from "../../src/wire/keys.js";
import { digestOf } from "../support/claim-judge.js";

interface DigestVector {
  readonly name: string;
  readonly device: string;
  readonly kind: KeyKind;
  readonly keys: readonly (readonly [number, string])[];
  readonly input: string;
  readonly digest: string;
}

const { digests } = JSON.parse(
  readFileSync(new URL("../vectors/key-digests.json", import.meta.url), "utf8"),
) as { digests: readonly DigestVector[] };

test.each(digests)("the digest of $name", ({ device, kind, keys, input, digest }) => {
  const listed = keys.map(([id, hex]) => ({ id, key: Buffer.from(hex, "hex") }));
  const bytes = keyDigestInput(Buffer.from(device, "hex"), kind, listed);
  expect(Buffer.from(bytes).toString("hex")).toBe(input);
  expect(createHash("sha256").update(bytes).digest("hex")).toBe(digest);
  const noted = listed.map(({ id, key }) => ({ id, bytes: key }));
  expect(digestOf(device, keyKinds[kind], noted)).toBe(digest);
});

test("the document lists every kind with its number, and the example's length", () => {
  const page = readFileSync(new URL("../../docs/protocol.md", import.meta.url), "utf8");
  for (const kind of keyKindNames) expect(page).toContain(`| \`${kind}\` | ${keyKinds[kind]} |`);
  for (const suite of Object.keys(keySuites)) expect(page).toContain(`\`${suite}\``);
  expect(page).toContain(`these are the ${(digests[0] as DigestVector).input.length / 2} bytes`);
});
