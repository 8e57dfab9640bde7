/** Attachments are of one shape for V8, or every send looks its connection up anew. */
import { setFlagsFromString } from "node:v8";
import { expect, test } from "vitest";
import { newAttachment } from "../../src/path/attachment.js";
import type { Connection } from "../../src/path/shapes.js";

const connection: Connection = { send: () => 1, end: () => {} };

function attachmentAt(slot: number) {
  return newAttachment({
    slot,
    number: slot + 1,
    connection,
    isOwn: false,
    windowEntries: 512,
    windowBytes: 1 << 20,
  });
}

test("all attachments have one shape", () => {
  setFlagsFromString("--allow-natives-syntax");
  const haveSameMap = new Function("a", "b", "return %HaveSameMap(a, b)");
  setFlagsFromString("--no-allow-natives-syntax");
  const [first, ...others] = Array.from({ length: 100 }, (_, slot) => attachmentAt(slot));
  expect(others.filter((other) => !haveSameMap(first, other))).toEqual([]);
});
