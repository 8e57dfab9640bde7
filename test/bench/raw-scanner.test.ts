import { describe, expect, it } from "vitest";
import { RawScanner } from "../../bench/generator/raw-scanner.js";
import { ReadMemory } from "../../bench/generator/reads.js";

/** Takes lines, and leaves what is no whole line. */
function linesOf(connections: number) {
  const memory = new ReadMemory();
  const lines: [number, string][] = [];
  const scanner = new RawScanner(connections, memory, {
    read(connection, bytes, from, end) {
      let at = from;
      for (;;) {
        const feed = bytes.subarray(0, end).indexOf(10, at);
        if (feed < 0) return at;
        lines.push([connection, Buffer.from(bytes.subarray(at, feed)).toString()]);
        bytes.fill(0, at, feed);
        at = feed + 1;
      }
    },
  });
  const receive = (connection: number, text: string) => {
    memory.readBuffer.write(text);
    scanner.scan(connection, text.length);
  };
  return { scanner, lines, receive };
}

describe("the scanner of plain TCP", () => {
  it("puts what a dialect left in front of the next read of the same connection", () => {
    const { lines, receive } = linesOf(2);
    receive(0, "one\ntw");
    receive(1, "thr");
    receive(0, "o");
    receive(1, "ee\n");
    receive(0, "\n");
    expect(lines).toEqual([
      [0, "one"],
      [1, "three"],
      [0, "two"],
    ]);
  });

  it("forgets what a connection had begun when it is opened anew", () => {
    const { scanner, lines, receive } = linesOf(1);
    receive(0, "old");
    scanner.reset(0);
    receive(0, "new\n");
    expect(lines).toEqual([[0, "new"]]);
  });
});
