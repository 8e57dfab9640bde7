/** The event of a group's change, sequenced with the group's messages by the real kernel, path and store. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { accountOf } from "../../src/base/address.js";
import { codes } from "../../src/wire/codes.js";
import { encodeGroupEvent, type GroupEventName } from "../../src/wire/groups.js";
import { type Device, World } from "./harness.js";

const GROUP = new Uint8Array(18).fill(1);

/** How the event is laid out: as one envelope for all members, or as several, which is what those of a large group are. */
const layouts = [
  ["as one envelope", {}],
  ["as an envelope for each member", { groupEventMembersMax: 0, accountsPerSharedSendMax: 1 }],
] as const;

let world: World;
let layout: (typeof layouts)[number][1] = {};
afterEach(() => world.remove());

async function reopen(limits: { noticesInFlightMax?: number } = {}): Promise<void> {
  await world.close();
  world = await World.open({ directory: world.directory, limits: { ...layout, ...limits } });
}

async function connected(): Promise<[Device, Device, Device]> {
  const devices: Device[] = [];
  for (const n of [1, 2, 3]) devices.push(await world.device(n, n).connect());
  return devices as [Device, Device, Device];
}

/** The group's members from this version on; `gone` were members before. */
async function change(
  event: GroupEventName,
  version: number,
  members: readonly Device[],
  gone: readonly Device[] = [],
): Promise<void> {
  const [by = GROUP] = [...members, ...gone].map(({ address }) => accountOf(address));
  const payload = encodeGroupEvent({ group: GROUP, version, event, by, accounts: [] });
  const group = { address: GROUP, version };
  const recipients = gone.map(({ address }) => ({ account: accountOf(address) }));
  await world.store.changeGroup({
    group: {
      address: GROUP,
      version,
      members: members.map(({ address }) => ({ account: accountOf(address), role: "admin" as const })),
    },
    notices: [
      ...(members.length > 0 ? [{ recipients: [], payload, group }] : []),
      ...(gone.length > 0 ? [{ recipients, payload, group }] : []),
    ],
  });
}

const at = (version: number) => ({ address: GROUP, version, members: [] });
const codesOf = (device: Device): number[] => device.connection.of("refusal").map(({ code }) => code);

