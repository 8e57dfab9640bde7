/**
 * `npm run demo`: people of three brands write to each other, end-to-end
 * encrypted, through one node that is killed again and again in the middle.
 *
 * Everything is real: the node is a process of its own with its data in a
 * directory, keys and ciphertexts are libsignal's, kills are SIGKILL. A group of
 * three brands talks with sender keys, and who is removed from it must be able to
 * read nothing that is sent after, with all that the others were given. A new
 * device gets an old one's history, and somebody writes whom the node cannot name. In the
 * end every message must have been decrypted exactly once by every device it was
 * for, and nothing the node wrote, in its database or its output, may hold a
 * plaintext, a device's private key or a token.
 *
 *   --seed N    repeat a run's choices: who writes to whom, when the node is killed
 *   --json      print one JSON object as the last line
 *   --keep      keep the data directory and the node's output even when all went well
 *
 * Exit code: 0 when all is as it must be, 1 when anything differs, 2 for bad arguments.
 */
import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import * as group from "./group-scenes.js";
import { aNewDeviceGetsTheHistory } from "./history-scene.js";
import { type Outcome, perform } from "./performance.js";
import type { Play } from "./play.js";
import * as scene from "./scenes.js";
import { somebodySealedWrites } from "./sealed-scene.js";

const SEED_MAX = 0xffff_ffff;
const FAULTS_SHOWN_MAX = 20;

async function story(play: Play): Promise<void> {
  await scene.theNodeStarts(play);
  await scene.everybodySignsIn(play);
  const tablet = play.company.person("Chi").device("tablet");
  await scene.everybodyGreetsEverybody(play);
  await scene.aDeviceGoesOffline(play, tablet);
  await scene.theNodeIsKilledWhen("a message for an absent device is receipted", play, tablet);
  await scene.somebodyGetsANewDevice(play, "Dov", "tablet");
  await scene.theNodeIsKilledWhen("a message has arrived that has no receipt yet", play, tablet);
  await scene.theAbsentDeviceComesBack(play, tablet);
  await scene.everybodyReconnects(play);
  const circle = await group.aGroupIsMade(play, "WhatsApp's Ana", ["Instagram's Ana", "Chi", "Dov", "Eve"]);
  await group.theNodeIsKilledAmidTheGroup(play, circle, tablet);
  await group.somebodyIsAdded(play, circle, "Bo");
  await group.somebodyIsRemoved(play, circle, "Eve");
  await aNewDeviceGetsTheHistory(play, "Dov", { old: "phone", anew: "tablet" });
  await somebodySealedWrites(play, { alone: "Chi", together: "Dov" }, tablet);
  await scene.theNodeStops(play);
}

function readArguments(): { seed: number; json: boolean; keep: "always" | "whenWrong" } {
  try {
    const { values } = parseArgs({
      options: { seed: { type: "string" }, json: { type: "boolean" }, keep: { type: "boolean" } },
    });
    const seed = values.seed === undefined ? randomInt(SEED_MAX) : Number(values.seed);
    if (!Number.isInteger(seed) || seed < 0 || seed > SEED_MAX)
      throw new Error("a seed is a number from 0 to 2^32 - 1");
    return { seed, json: values.json ?? false, keep: values.keep ? "always" : "whenWrong" };
  } catch (error) {
    console.error(
      `${error instanceof Error ? error.message : error}\nusage: npm run demo -- [--seed N] [--json] [--keep]`,
    );
    process.exit(2);
  }
}

function tellOutcome(outcome: Outcome): void {
  if (!outcome.ok) {
    console.log("Something differs:");
    for (const fault of outcome.faults.slice(0, FAULTS_SHOWN_MAX)) console.log(`  ${fault}`);
    const more = outcome.faults.length - FAULTS_SHOWN_MAX;
    if (more > 0) console.log(`  … and ${more} more`);
    console.log(`Repeat the choices of this run with --seed ${outcome.seed}.`);
    return;
  }
  const mebibytes = (outcome.bytesSearched / 2 ** 20).toFixed(1);
  console.log(`All is as it must be, through ${outcome.kills} kills:
  ${outcome.sent} messages, ${outcome.receipted} receipted on disk
  ${outcome.decrypted} decryptions: each message exactly once by every device it was for
  ${outcome.groupDecrypted} of them of what was sent to a group; its removed member could read ${outcome.removedMemberCouldRead} of what was sent after
  ${outcome.historyTransferred} messages handed to a new device by an old one; ${outcome.sealedSenderTraces} traces of who sent sealed
  ${outcome.sendsRepeated} sends were repeated, ${outcome.repeatsRecognised} envelopes came again, ${outcome.duplicatesShown} were shown twice
  ${mebibytes} MiB searched that the node wrote: no plaintext, no private key, no token`);
}

const { seed, json, keep } = readArguments();
console.log(`Interline, end to end encrypted (seed ${seed})`);
const outcome = await perform({ seed, keep, story, print: (line) => console.log(line) });
tellOutcome(outcome);
if (json) console.log(JSON.stringify(outcome));
process.exitCode = outcome.ok ? 0 : 1;
