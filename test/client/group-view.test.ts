/** What a device makes of a group's events, against the rosters that the node would answer. */
import { expect, test } from "vitest";
import { accountAddress } from "../../src/base/address.js";
import type { GroupRoster, Role } from "../../src/client/client.js";
import { GroupView } from "../../src/client/group-view.js";

const account = (n: number) => accountAddress(1, new Uint8Array(16).fill(n));
const group = account(99);
const roster = (version: number, ...members: [number, Role][]): GroupRoster => ({
  group,
  version,
  members: members.map(([n, role]) => ({ account: account(n), role })),
});

function viewOf(...answers: GroupRoster[]) {
  const asked: GroupRoster[] = [];
  const view = new GroupView(group, async () => {
    const answer = answers.shift();
    if (answer === undefined) throw new Error("asked once too often");
    asked.push(answer);
    return answer;
  });
  return { view, asked };
}

test("events that follow each other are applied without asking again", async () => {
  const { view, asked } = viewOf(roster(4, [1, "admin"], [2, "member"]));
  await view.roster();
  const by = account(1);
  const follow = (
    version: number,
    event: Parameters<GroupView["follow"]>[0]["event"],
    ...numbers: number[]
  ) => view.follow({ group, version, event, by, accounts: numbers.map(account) });
  follow(5, "added", 3, 4);
  expect(await view.roster()).toEqual(roster(5, [1, "admin"], [2, "member"], [3, "member"], [4, "member"]));
  view.follow({ group, version: 6, event: "role", by, accounts: [account(3)], role: "admin" });
  follow(7, "removed", 2);
  expect(await view.roster()).toEqual(roster(7, [1, "admin"], [3, "admin"], [4, "member"]));
  follow(8, "left", 3);
  view.follow({ group, version: 9, event: "left", by, accounts: [by], promoted: account(4) });
  expect(await view.roster()).toEqual(roster(9, [4, "admin"]));
  expect(asked.length).toBe(1);
});

test("an event that leaves one out, and an answer older than what was heard, lead to another question", async () => {
  const { view, asked } = viewOf(roster(1, [1, "admin"]), roster(2, [1, "admin"]), roster(3, [2, "admin"]));
  await view.roster();
  view.follow({ group, version: 3, event: "left", by: account(1), accounts: [account(1)] });
  expect(await view.roster()).toEqual(roster(3, [2, "admin"]));
  expect(asked.map(({ version }) => version)).toEqual([1, 2, 3]);
});

test("who waits is woken by what comes, at once by what came before, and by the time", async () => {
  const { view } = viewOf();
  const waiting = view.next(0, 60_000);
  view.moved();
  await waiting;
  await view.next(0, 60_000);
  await view.next(1, 5);
  expect(view.moves).toBe(1);
});
