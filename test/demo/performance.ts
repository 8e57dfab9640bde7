/**
 * Gives the story a stage and judges it afterwards: makes the directories, the
 * node and the company, sees to it that the play ends in time, lets the tally and
 * the search speak, and leaves nothing behind that was not asked for.
 */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DeviceAddress } from "../../src/base/address.js";
import { defaultTransport } from "../../src/client/default-transport.js";
import { Authorities } from "../ciphers/authorities.js";
import type { SignalCipher } from "../ciphers/signal-cipher.js";
import { freePort, NodeProcess } from "../support/node-process.js";
import { Company } from "./company.js";
import { countingTransport } from "./counting-transport.js";
import { Evidence } from "./evidence.js";
import type { World } from "./person-device.js";
import type { Play } from "./play.js";
import { Stage } from "./stage.js";
import { TokenMint } from "./token-mint.js";

/** Every other device may open a conversation with this one, and more than once when both open at the same moment. */
const ONE_TIME_KEY_COUNT = 24;
const PLAY_TIMEOUT_MS = 100_000;
/** When nothing has happened for so long, nothing will: what is still missing is lost. */
const STANDSTILL_MS = 10_000;

/** What `--json` prints. */
export interface Outcome {
  readonly ok: boolean;
  readonly seed: number;
  readonly sent: number;
  readonly receipted: number;
  /** Decryptions that had to happen, and that did. */
  readonly expected: number;
  readonly decrypted: number;
  /** Of them, of what was sent to groups. */
  readonly groupDecrypted: number;
  /** Messages that the state of a removed member's devices could read of what was sent to its group after; null without a removal. */
  readonly removedMemberCouldRead: number | null;
  /** Messages that a new device got from an old one of the same person. */
  readonly historyTransferred: number;
  /** Places where the node kept something of who sent sealed; null when nobody did. */
  readonly sealedSenderTraces: number | null;
  readonly missing: number;
  readonly duplicatesShown: number;
  /** Sends that went out again because of the kills, under the same id. */
  readonly sendsRepeated: number;
  /** Envelopes that came again in spite of the node's own memory, and were recognised by the clients. */
  readonly repeatsRecognised: number;
  readonly outOfOrder: number;
  /** Places where a plaintext was found; where a private key or a token was; account ids in the output. */
  readonly canariesFound: number;
  readonly secretsFound: number;
  readonly accountIdsInOutput: number;
  readonly bytesSearched: number;
  readonly kills: number;
  /** Sends refused because they left a new device out, and repaired. */
  readonly refusals: number;
  readonly elapsedMs: number;
  /** Everything that differs from what must be, in words. */
  readonly faults: readonly string[];
}

export interface PerformanceOptions {
  readonly seed: number;
  /** Whether the data directory and the node's output stay. */
  readonly keep: "always" | "whenWrong" | "never";
  readonly story: (play: Play) => Promise<void>;
  readonly print: (line: string) => void;
  /** The encryption of a device, when it is to be another than SealingSignalCipher as it is. */
  readonly makeCipher?: (address: DeviceAddress) => SignalCipher;
  /** What the node's process runs, when it is to be another than the built command line. */
  readonly script?: string;
}

export async function perform(options: PerformanceOptions): Promise<Outcome> {
  const startedMs = performance.now();
  const directory = await mkdtemp(join(tmpdir(), "interline-demo-"));
  const play = await makePlay(options, directory, startedMs);
  const curtain = setInterval(() => {
    const nowMs = performance.now();
    if (nowMs - startedMs > PLAY_TIMEOUT_MS) play.stage.end(new Error("the play took too long"));
    if (nowMs - play.stage.happenedMs > STANDSTILL_MS) play.stage.end(new Error("the play stands still"));
  }, 500);
  play.node.crashed.catch((error: Error) => play.stage.end(error));
  try {
    await options.story(play);
  } catch (error) {
    // A fault of the tally ends the play too, and says more than that it ended.
    if (play.stage.tally.faultCount === 0) play.stage.tally.fault(String(error));
    options.print(error instanceof Error ? (error.stack ?? error.message) : String(error));
  } finally {
    clearInterval(curtain);
    await clearStage(play);
  }
  const outcome = await judge(play, options.seed, startedMs);
  const isKept = options.keep === "always" || (options.keep === "whenWrong" && !outcome.ok);
  if (!isKept) await rm(directory, { recursive: true });
  else options.print(`The data directory and the node's output are in ${directory}.`);
  return outcome;
}

async function makePlay(options: PerformanceOptions, directory: string, startedMs: number): Promise<Play> {
  const dataDirectory = join(directory, "data");
  const outputDirectory = join(directory, "output");
  await Promise.all([dataDirectory, outputDirectory].map((each) => mkdir(each)));
  const node = new NodeProcess({
    dataDirectory,
    outputDirectory,
    port: await freePort(),
    // As talkative as it can be, for the search.
    serveArguments: ["--log-level", "trace"],
    ...(options.script !== undefined && { script: options.script }),
  });
  const stage = new Stage(options.seed);
  const evidence = new Evidence({ dataDirectory, outputDirectory, url: node.url, marker: stage.marker });
  const mint = new TokenMint(dataDirectory);
  const authorities = new Authorities();
  const world: World = {
    stage,
    url: node.url,
    transport: countingTransport(await defaultTransport(), {
      carriedOut: () => stage.departures++,
      carriedIn: () => stage.arrivals++,
    }),
    devices: new Map(),
    makeCipher: options.makeCipher ?? ((address) => authorities.cipher(address, ONE_TIME_KEY_COUNT)),
    mintToken: async (device) => {
      const token = await mint.token(device);
      evidence.addToken(token);
      return token;
    },
  };
  const company = new Company(world);
  const tell = (sentence: string) => {
    const seconds = (performance.now() - startedMs) / 1000;
    options.print(`${seconds.toFixed(1).padStart(6)} s  ${sentence}`);
  };
  return { stage, node, company, evidence, authorities, dataDirectory, tell, kills: 0 };
}

/** Whatever the story left running ends. */
async function clearStage({ company, node }: Play): Promise<void> {
  const online = company.devices.filter(({ isOnline }) => isOnline);
  await Promise.all(online.map((device) => device.goOffline()));
  if (node.pid !== undefined) await node.kill();
}

async function judge(
  { stage, company, evidence, kills }: Play,
  seed: number,
  startedMs: number,
): Promise<Outcome> {
  const { faults, ...counts } = stage.tally.judge();
  const { faults: found, ...findings } = await evidence.lookForEverything({
    secrets: company.devices.flatMap(({ secrets }) => secrets),
    accountIds: company.people.map(({ accountId }) => accountId),
  });
  const allFaults = [...faults, ...found, ...(kills === 0 ? ["the node was never killed"] : [])];
  return {
    seed,
    ...counts,
    groupDecrypted: stage.groupDecrypted,
    removedMemberCouldRead: stage.removedMemberCouldRead,
    historyTransferred: stage.historyTransferred,
    sealedSenderTraces: stage.sealedSenderTraces,
    ok: counts.ok && allFaults.length === 0,
    sendsRepeated: stage.departures - counts.sent - stage.refusals,
    repeatsRecognised: stage.arrivals - counts.decrypted - counts.duplicatesShown,
    ...findings,
    kills,
    refusals: stage.refusals,
    elapsedMs: Math.round(performance.now() - startedMs),
    faults: allFaults,
  };
}
