/** docs/protocol.md is what strangers build on: its tables say what the code does, and its bytes are real. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { limits } from "../../src/rules/limits.js";
import { decodeClientMessage } from "../../src/wire/client-frames.js";
import { codeName, codes } from "../../src/wire/codes.js";
import { durabilities, gapReasons, kinds, SUBPROTOCOL } from "../../src/wire/protocol.js";

const text = readFileSync(new URL("../../docs/protocol.md", import.meta.url), "utf8");

/** Codes from here on are about starting a node and never on the wire. */
const FIRST_LOCAL_CODE = 700;

/** The cells of the table rows between two lines of the document. */
function rows(from: string, to: string): string[][] {
  const begin = text.indexOf(from);
  const end = text.indexOf(to, begin);
  expect(begin).toBeGreaterThan(0);
  expect(end).toBeGreaterThan(begin);
  return text
    .slice(begin, end)
    .split("\n")
    .filter((line) => line.startsWith("| ") && !line.startsWith("| ---"))
    .map((line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )
    .slice(1);
}

test("the table of codes is the registry", () => {
  const onTheWire = Object.entries(codes).filter(([, { code }]) => code < FIRST_LOCAL_CODE);
  expect(rows("<!-- codes:", "<!-- end of codes -->")).toEqual(
    onTheWire.map(([name, { code, retry, message }]) => [String(code), name, retry, message]),
  );
});

test("no two codes have the same number", () => {
  for (const [name, { code }] of Object.entries(codes)) expect(codeName(code)).toBe(name);
});

test("the table of limits is limits.ts", () => {
  const table = rows("<!-- limits:", "<!-- end of limits -->");
  expect(table.length).toBeGreaterThan(10);
  for (const [name, value] of table) {
    expect([name, limits[name as keyof typeof limits]]).toEqual([name, Number(value)]);
  }
});

test("every kind is listed with its number", () => {
  const listed = [
    ...rows("Client to node:", "Node to client:"),
    ...rows("Node to client:", "A `send` to device 7"),
  ];
  const numbers = new Map(listed.map(([number, name]) => [name?.replaceAll(" ", ""), Number(number)]));
  for (const [name, number] of Object.entries(kinds))
    expect([name, numbers.get(name.toLowerCase())]).toEqual([name, number]);
  expect(listed.length).toBe(Object.keys(kinds).length);
});

test("durabilities and gap reasons are listed with their numbers", () => {
  expect(
    rows("| durability | name |", "A recipient may see").map(([number, name]) => [name, Number(number)]),
  ).toEqual(Object.entries(durabilities));
  expect(rows("| reason | name |", "### live").map(([number, name]) => [name, Number(number)])).toEqual(
    Object.entries(gapReasons),
  );
});

test("the subprotocol is named", () => {
  expect(text).toContain(`\`${SUBPROTOCOL}\``);
});

test("the drawn send is a real one", () => {
  const begin = text.indexOf("93                     ");
  const drawing = text.slice(begin, text.indexOf("```", begin)).replace("2222…22", "22".repeat(16));
  const hex = drawing
    .split("\n")
    .map((line) => /^ *((?:[0-9a-f]{2}|[0-9a-f]{4,} ?| )+)(?= {2,}|$| [a-z])/.exec(line)?.[1] ?? "")
    .join("")
    .replaceAll(" ", "");
  const frames = [...decodeClientMessage(Buffer.from(hex, "hex"), limits)];
  expect(frames).toMatchObject([{ kind: "send", accounts: [{ version: 3, devices: [{ device: 7 }] }] }]);
});
