/** The judge of the fault tests, tried on histories whose verdict is known. */
import { describe, expect, test } from "vitest";
import { History, type HistoryEvent } from "./history.js";
import { type Expectation, judge } from "./judge.js";

const A = "a1";
const B = "b1";
const C = "c1";

const sent = (id: string, number: number, to = B, device = A): HistoryEvent => ({
  op: "sent",
  device,
  id,
  to: [{ device: to, number, digest: `digest ${id}` }],
});
const receipted = (id: string, device = A): HistoryEvent => ({ op: "receipted", device, id, durability: 2 });
const delivered = (id: string, sequence: number, connection = 1, device = B, sender = A): HistoryEvent => ({
  op: "delivered",
  device,
  connection,
  sequence,
  sender,
  id,
  digest: `digest ${id}`,
});
const applied = (id: string, device = B): HistoryEvent => ({
  op: "applied",
  device,
  sender: A,
  id,
  digest: `digest ${id}`,
});
const gap = (sequence: number, count: number): HistoryEvent => ({
  op: "gap",
  device: B,
  connection: 1,
  sequence,
  count,
  reason: 1,
});
const killed: HistoryEvent = { op: "killed", how: "random" };

/** The rules that are broken, each once. */
function broken(events: readonly HistoryEvent[], expectation: Expectation = { gaps: "none" }): string[] {
  const history = new History();
  for (const event of events) history.note(event);
  return [...new Set(judge(history.events, expectation).faults.map(({ rule }) => rule))];
}

const whole = [
  sent("x", 1),
  sent("y", 2),
  receipted("x"),
  receipted("y"),
  delivered("x", 1),
  delivered("y", 2),
];

describe("what is as promised", () => {
  test("everything once, in order", () => {
    expect(broken(whole)).toEqual([]);
  });

  test("the same entries again under their own sequences, by another connection", () => {
    expect(broken([...whole, delivered("x", 1, 2), delivered("y", 2, 2)])).toEqual([]);
  });

  test("an envelope again under a new sequence, after a crash that came before its receipt", () => {
    expect(broken([sent("x", 1), delivered("x", 1), killed, delivered("x", 9, 2), receipted("x")])).toEqual(
      [],
    );
  });

  test("gaps that count what is missing, in its place", () => {
    const events = [sent("x", 1), sent("y", 2), sent("z", 3), receipted("x"), receipted("y"), receipted("z")];
    expect(broken([...events, gap(2, 2), delivered("z", 3)], { gaps: "accounted" })).toEqual([]);
  });

  test("a gap that counts what was taken too, because its ack had not come", () => {
    const events = [sent("x", 1), sent("y", 2), sent("z", 3), receipted("x"), receipted("y"), receipted("z")];
    const seen = [...events, delivered("x", 1), gap(2, 2)];
    expect(broken([...seen, delivered("z", 3)], { gaps: "accounted" })).toEqual([]);
    expect(broken([...seen, gap(3, 3)], { gaps: "accounted" })).toEqual([]);
    expect(broken([...seen, gap(3, 4)], { gaps: "accounted" })).toContain("gapped");
  });

  test("envelopes applied once each, in order", () => {
    const events = [sent("x", 1), sent("y", 2), applied("x"), receipted("x"), receipted("y"), applied("y")];
    expect(broken(events, { gaps: "none", applies: new Set([B]) })).toEqual([]);
  });
});

