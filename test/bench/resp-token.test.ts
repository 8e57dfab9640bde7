import { describe, expect, it } from "vitest";
import { RespToken, tokens } from "../../bench/generator/resp-token.js";

function readAll(bytes: Uint8Array, from = 0, end = bytes.length) {
  const token = new RespToken();
  const found: unknown[] = [];
  let at = from;
  for (;;) {
    const next = at < end ? token.read(bytes, at, end) : -1;
    if (next < 0) return { found, at };
    at = next;
    const isNumber = token.type === tokens.integer || token.type === tokens.array;
    const isNull = token.type === tokens.bulk && token.value < 0;
    found.push([token.type, isNumber || isNull ? token.value : token.text(bytes)]);
  }
}

const stream = Buffer.from(
  "+PONG\r\n" +
    ":1\r\n" +
    "$15\r\n1700000000000-0\r\n" +
    "*1\r\n*2\r\n$15\r\ndevice:d0000007\r\n*-1\r\n" +
    "$-1\r\n" +
    "$0\r\n\r\n" +
    "$7\r\n\r\n$1\r\n:\r\n" +
    ":-12\r\n" +
    "-ERR unknown command\r\n",
);
const all = [
  [tokens.text, "PONG"],
  [tokens.integer, 1],
  [tokens.bulk, "1700000000000-0"],
  [tokens.array, 1],
  [tokens.array, 2],
  [tokens.bulk, "device:d0000007"],
  [tokens.array, -1],
  [tokens.bulk, -1],
  [tokens.bulk, ""],
  [tokens.bulk, "\r\n$1\r\n:"],
  [tokens.integer, -12],
  [tokens.error, "ERR unknown command"],
];

describe("tokens of RESP", () => {
  it("are texts, errors, numbers, arrays, strings of bytes and nulls", () => {
    expect(readAll(stream)).toEqual({ found: all, at: stream.length });
  });

  it("are the same wherever the stream is cut", () => {
    for (let cut = 0; cut <= stream.length; cut++) {
      const first = readAll(stream, 0, cut);
      const rest = readAll(stream, first.at);
      expect([...first.found, ...rest.found]).toEqual(all);
    }
  });

  it("are refused when they are none", () => {
    const read = (text: string) => () => readAll(Buffer.from(text));
    expect(read("~2\r\n")).toThrow(/of RESP2/);
    expect(read("$x\r\n")).toThrow(/is a number/);
    expect(read("$4\r\nhello\r\n")).toThrow(/ends where it said/);
  });
});