describe.each(layouts)("the event %s", (_how, limits) => {
  beforeEach(async () => {
    layout = limits;
    world = await World.open({ limits });
  });

  it("comes to all members after what was sent before, and before what is sent after", async () => {
    const [ada, ben, cleo] = await connected();
    await change("created", 1, [ada, ben]);
    await world.settle();
    ada.sendToGroup(1, "one", at(1));
    world.turn();
    await change("added", 2, [ada, ben, cleo]);
    world.turn();
    ada.sendToGroup(2, "late", at(1)).sendToGroup(2, "two", at(2));
    world.turn();
    expect(ben.connection.groupLog).toEqual(["created 1", "one", "added 2", "two"]);
    expect(cleo.connection.groupLog).toEqual(["added 2", "two"]);
    expect(ada.connection.groupLog).toEqual(["created 1", "added 2"]);
    expect(codesOf(ada)).toEqual([codes.groupStale.code]);
  });

  it("cuts a pipeline of sends at one place: the same for everybody", async () => {
    const [ada, ben, cleo] = await connected();
    await change("created", 1, [ada, ben, cleo]);
    await world.settle();
    for (let i = 1; i <= 3; i++) ada.sendToGroup(i, `${i}`, at(1));
    world.turn();
    await change("role", 2, [ada, ben, cleo]);
    // In the inbox before the turn that brings the event: too late all the same.
    for (let i = 4; i <= 6; i++) ada.sendToGroup(i, `${i}`, at(1));
    world.turn();
    for (const { connection } of [ben, cleo])
      expect(connection.groupLog).toEqual(["created 1", "1", "2", "3", "role 2"]);
    expect(codesOf(ada)).toEqual([311, 311, 311]);
  });

  it("is the last that a removed member gets, and what was sent by the old roster is refused from then on", async () => {
    const [ada, ben, cleo] = await connected();
    await change("created", 1, [ada, ben, cleo]);
    await world.settle();
    ada.sendToGroup(1, "one", at(1));
    await change("removed", 2, [ada, ben], [cleo]);
    ada.sendToGroup(2, "two", at(2));
    world.turn();
    // The second send lay in the inbox before the event did.
    expect(codesOf(ada)).toEqual([codes.groupStale.code, codes.overloaded.code]);
    ada.sendToGroup(3, "three", at(2));
    cleo.sendToGroup(1, "from outside", at(2));
    await world.settle();
    expect(cleo.connection.groupLog).toEqual(["created 1", "removed 2"]);
    expect(ben.connection.groupLog).toEqual(["created 1", "removed 2", "three"]);
    expect(codesOf(cleo)).toEqual([codes.groupUnknown.code]);
  });

  it("keeps members from sending for the new version until it is out, however long that takes", async () => {
    const [ada, , cleo] = await connected();
    await change("created", 1, [ada, cleo]);
    await world.settle();
    // Nothing is resident, and one notice at a time is on its way.
    await reopen({ noticesInFlightMax: 1 });
    const [first, second, third] = await connected();
    await world.device(3, 9, 1).connect();
    await world.settle();
    world.holdCommits = true;
    await world.store.registerDevice(accountOf(world.device(3, 9).address), 2);
    world.turn();
    await change("added", 2, [first, second, third]);
    world.turn();
    first.sendToGroup(1, "old", at(1)).sendToGroup(2, "early", at(2));
    world.turn();
    expect(codesOf(first)).toEqual([codes.groupStale.code, codes.overloaded.code]);
    world.holdCommits = false;
    for (const letGo of world.heldCommits.splice(0)) letGo();
    for (let i = 0; i < 4; i++) await world.settle();
    world.turn();
    first.sendToGroup(3, "now", at(2));
    await world.settle();
    for (const { connection } of [second, third])
      expect(connection.groupLog.slice(-2)).toEqual(["added 2", "now"]);
  });

  it("is told after a crash between the change and the event, and the group opens with it", async () => {
    const [ada, ben] = await connected();
    await change("created", 1, [ada, ben]);
    await world.settle();
    await change("removed", 2, [ada], [ben]);
    await reopen();
    const [again, gone] = await connected();
    again.sendToGroup(1, "alone", at(2));
    await world.settle();
    expect(again.connection.groupLog).toEqual(["created 1", "removed 2"]);
    expect(gone.connection.groupLog).toEqual(["created 1", "removed 2"]);
    expect(codesOf(again)).toEqual([]);
  });

  it("is told once when the crash came before the outbox was cleared, and the group opens all the same", async () => {
    const [ada, ben] = await connected();
    await change("created", 1, [ada, ben]);
    world.isOutboxKept = true;
    await world.settle();
    await reopen();
    const [again, other] = await connected();
    again.sendToGroup(1, "one", at(1));
    await world.settle();
    expect(other.connection.groupLog).toEqual(["created 1", "one"]);
    expect(codesOf(again)).toEqual([]);
  });

  it("waits while the node takes no sends, and everybody with it", async () => {
    const [ada, ben] = await connected();
    await change("created", 1, [ada, ben]);
    await world.settle();
    world.kernel.setDiskLow(true);
    await change("role", 2, [ada, ben]);
    for (let i = 0; i < 10; i++) world.later(300).turn();
    expect(ben.connection.groupLog).toEqual(["created 1"]);
    expect(world.store.settledGroup(GROUP)).toBeDefined();
    world.kernel.setDiskLow(false);
    world.later(300).turn();
    ada.sendToGroup(1, "after", at(2));
    await world.settle();
    expect(ben.connection.groupLog).toEqual(["created 1", "role 2", "after"]);
    expect(world.store.settledGroup(GROUP)).toBeUndefined();
  });

  it("of the last member's leaving goes to that account, and nobody sends to the group any more", async () => {
    const [ada] = await connected();
    await change("created", 1, [ada]);
    await world.settle();
    await change("left", 2, [], [ada]);
    world.turn();
    ada.sendToGroup(1, "anybody?", at(1)).sendToGroup(2, "anybody?", at(2));
    await world.settle();
    expect(ada.connection.groupLog).toEqual(["created 1", "left 2"]);
    expect(codesOf(ada)).toEqual([codes.groupUnknown.code, codes.groupUnknown.code]);
    expect(world.store.readGroup(GROUP)).toBeUndefined();
  });

  it("passes over a member whose brand nobody has configured any more", async () => {
    const [ada, ben] = await connected();
    await change("created", 1, [ada, world.device(9, 9), ben]);
    await world.settle();
    for (const { connection } of [ada, ben]) expect(connection.groupLog).toEqual(["created 1"]);
    expect(world.store.settledGroup(GROUP)).toBeUndefined();
  });

  it("is told to a member whose brand is configured when the node comes back from a crash in the midst of it", async () => {
    const [ada, ben, cleo] = await connected();
    // As if nobody had configured ada's brand: the node, whose row is the last, writes to the others alone.
    world.kernel.setCrossing(3, 0, "closed");
    world.isOutboxKept = true;
    await change("created", 1, [ada, ben, cleo]);
    await world.settle();
    expect(ada.connection.groupLog).toEqual([]);
    for (const { connection } of [ben, cleo]) expect(connection.groupLog).toEqual(["created 1"]);
    await reopen();
    const [again] = await connected();
    for (let i = 0; i < 3; i++) await world.settle();
    expect(again.connection.groupLog).toEqual(["created 1"]);
    expect(world.store.settledGroup(GROUP)).toBeUndefined();
  });
});

it("an event in several envelopes lets nobody send before the last of them is taken", async () => {
  layout = layouts[1][1];
  world = await World.open({ limits: { ...layout, noticesInFlightMax: 1 } });
  const [ada, ben, cleo] = await connected();
  world.holdCommits = true;
  await change("created", 1, [ada, ben, cleo]);
  for (let i = 1; i <= 3; i++) {
    ada.sendToGroup(i, "early", at(1));
    world.turn();
    expect(codesOf(ada)).toHaveLength(i);
    expect([ada, ben, cleo].filter(({ connection }) => connection.groupLog.length > 0)).toHaveLength(1);
  }
  world.holdCommits = false;
  for (const letGo of world.heldCommits.splice(0)) letGo();
  for (let i = 0; i < 5; i++) await world.settle();
  expect(new Set(codesOf(ada))).toEqual(new Set([codes.overloaded.code]));
  ada.sendToGroup(4, "now", at(1));
  await world.settle();
  for (const { connection } of [ben, cleo]) expect(connection.groupLog).toEqual(["created 1", "now"]);
});