describe("what is not", () => {
  test("a receipted envelope that never comes", () => {
    expect(broken([sent("x", 1), receipted("x")])).toEqual(["lost"]);
  });

  test("a receipted envelope that comes to one of two devices", () => {
    const event: HistoryEvent = {
      op: "sent",
      device: A,
      id: "x",
      to: [
        { device: B, number: 1, digest: "digest x" },
        { device: C, number: 1, digest: "digest x" },
      ],
    };
    expect(broken([event, receipted("x"), delivered("x", 1)])).toEqual(["lost"]);
  });

  test("two envelopes of one sender in the wrong order", () => {
    const events = [sent("x", 1), sent("y", 2), receipted("x"), receipted("y")];
    expect(broken([...events, delivered("y", 1), delivered("x", 2)])).toEqual(["reordered"]);
  });

  test("a hole in the numbers of one sender", () => {
    const events = [sent("x", 1), sent("y", 2), receipted("y")];
    expect(broken([...events, delivered("y", 1)], { gaps: "none", mayBeUnanswered: true })).toEqual([
      "reordered",
    ]);
  });

  test("one sequence for two envelopes", () => {
    const events = [sent("x", 1), sent("y", 2), delivered("x", 1), killed, delivered("y", 1, 2)];
    expect(broken([...events, receipted("x"), receipted("y")])).toEqual(["reused"]);
  });

  test("one sequence for two contents", () => {
    const other: HistoryEvent = { ...delivered("x", 1, 2), digest: "other" } as HistoryEvent;
    expect(broken([sent("x", 1), receipted("x"), delivered("x", 1), other])).toEqual(["reused", "misled"]);
  });

  test("sequences that fall on one connection", () => {
    const events = [sent("x", 1), sent("y", 2), receipted("x"), receipted("y")];
    expect(broken([...events, delivered("x", 5), delivered("y", 4)])).toEqual(["fallen"]);
  });

  test("an envelope twice without a crash", () => {
    expect(broken([sent("x", 1), receipted("x"), delivered("x", 1), delivered("x", 2)])).toEqual([
      "duplicated",
    ]);
  });

  test("an envelope twice though it had its receipt before the crash", () => {
    const events = [sent("x", 1), delivered("x", 1), receipted("x"), killed, delivered("x", 9, 2)];
    expect(broken(events)).toEqual(["duplicated"]);
  });

  test("an envelope twice though its first entry survived the crash", () => {
    const events = [sent("x", 1), delivered("x", 1), killed, delivered("x", 1, 2), delivered("x", 9, 2)];
    expect(broken([...events, receipted("x")])).toEqual(["duplicated"]);
  });

  test("an envelope for somebody else", () => {
    expect(broken([sent("x", 1), receipted("x"), delivered("x", 1), delivered("x", 1, 2, C)])).toEqual([
      "misled",
    ]);
  });

  test("bytes that nobody sent, or that are no frames", () => {
    expect(broken([delivered("x", 1)])).toEqual(["misled"]);
    expect(broken([{ op: "unreadable", device: B }])).toEqual(["misled"]);
  });

  test("a gap where nothing may be removed", () => {
    expect(broken([...whole, gap(3, 1)])).toContain("gapped");
  });

  test("a gap that counts too few, too many, or stands elsewhere", () => {
    const events = [sent("x", 1), sent("y", 2), sent("z", 3), receipted("x"), receipted("y"), receipted("z")];
    const accounted: Expectation = { gaps: "accounted" };
    expect(broken([...events, gap(2, 1), delivered("z", 3)], accounted)).toContain("lost");
    expect(broken([...events, gap(2, 3), delivered("z", 3)], accounted)).toContain("gapped");
    expect(broken([...events, delivered("x", 1), delivered("z", 3), gap(4, 1)], accounted)).toContain(
      "gapped",
    );
    // As many as had been taken may have been removed before they were acked, but no more.
    expect(broken([...events, delivered("x", 1), gap(2, 3), delivered("z", 3)], accounted)).toContain(
      "gapped",
    );
  });

  test("an envelope applied twice, out of order, or never", () => {
    const events = [sent("x", 1), sent("y", 2), receipted("x"), receipted("y")];
    const expectation: Expectation = { gaps: "none", applies: new Set([B]) };
    expect(broken([...events, applied("x"), applied("x"), applied("y")], expectation)).toEqual(["reapplied"]);
    expect(broken([...events, applied("y"), applied("x")], expectation)).toEqual(["reapplied"]);
    expect(broken([...events, applied("x")], expectation)).toEqual(["lost"]);
  });

  test("a send that is refused, or never answered", () => {
    expect(broken([sent("x", 1)])).toEqual(["unsettled"]);
    expect(broken([sent("x", 1), { op: "refused", device: A, id: "x", code: 401 }])).toContain("unsettled");
  });
});
