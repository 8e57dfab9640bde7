/** The bounded msgpack reader and writer, value by value, and against msgpackr as an independent second opinion. */
import fc from "fast-check";
import { Packr } from "msgpackr";
import { describe, expect, test } from "vitest";
import { fromHex, toHex } from "../../src/base/bytes.js";
import { CodedError } from "../../src/wire/coded-error.js";
import { BODY_DEPTH_MAX, BODY_ITEMS_MAX, MsgpackReader } from "../../src/wire/msgpack.js";
import { MsgpackWriter } from "../../src/wire/msgpack-writer.js";

function reader(hex: string): MsgpackReader {
  return new MsgpackReader(fromHex(hex) as Uint8Array);
}

function written(write: (writer: MsgpackWriter) => void): string {
  const writer = new MsgpackWriter(1);
  write(writer);
  return toHex(writer.take());
}

describe("integers", () => {
  test.each([
    [0, "00"],
    [127, "7f"],
    [128, "cc80"],
    [255, "ccff"],
    [256, "cd0100"],
    [65_535, "cdffff"],
    [65_536, "ce00010000"],
    [2 ** 32 - 1, "ceffffffff"],
    [2 ** 32, "cf0000000100000000"],
    [Number.MAX_SAFE_INTEGER, "cf001fffffffffffff"],
  ])("%d is written as %s and read back", (value, hex) => {
    expect(written((writer) => writer.uint(value))).toBe(hex);
    expect(reader(hex).uint()).toBe(value);
  });

  test.each(["05", "cc05", "cd0005", "ce00000005", "cf0000000000000005"])("5 is read from %s", (hex) => {
    expect(reader(hex).uint()).toBe(5);
  });

  test.each([
    ["a negative fixint", "ff"],
    ["int8", "d005"],
    ["a float", "cb4014000000000000"],
    ["nil", "c0"],
    ["a string", "a135"],
    ["2^53", "cf0020000000000000"],
    ["2^64 - 1", "cfffffffffffffffff"],
    ["half an integer", "ce0000"],
    ["nothing", ""],
  ])("%s is no unsigned integer", (_what, hex) => {
    expect(() => reader(hex).uint()).toThrow(CodedError);
  });

  test("a bound below the type's is kept", () => {
    expect(reader("cd0100").uint(256)).toBe(256);
    expect(() => reader("cd0101").uint(256)).toThrow(CodedError);
  });
});

describe("strings and byte strings", () => {
  test.each([
    ["", "a0"],
    ["ä", "a2c3a4"],
    ["\uFEFFx", "a4efbbbf78"],
    ["x".repeat(32), `d920${"78".repeat(32)}`],
    ["x".repeat(256), `da0100${"78".repeat(256)}`],
  ])("%j is written and read back", (text, hex) => {
    expect(written((writer) => writer.str(text))).toBe(hex);
    expect(reader(hex).str()).toBe(text);
  });

  test.each([0, 255, 256, 65_535, 65_536])("%d bytes are written and read back as a view", (length) => {
    const writer = new MsgpackWriter();
    writer.bin(new Uint8Array(length).fill(7));
    const bytes = writer.take();
    const value = new MsgpackReader(bytes).bin();
    expect(Buffer.compare(value, new Uint8Array(length).fill(7))).toBe(0);
    expect(value.buffer).toBe(bytes.buffer);
  });

  test.each([
    ["a string where bytes are expected", "a161", (at: MsgpackReader) => at.bin()],
    ["bytes where a string is expected", "c40161", (at: MsgpackReader) => at.str()],
    ["bad UTF-8", "a1ff", (at: MsgpackReader) => at.str()],
    ["a string over its bound", "a26161", (at: MsgpackReader) => at.str(1)],
    ["bytes over their bound", "c4026161", (at: MsgpackReader) => at.bin(1)],
    ["bytes that end early", "c40261", (at: MsgpackReader) => at.bin()],
    ["an array that promises too much", "93c0", (at: MsgpackReader) => at.array()],
    ["an array32", "dd00000000", (at: MsgpackReader) => at.array()],
  ])("%s is refused", (_what, hex, read) => {
    expect(() => read(reader(hex))).toThrow(CodedError);
  });
});

