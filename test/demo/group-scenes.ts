/**
 * The scenes with a group: people of three brands, one of whom is removed.
 *
 * What the removed one could read is measured by trying. The thief has the whole state of its devices, from right
 * before the removal and from the end, and everything that any device of the group was ever handed: shared parts and
 * everybody's blocks. What the node has on its disk are the same bytes, of which the scene assures itself. That the
 * attempt can succeed is shown with what was sent before: there it must.
 */
import { toHex } from "../../src/base/bytes.js";
import type { GroupEnvelope } from "../../src/client/encrypted-client.js";
import { readWith } from "../ciphers/parties.js";
import type { SignalCipher } from "../ciphers/signal-cipher.js";
import { Circle } from "./circle.js";
import type { Person } from "./person.js";
import type { PersonDevice } from "./person-device.js";
import type { Play } from "./play.js";
import { holdToTheEnd, theNodeIsKilledWhen } from "./scenes.js";

const FEW_LINES = 24;
const MANY_LINES = 80;

export async function aGroupIsMade(play: Play, adminName: string, names: readonly string[]): Promise<Circle> {
  const { company, stage, tell } = play;
  const admin = company.person(adminName);
  const others = names.map((name) => company.person(name));
  const { group } = await stage.orEnd(
    deviceOf(admin).encrypted.groups.create(others.map(({ account }) => account)),
  );
  const circle = new Circle(group, [admin, ...others]);
  const before = stage.ciphertexts;
  await holdToTheEnd(play, company.roundIn(circle));
  tell(
    `${admin.name} makes a group of ${circle.members.length} people of three brands. Each of their ${circle.devices.length} devices writes: ${stage.ciphertexts - before} ciphertexts, its sender key to each of the others among them.`,
  );
  return circle;
}

export async function theNodeIsKilledAmidTheGroup(
  play: Play,
  circle: Circle,
  absent: PersonDevice,
): Promise<void> {
  const { company, stage, tell } = play;
  await stage.orEnd(absent.goOffline());
  await theNodeIsKilledWhen(
    "a message for an absent device is receipted",
    play,
    absent,
    company.chatterIn(circle, MANY_LINES),
  );
  await stage.orEnd(absent.goOnline());
  await stage.until(() => company.isSettled);
  tell(`${absent.name} comes back and reads what the group wrote, each message encrypted once for all.`);
}

export async function somebodyIsAdded(play: Play, circle: Circle, name: string): Promise<void> {
  const { company, stage, tell } = play;
  const person = company.person(name);
  const before = stage.overheard.length;
  const newcomers = person.devices.map((device) => device.stolenState());
  await stage.orEnd(adminOf(circle).encrypted.groups.add(circle.address, [person.account]));
  circle.members.push(person);
  await holdToTheEnd(play, company.roundIn(circle));
  const read = await readAll(
    person.devices.map((device) => device.stolenState()).concat(newcomers),
    stage.overheard.slice(0, before),
  );
  if (read > 0) stage.tally.fault(`${name} could read ${read} messages from before`);
  tell(`${name} is added, and reads what is written from then on.`);
}

export async function somebodyIsRemoved(play: Play, circle: Circle, name: string): Promise<void> {
  const { company, stage, tell } = play;
  const person = company.person(name);
  const asleep = person.devices.at(-1) as PersonDevice;
  await stage.orEnd(asleep.goOffline());
  await holdToTheEnd(play, company.chatterIn(circle, FEW_LINES));
  const atRemoval = person.devices.map((device) => device.stolenState());
  const { version } = await stage.orEnd(
    adminOf(circle).encrypted.groups.remove(circle.address, [person.account]),
  );
  circle.members.splice(circle.members.indexOf(person), 1);
  const absent = circle.devices.at(-1) as PersonDevice;
  await stage.orEnd(absent.goOffline());
  await theNodeIsKilledWhen(
    "a message for an absent device is receipted",
    play,
    absent,
    company.chatterIn(circle, MANY_LINES),
  );
  await stage.orEnd(Promise.all([absent.goOnline(), asleep.goOnline()]));
  await stage.until(() => company.isSettled);
  const states = [...atRemoval, ...person.devices.map((device) => device.stolenState())];
  const before = stage.overheard.filter((envelope) => isOf(circle, envelope) && envelope.version < version);
  const after = stage.overheard.filter((envelope) => isOf(circle, envelope) && envelope.version >= version);
  const readBefore = await readAll(states, before);
  const readAfter = await readAll(states, after);
  if (readBefore === 0) stage.tally.fault("the thief could not even read what was sent before");
  if (after.length === 0) stage.tally.fault("nothing was sent after the removal");
  if (readAfter > 0) stage.tally.fault(`${name} could read ${readAfter} messages sent after the removal`);
  stage.removedMemberCouldRead = (stage.removedMemberCouldRead ?? 0) + readAfter;
  stage.happened();
  const messages = new Set(after.map(({ shared }) => toHex(shared))).size;
  tell(
    `${name} is removed. With the state of ${states.length / 2} devices and all ${after.length} frames of the others: ${readBefore} messages from before can be read, ${readAfter} of the ${messages} sent after.`,
  );
}

async function readAll(
  states: readonly SignalCipher[],
  envelopes: readonly GroupEnvelope[],
): Promise<number> {
  const texts = new Set<string>();
  for (const state of states) for (const text of await readWith(state, envelopes)) texts.add(text);
  return texts.size;
}

function isOf(circle: Circle, { address }: GroupEnvelope): boolean {
  return toHex(address) === toHex(circle.address);
}

function adminOf({ members }: Circle): PersonDevice {
  return deviceOf(members[0] as Person);
}

function deviceOf(person: Person): PersonDevice {
  const device = person.devices.find(({ isOnline }) => isOnline);
  if (device === undefined) throw new Error(`no device of ${person.name} is online`);
  return device;
}
