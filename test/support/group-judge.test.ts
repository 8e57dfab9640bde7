/** The judge of groups finds each fault where there is one, and none where there is none. */
import { describe, expect, it } from "vitest";
import { type GroupFault, type GroupHistoryEvent, judgeGroups } from "./group-judge.js";

const account = (name: string): string => name.repeat(36);
const [ada, ben, cleo] = [account("a"), account("b"), account("c")];
const [adaPhone, benPhone, cleoPhone] = [`${ada}0001`, `${ben}0001`, `${cleo}0001`];
const devices = [adaPhone, benPhone, cleoPhone];

type Event = Extract<GroupHistoryEvent, { op: "event" }>;

const told = (device: string, version: number, event: string, ...accounts: string[]): Event => ({
  op: "event",
  device,
  group: "g",
  version,
  event,
  by: ada,
  accounts,
});
const given = (device: string, version: number, id: string): GroupHistoryEvent => ({
  op: "message",
  device,
  group: "g",
  version,
  sender: adaPhone,
  id,
});
const receipted = (version: number, id: string): GroupHistoryEvent => ({
  op: "receipted",
  device: adaPhone,
  group: "g",
  version,
  id,
});
const changed = (version: number, change: string): GroupHistoryEvent => ({
  op: "changed",
  group: "g",
  version,
  change,
});

/** Ada makes a group with Ben, writes, adds Cleo, writes, removes Ben, writes. */
const good: readonly GroupHistoryEvent[] = [
  { op: "created", group: "g", by: ada, accounts: [ben] },
  told(adaPhone, 1, "created"),
  told(benPhone, 1, "created"),
  receipted(1, "m1"),
  given(benPhone, 1, "m1"),
  changed(2, `added ${cleo}`),
  told(adaPhone, 2, "added", cleo),
  told(benPhone, 2, "added", cleo),
  told(cleoPhone, 2, "added", cleo),
  receipted(2, "m2"),
  given(benPhone, 2, "m2"),
  given(cleoPhone, 2, "m2"),
  changed(3, `removed ${ben}`),
  told(adaPhone, 3, "removed", ben),
  told(benPhone, 3, "removed", ben),
  told(cleoPhone, 3, "removed", ben),
  receipted(3, "m3"),
  given(cleoPhone, 3, "m3"),
  {
    op: "roster",
    group: "g",
    version: 3,
    members: [
      { account: ada, role: "admin" },
      { account: cleo, role: "member" },
    ],
  },
];

const rulesOf = (history: readonly GroupHistoryEvent[]): GroupFault["rule"][] =>
  judgeGroups(history, devices).faults.map(({ rule }) => rule);

const without = (at: GroupHistoryEvent | undefined): GroupHistoryEvent[] =>
  good.filter((entry) => JSON.stringify(entry) !== JSON.stringify(at));
const swapped = (a: number, b: number): GroupHistoryEvent[] =>
  good.map((entry, i) => (i === a ? good[b] : i === b ? good[a] : entry) as GroupHistoryEvent);
const changedAt = (at: number, change: object): GroupHistoryEvent[] =>
  good.map((entry, i) => (i === at ? ({ ...entry, ...change } as GroupHistoryEvent) : entry));

describe("the judge of groups", () => {
  it("finds nothing wrong with a good history", () => {
    expect(judgeGroups(good, devices)).toEqual({ faults: [], events: 3, messages: 3 });
  });
  const table: [string, GroupFault["rule"], GroupHistoryEvent[]][] = [
    ["a message before the event of its version", "version", swapped(7, 10)],
    ["a message of the version before after the event", "version", swapped(4, 7)],
    ["a message to a member who is not in yet", "outside", swapped(8, 11)],
    ["a message to one who was removed", "outside", [...good, given(benPhone, 3, "m3")]],
    ["a message to one who was removed, by the rosters too", "surplus", [...good, given(benPhone, 3, "m3")]],
    ["an event that one member was not given", "order", without(good[7])],
    ["events that are turned round", "order", swapped(7, 14)],
    ["an event that nobody was given", "untold", good.filter((e) => e.op !== "event" || e.version !== 2)],
    ["an answer that is told as something else", "disagreement", changedAt(5, { change: `added ${ben}` })],
    ["an event that is not the same for all", "disagreement", changedAt(7, { accounts: [ben] })],
    ["a receipted message that did not come", "lost", without(good[10])],
    [
      "a message that came twice",
      "repeated",
      [...good.slice(0, 11), good[10] as GroupHistoryEvent, ...good.slice(11)],
    ],
    ["a roster of another version", "roster", changedAt(18, { version: 2 })],
    ["a roster with other roles", "roster", changedAt(18, { members: [{ account: ada, role: "member" }] })],
    ["an event of the past", "order", [...good, told(cleoPhone, 2, "added", cleo)]],
  ];
  it.each(table)("finds %s", (_, rule, history) => {
    expect(rulesOf(history)).toContain(rule);
  });

  it("finds what many faults of another rule come before", () => {
    const outside = Array.from({ length: 1_000 }, (_, i) => given(cleoPhone, 1, `o${i}`));
    expect(rulesOf([...outside, ...good, changed(4, `added ${ben}`)])).toContain("untold");
  });
});
