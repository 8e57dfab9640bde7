/** The table of methods: bodies are bounded and checked before a method runs, and a method's refusal is its answer. */
import { expect, test } from "vitest";
import { badRequest, Requests } from "../../src/directory/requests.js";
import { CodedError } from "../../src/wire/coded-error.js";
import { MsgpackWriter } from "../../src/wire/msgpack-writer.js";

const caller = new Uint8Array(20).fill(1);

function bodyOf(value: Parameters<MsgpackWriter["value"]>[0]): Uint8Array {
  const writer = new MsgpackWriter();
  writer.value(value);
  return writer.take();
}

const requests = new Requests(
  {
    "things.add": (device, body) => ({
      sum: body.uint("a", 100) + body.uint("b"),
      device,
      name: body.has("name") ? body.str("name") : "none",
    }),
    "things.list": (_, body) => ({ first: body.maps("things", 2).map((thing) => thing.uint("n")) }),
  },
  {
    "others.refuse": () => {
      throw new CodedError("notAllowed", { retryAfterMs: 5 });
    },
    "others.fail": () => {
      throw new Error("a bug");
    },
    "others.odd": () => {
      throw badRequest("odd");
    },
  },
);

test("a method gets the caller and its fields, and its result is the answer", async () => {
  expect(await requests.serve(caller, "things.add", bodyOf({ a: 1, b: 2, later: [] }))).toEqual({
    body: { sum: 3, device: caller, name: "none" },
  });
});

test("a name that nobody serves, one of every object's too", async () => {
  expect(await requests.serve(caller, "things.remove", bodyOf({}))).toEqual({ code: "requestUnknown" });
  expect(await requests.serve(caller, "toString", bodyOf({}))).toEqual({ code: "requestUnknown" });
});

test.each([
  ["a body that is no map", "things.add", bodyOf([])],
  ["an empty body", "things.add", new Uint8Array()],
  ["a body of an extension", "things.add", Uint8Array.of(0xd4, 1, 0)],
  ["a body nested too deeply", "things.add", new Uint8Array(100).fill(0x91)],
  ["a body of too many values", "things.add", bodyOf({ a: new Array(3000).fill(1) })],
  ["a field that is missing", "things.add", bodyOf({ a: 1 })],
  ["a field that is too large", "things.add", bodyOf({ a: 101, b: 1 })],
  ["a field of another type", "things.add", bodyOf({ a: "1", b: 1 })],
  ["an optional field of another type", "things.add", bodyOf({ a: 1, b: 1, name: 1 })],
  ["a list that is too long", "things.list", bodyOf({ things: [{ n: 1 }, { n: 1 }, { n: 1 }] })],
  ["a list of something else", "things.list", bodyOf({ things: [1] })],
  ["what only the method can see", "others.odd", bodyOf({})],
])("%s is a bad request", async (_, method, body) => {
  expect(await requests.serve(caller, method, body)).toEqual({ code: "badRequest", retryAfterMs: 0 });
});

test("a refusal is an answer, a bug is not", async () => {
  expect(await requests.serve(caller, "others.refuse", bodyOf({}))).toEqual({
    code: "notAllowed",
    retryAfterMs: 5,
  });
  await expect(requests.serve(caller, "others.fail", bodyOf({}))).rejects.toThrow("a bug");
});
