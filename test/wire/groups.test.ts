/** The event of a group as docs/protocol.md says it, against the literal one of the vectors. */
import { expect, it } from "vitest";
import { fromHex, toHex } from "../../src/base/bytes.js";
import { encodeGroupEvent, type GroupEvent, readGroupEvent } from "../../src/wire/groups.js";
import { decodeNotice, encodeNotice } from "../../src/wire/notices.js";
import { serverVectors } from "./vectors.js";

const account = (brand: number, byte: number): Uint8Array => {
  const address = new Uint8Array(18).fill(byte);
  address.set([0, brand]);
  return address;
};

const event: GroupEvent = {
  group: account(1, 0x99),
  version: 5,
  event: "added",
  by: account(1, 0x11),
  accounts: [account(2, 0x22), account(3, 0x33)],
};

it("is written and read as the vector has it", () => {
  const vector = serverVectors().messages.good.find(({ name }) => name.startsWith("an event of a group"));
  const [frame] = (vector?.frames ?? []) as [{ shared: string }];
  expect(toHex(encodeGroupEvent(event))).toBe(frame.shared);
  expect(readGroupEvent(decodeNotice(fromHex(frame.shared) as Uint8Array))).toEqual(event);
});

it("says more where there is more to say", () => {
  const role: GroupEvent = { ...event, event: "role", role: "admin" };
  const left: GroupEvent = { ...event, event: "left", promoted: account(3, 0x33) };
  for (const one of [role, left, { ...event, event: "created" as const, accounts: [] }])
    expect(readGroupEvent(decodeNotice(encodeGroupEvent(one)))).toEqual(one);
});

it("is refused when it is none that is known", () => {
  const bad = [
    { event: "dissolved" },
    { accounts: new Uint8Array(17) },
    { version: "5" },
    { by: new Uint8Array(20) },
  ];
  for (const change of bad) {
    const good = decodeNotice(encodeGroupEvent(event));
    const body = decodeNotice(encodeNotice({ ...good, ...change }));
    expect(() => readGroupEvent(body)).toThrow();
  }
});