describe("bodies", () => {
  test("what msgpackr writes is read with the same meaning, and skipped to the same end", () => {
    const packr = new Packr({ useRecords: false });
    const leaf = fc.oneof(
      fc.integer(),
      fc.double({ noNaN: true }),
      fc.string({ unit: "binary", maxLength: 40 }),
      fc.boolean(),
      fc.constant(null),
      fc.uint8Array({ maxLength: 40 }),
    );
    const value = fc.letrec((tie) => ({
      any: fc.oneof({ maxDepth: 3, depthSize: "small" }, leaf, tie("list"), tie("map")),
      list: fc.array(tie("any"), { maxLength: 5 }),
      map: fc.dictionary(fc.string({ minLength: 1, maxLength: 8 }), tie("any"), { maxKeys: 5 }),
    })).any;
    fc.assert(
      fc.property(value, (original) => {
        const bytes = Uint8Array.from(packr.pack(original));
        const whole = new MsgpackReader(bytes);
        expect(plainObjects(whole.value())).toEqual(plainObjects(packr.unpack(bytes)));
        expect(whole.atEnd).toBe(true);
        const stepped = new MsgpackReader(bytes);
        stepped.skip();
        expect(stepped.atEnd).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  test.each([
    ["int8", "d0ff", -1],
    ["int16", "d1ff00", -256],
    ["int32", "d2ffff0000", -65_536],
    ["int64", "d3ffffffff00000000", -(2 ** 32)],
    ["a positive int64", "d30000000100000000", 2 ** 32],
    ["float32", "ca3fc00000", 1.5],
  ])("%s", (_what, hex, value) => {
    expect(reader(hex).value()).toBe(value);
  });

  test("a key named __proto__ is only a key", () => {
    const body = reader("81a95f5f70726f746f5f5f81a16101").body();
    expect(Object.keys(body)).toEqual(["__proto__"]);
    expect(({} as { a?: unknown }).a).toBeUndefined();
  });

  test.each([
    ["a key twice", "82a16101a16102"],
    ["a key that is no string", "810102"],
    ["an extension", "81a161d40100"],
    ["map32", "df00000000"],
    ["an int64 outside the safe range", "d37fffffffffffffff"],
    ["a list", "90"],
    ["the unused byte", "c1"],
    ["nesting beyond the bound", `81a161${"91".repeat(BODY_DEPTH_MAX)}00`],
    [
      "more values than the bound",
      `81a161dc${BODY_ITEMS_MAX.toString(16).padStart(4, "0")}${"c0".repeat(BODY_ITEMS_MAX)}`,
    ],
  ])("%s is refused as a body", (_what, hex) => {
    expect(() => reader(hex).body()).toThrow(CodedError);
  });

  test.each([
    ["an extension", "d40100"],
    ["nesting beyond the bound", `${"91".repeat(BODY_DEPTH_MAX + 1)}00`],
    ["map32", "df00000000"],
    ["a byte string cut off", "c40500"],
    ["the unused byte", "c1"],
  ])("%s is not skipped", (_what, hex) => {
    expect(() => reader(hex).skip()).toThrow(CodedError);
  });
});

test("a writer is empty after take, and grows as needed", () => {
  const writer = new MsgpackWriter(1);
  writer.array(20);
  writer.map(17);
  writer.nil();
  writer.bool(true);
  expect(writer.length).toBe(8);
  expect(toHex(writer.take())).toBe("dc0014de0011c0c3");
  expect(writer.length).toBe(0);
  expect(toHex(writer.take())).toBe("");
});

/** Objects without a prototype and Buffers as plain ones, so that they compare. */
function plainObjects(value: unknown): unknown {
  if (value instanceof Uint8Array) return { bytes: toHex(value) };
  if (Array.isArray(value)) return value.map(plainObjects);
  if (typeof value === "bigint") return Number(value);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plainObjects(item)]));
}
