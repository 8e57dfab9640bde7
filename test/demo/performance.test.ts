/**
 * The demonstration must not only succeed: it must fail when something
 * differs. Real nodes, short stories.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { SignalCipher } from "../ciphers/signal-cipher.js";
import { buildMutant } from "../support/mutant.js";
import { aGroupIsMade, somebodyIsRemoved } from "./group-scenes.js";
import { aNewDeviceGetsTheHistory, type Keep } from "./history-scene.js";
import { type PerformanceOptions, perform } from "./performance.js";
import type { Play } from "./play.js";
import { everybodyGreetsEverybody, everybodySignsIn, theNodeStarts, theNodeStops } from "./scenes.js";
import { somebodySealedWrites } from "./sealed-scene.js";

interface Spoilers {
  readonly beforeTheEnd?: (play: Play) => void;
  readonly afterTheEnd?: (play: Play) => Promise<void>;
}

/** A story with one kill in a quiet moment, and one thing wrong with it. */
function performShort({ beforeTheEnd, afterTheEnd }: Spoilers = {}) {
  const story = async (play: Play) => {
    await theNodeStarts(play);
    await everybodySignsIn(play);
    await everybodyGreetsEverybody(play);
    await play.node.kill();
    play.kills++;
    await play.node.start();
    beforeTheEnd?.(play);
    await theNodeStops(play);
    await afterTheEnd?.(play);
  };
  return perform({ seed: 1, keep: "never", story, print: () => {} });
}

test("a short story in which nothing goes wrong is right", async () => {
  const outcome = await performShort();
  expect(outcome.faults).toEqual([]);
  expect(outcome).toMatchObject({ ok: true, kills: 1, duplicatesShown: 0, canariesFound: 0 });
  expect(outcome.decrypted).toBe(outcome.expected);
  expect(outcome.decrypted).toBeGreaterThan(outcome.sent);
});

test("a node that does not come up is told as what it is", async () => {
  const story = async (play: Play) => {
    await writeFile(join(play.dataDirectory, "development-brands.json"), "not what a node wrote");
    await theNodeStarts(play);
  };
  const { ok, faults } = await perform({ seed: 1, keep: "never", story, print: () => {} });
  expect(ok).toBe(false);
  expect(faults[0]).toContain("the node ended by itself");
});

test("a plaintext in the node's output is found", async () => {
  const outcome = await performShort({
    afterTheEnd: ({ node, stage }) =>
      writeFile(node.outputFiles[1], `payload: ${Buffer.from(stage.newText("yes")).toString("base64")}`),
  });
  expect(outcome, outcome.faults.join("\n")).toMatchObject({ ok: false, canariesFound: 1 });
});

test("a device's private key in the data directory is found", async () => {
  const outcome = await performShort({
    afterTheEnd: ({ company, dataDirectory }) =>
      writeFile(join(dataDirectory, "keys"), company.devices[3]?.secrets[0] ?? ""),
  });
  expect(outcome, outcome.faults.join("\n")).toMatchObject({ ok: false, secretsFound: 1, canariesFound: 0 });
});

/** A group of which one member is removed, with the encryption as it is or with another. */
function performRemoval(makeCipher?: PerformanceOptions["makeCipher"]) {
  const story = async (play: Play) => {
    await theNodeStarts(play);
    await everybodySignsIn(play);
    const circle = await aGroupIsMade(play, "Bo", ["Chi", "Dov"]);
    await somebodyIsRemoved(play, circle, "Dov");
    await theNodeStops(play);
  };
  return perform({ seed: 1, keep: "never", story, print: () => {}, ...(makeCipher && { makeCipher }) });
}

test("a removed member reads nothing, and it is seen when it can", async () => {
  const outcome = await performRemoval();
  expect(outcome, outcome.faults.join("\n")).toMatchObject({ ok: true, kills: 1, removedMemberCouldRead: 0 });
  expect(outcome.groupDecrypted).toBeGreaterThan(100);
  class Careless extends SignalCipher {
    protected override mustReplace(): boolean {
      return false;
    }
  }
  const careless = await performRemoval((address) => new Careless(address, 24));
  expect(careless.ok).toBe(false);
  expect(careless.removedMemberCouldRead).toBeGreaterThan(50);
});

/** Everybody signs in, and then there is one scene. */
function performScene(scene: (play: Play) => Promise<void>, script?: string) {
  const story = async (play: Play) => {
    await theNodeStarts(play);
    await everybodySignsIn(play);
    await everybodyGreetsEverybody(play);
    await scene(play);
    await theNodeStops(play);
  };
  return perform({ seed: 1, keep: "never", story, print: () => {}, ...(script !== undefined && { script }) });
}

test("a new device gets the history, and it is seen when it gets another", async () => {
  const labels = { old: "phone", anew: "tablet" };
  const outcome = await performScene((play) => aNewDeviceGetsTheHistory(play, "Chi", labels));
  expect(outcome, outcome.faults.join("\n")).toMatchObject({ ok: true, kills: 1 });
  expect(outcome.historyTransferred).toBeGreaterThan(10);
  // One byte in the middle of it.
  const careless: Keep = ({ offset, bytes }) =>
    bytes.map((byte, i) => (offset + i === 1_000_000 ? byte ^ 1 : byte));
  const wrong = await performScene((play) => aNewDeviceGetsTheHistory(play, "Chi", labels, careless));
  expect(wrong).toMatchObject({ ok: false, historyTransferred: 0 });
  expect(wrong.faults.join()).toContain("another history");
});

test("nothing is kept of who writes sealed, and it is seen when something is", async () => {
  const scene = (play: Play) =>
    somebodySealedWrites(
      play,
      { alone: "Chi", together: "Dov" },
      play.company.person("Chi").device("tablet"),
    );
  const outcome = await performScene(scene);
  expect(outcome, outcome.faults.join("\n")).toMatchObject({ ok: true, kills: 1, sealedSenderTraces: 0 });
  for (const name of ["sealedIdKept", "sealedSharedIdKept"] as const) {
    const mutant = buildMutant(name);
    try {
      const wrong = await performScene(scene, join(mutant.build, "src/cli/main.js"));
      expect(wrong.ok, name).toBe(false);
      expect(wrong.sealedSenderTraces, name).toBeGreaterThan(0);
    } finally {
      mutant.remove();
    }
  }
});

test("a message that a device should have read and did not is missed", async () => {
  const outcome = await performShort({
    beforeTheEnd: ({ stage, company }) => {
      const text = stage.newText("nobody sent this");
      stage.tally.written(text, company.devices[0]?.name ?? "", [company.devices[1]?.name ?? ""]);
      stage.tally.receipted(text);
    },
  });
  expect(outcome, outcome.faults.join("\n")).toMatchObject({ ok: false, missing: 1, canariesFound: 0 });
});
