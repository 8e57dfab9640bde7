/** The scenes of the story, one function each, in the order in which main.ts plays them. */
import { formatAddress } from "../../src/base/address.js";
import type { Line } from "./company.js";
import { told } from "./evidence.js";
import type { PersonDevice } from "./person-device.js";
import type { Play } from "./play.js";

const FEW_LINES = 40;
const MANY_LINES = 320;
/** So many sends must be in flight for a kill to prove something. */
const IN_FLIGHT_AT_KILL_MIN = 3;

export async function theNodeStarts({ node, stage, tell }: Play): Promise<void> {
  const readyMs = await node.start();
  stage.happened();
  tell(`A node starts on an empty directory, as process ${node.pid}: ready in ${Math.round(readyMs)} ms.`);
}

export async function everybodySignsIn({ company, stage, tell }: Play): Promise<void> {
  await stage.orEnd(company.signIn());
  const { people, devices } = company;
  tell(
    `${people.length} people of three brands sign in with ${devices.length} devices. Two of them have the same account id.`,
  );
}

/** Opening messages (PQXDH) in every direction between the brands, then answers that turn the ratchets. */
export async function everybodyGreetsEverybody(play: Play): Promise<void> {
  const { company, stage, tell } = play;
  const lines = [...company.greetings(), ...company.chatter(FEW_LINES)];
  await holdToTheEnd(play, lines);
  tell(
    `Everybody writes to everybody, within and across brands: ${lines.length} messages, ${stage.ciphertexts} ciphertexts.`,
  );
}

/** In the middle of a conversation; from now on what is for the device waits at the node. */
export async function aDeviceGoesOffline(play: Play, absent: PersonDevice): Promise<void> {
  const { company, stage, tell } = play;
  const lines = company.chatter(FEW_LINES).filter(({ from }) => from !== absent);
  const conversation = stage.orEnd(company.hold(lines));
  await stage.until(() => stage.inFlight > 0);
  await stage.orEnd(absent.goOffline());
  await conversation;
  await holdToTheEnd(play, company.greetingsTo(absent.owner));
  tell(`${absent.name} goes offline in the middle of a conversation. ${waitingFor(play, absent)} for it.`);
}

/** The events in which the node is killed. Each names the promise that it puts to the test. */
const killMoments = {
  /** What has a receipt is on disk. */
  "a message for an absent device is receipted": ({ stage }: Play, absent: PersonDevice) =>
    stage.latestReceipted?.has(formatAddress(absent.address)) === true,
  /** What has arrived before its receipt came is sent again by its writer, and nobody is shown it twice. */
  "a message has arrived that has no receipt yet": ({ stage }: Play) =>
    stage.latestArrived !== undefined && !stage.tally.isReceipted(stage.latestArrived),
} as const;

/**
 * SIGKILL in the very event of that moment, after a number of receipts that the
 * seed chooses and with other sends in flight. The conversation does not stop
 * for it: what is written while the node is gone waits in the clients. What the
 * dead node left behind is searched before it starts again on it.
 */
export async function theNodeIsKilledWhen(
  moment: keyof typeof killMoments,
  play: Play,
  absent: PersonDevice,
  lines: readonly Line[] = play.company.chatter(MANY_LINES),
): Promise<void> {
  const { company, node, stage, tell } = play;
  const killAtReceipts = stage.receipts + stage.random.between(lines.length / 8, lines.length / 2);
  const killed = stage.when(
    () =>
      stage.receipts >= killAtReceipts &&
      stage.inFlight >= IN_FLIGHT_AT_KILL_MIN &&
      killMoments[moment](play, absent),
    () => {
      const gone = node.kill();
      play.kills++;
      tell(`SIGKILL the moment ${moment}, with ${stage.inFlight} sends in flight. Nobody stops writing.`);
      return gone;
    },
  );
  const conversation = stage.orEnd(company.hold(lines));
  await killed;
  await searchWhatIsLeft(play, absent);
  const readyMs = await node.start();
  stage.happened();
  tell(`The node starts again on what is left, as process ${node.pid}: ready in ${Math.round(readyMs)} ms.`);
  await conversation;
  await stage.until(() => company.isSettled);
  tell(`Everything in flight has arrived. ${waitingFor(play, absent)} for ${absent.name}.`);
}

/** Whoever wrote to its owner before knows nothing of the new device: the node must refuse to leave it out. */
export async function somebodyGetsANewDevice(play: Play, ownerName: string, label: string): Promise<void> {
  const { company, stage, tell } = play;
  const owner = company.person(ownerName);
  const device = await stage.orEnd(owner.addDevice(label));
  const refusedBefore = stage.refusals;
  await holdToTheEnd(play, company.greetingsTo(owner));
  const refused = stage.refusals - refusedBefore;
  if (refused === 0) stage.tally.fault(`${device.name} was new, and no send was refused for leaving it out`);
  tell(`${device.name} is new: ${refused} sends leave it out, are refused whole, repaired and sent again.`);
}

export async function theAbsentDeviceComesBack(play: Play, absent: PersonDevice): Promise<void> {
  const { company, stage, tell } = play;
  const waiting = stage.tally.outstandingOf(absent.name);
  if (waiting === 0) stage.tally.fault(`nothing waited for ${absent.name}`);
  await stage.orEnd(absent.goOnline());
  await stage.until(() => company.isSettled);
  tell(`${absent.name} comes back and reads all ${waiting}, in order, through both crashes.`);
  await holdToTheEnd(play, company.greetings());
}

/** Every app is ended and started again: what was read must not come a second time. */
export async function everybodyReconnects(play: Play): Promise<void> {
  const { company, stage, tell } = play;
  await stage.orEnd(Promise.all(company.devices.map((device) => device.goOffline())));
  await stage.orEnd(Promise.all(company.devices.map((device) => device.goOnline())));
  await holdToTheEnd(play, company.greetings());
  tell(`All ${company.devices.length} devices restart their apps. Nothing is shown a second time.`);
}

export async function theNodeStops(play: Play): Promise<void> {
  const { company, node, stage, tell } = play;
  await stage.orEnd(Promise.all(company.devices.map((device) => device.goOffline())));
  const { code, signal } = await node.stop();
  if (code !== 0)
    stage.tally.fault(`the node ended with ${signal ?? `exit code ${code}`} when asked to stop`);
  tell("Everybody leaves, and the node stops.");
}

export async function holdToTheEnd({ company, stage }: Play, lines: readonly Line[]): Promise<void> {
  await stage.orEnd(company.hold(lines));
  await stage.until(() => company.isSettled);
}

/** The receipted ciphertext that the absent device has not fetched yet must be there; no plaintext may. */
async function searchWhatIsLeft({ evidence, stage, tell }: Play, absent: PersonDevice): Promise<void> {
  const ciphertext = stage.receiptedCiphertexts.get(formatAddress(absent.address));
  if (ciphertext === undefined) throw new Error(`nothing was ever written to ${absent.name}`);
  const { bytesSearched, forbiddenFound, knownMissing } = await evidence.lookForPlaintext(ciphertext);
  for (const sentence of told(forbiddenFound)) stage.tally.fault(sentence);
  for (const name of knownMissing) stage.tally.fault(`the dead node does not have ${name}`);
  stage.happened();
  const mebibytes = (bytesSearched / 2 ** 20).toFixed(1);
  tell(
    `In ${mebibytes} MiB that the dead node left: the ciphertext that ${absent.name} waits for, and no plaintext.`,
  );
}

function waitingFor({ stage }: Play, absent: PersonDevice): string {
  return `${stage.tally.outstandingOf(absent.name)} messages wait`;
}
