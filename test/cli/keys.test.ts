/** The key directory from the command line: what is uploaded is what is claimed, once. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { as, CliStage, printed, told } from "./cli-stage.js";

const ALICE = as("whatsapp/alice");

let stage: CliStage;
beforeAll(async () => {
  stage = await CliStage.open();
});
afterAll(() => stage.close());

/** A file of the stage's directory. */
function file(name: string, content: string | Uint8Array): string {
  const path = join(stage.directory, name);
  writeFileSync(path, content);
  return path;
}

const base64 = (text: string | Uint8Array): string => Buffer.from(text).toString("base64");
const keysFile = (name: string, keys: object): string => file(name, JSON.stringify(keys));
const keys = (verb: string, who: string[], ...more: string[]) => stage.run("keys", verb, ...who, ...more);

describe("keys", () => {
  test("are uploaded from files and from JSON, counted, claimed once each, and compared", async () => {
    const bob = as("instagram/bob");
    // As long as a Kyber key: longer than a line.
    const identity = Uint8Array.from({ length: 1_569 }, (_, i) => i);
    const records = {
      identity: [{ id: 7, key: base64(identity) }],
      signedPreKey: [{ id: 1, key: base64("signed") }],
      preKey: [1, 2].map((id) => ({ id, key: base64(`one-time ${id}`) })),
      lastResortKyber: [{ id: 1, key: base64("last resort") }],
    };
    const { identity: _, ...rest } = records;
    const word = `identity:7=${file("identity.key", identity)}`;
    const uploaded = await keys("upload", bob, word, "--from", keysFile("rest.json", rest), "--json");
    expect(uploaded.json()).toMatchObject([
      {
        ok: true,
        stocks: {
          identity: { count: 1 },
          signedPreKey: { count: 1 },
          preKey: { count: 2, claimedThrough: 0 },
        },
      },
    ]);
    const claimed = await keys("claim", ALICE, "instagram/bob/1", "--suite", "signal", "--json");
    expect(claimed.json()).toEqual([
      {
        ...{ ok: true, device: `${printed("instagram/bob")}/1`, isLastResort: true },
        identity: records.identity[0],
        signedPreKey: records.signedPreKey[0],
        preKey: records.preKey[0],
        kyberPreKey: records.lastResortKyber[0],
      },
    ]);
    const shown = await keys("claim", ALICE, "instagram/bob/1", "--suite", "signal");
    expect(shown.err).toContain("the last resort is in it");
    const lines = shown.out.trimEnd().split("\n");
    expect(lines[0]).toBe("identity 7, 1569 bytes:");
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(100);
    const body = lines.slice(1, lines.indexOf("signedPreKey 1, 6 bytes:")).map((line) => line.trim());
    expect(base64(identity)).toBe(body.join(""));
    expect(lines).toContain("preKey 2, 10 bytes:");

    const stock = (await keys("stock", bob)).out.split("\n");
    expect(stock[0]).toMatch(/^kind +keys +handed out up to id$/);
    expect(stock.find((line) => line.startsWith("preKey"))).toMatch(/^preKey +0 +2$/);
    const same = await keys("digest", bob, "--from", keysFile("records.json", records));
    expect(same).toMatchObject({ code: 0, out: "the node holds what the file lists\n" });
    const other = { ...records, signedPreKey: [{ id: 1, key: base64("forged") }] };
    const differs = await keys("digest", bob, "--from", keysFile("other.json", other), "--json");
    expect(differs.code).toBe(1);
    expect(differs.json()).toEqual([{ ok: false, differing: ["signedPreKey"] }]);
    expect((await keys("digest", bob, "--json")).json()).toMatchObject([
      {
        ok: true,
        kinds: { preKey: { count: 0, claimedThrough: 2, digest: expect.stringMatching(/^[0-9a-f]{64}$/) } },
      },
    ]);
    const digests = (await keys("digest", bob)).out.trimEnd().split("\n");
    expect(digests).toHaveLength(8);
    expect(Math.max(...digests.map((line) => line.length))).toBeLessThanOrEqual(100);
  });

  test("are claimed by somebody who is not named, with the account's delivery token", async () => {
    const tom = as("messenger/tom");
    await keys("upload", tom, `keyPackage:1=${file("package", "package")}`);
    const token = (await stage.run("delivery-token", "set", ...tom)).out.trimEnd();
    const claim = (hex: string) =>
      keys(
        "claim",
        ["-b", "whatsapp"],
        "--sealed",
        "--delivery-token",
        hex,
        "messenger/tom/1",
        "--suite",
        "mls",
        "--json",
      );
    expect((await claim("00".repeat(16))).json()).toMatchObject([
      { error: { code: "deliveryTokenRefused" } },
    ]);
    expect((await claim(token)).json()).toMatchObject([
      { ok: true, keyPackage: { id: 1, key: base64("package") } },
    ]);
    expect((await claim(token)).json()).toMatchObject([{ ok: false, error: { code: "keysMissing" } }]);
  });

  test("more claims than are allowed are told when to come back", async () => {
    const uma = as("messenger/uma");
    await keys("upload", uma, `lastResortKeyPackage:1=${file("last", "last")}`);
    const claim = () => keys("claim", ALICE, "messenger/uma/1", "--suite", "mls");
    for (let i = 0; i < 6; i++) expect(await claim()).toMatchObject({ code: 0 });
    expect(told(await claim())).toEqual({ code: 1, says: expect.stringMatching(/try again in \d+ s/) });
  });

  test.each([
    ["no keys", ["upload"], 2, "kind:id=file, or --from"],
    ["a kind that there is not", ["upload", "king:1=README.md"], 2, "there are identity, signedPreKey"],
    ["a word that is none", ["upload", "identity"], 2, "expected kind:id=file"],
    ["a file that is not there", ["upload", "identity:1=nowhere"], 1, "nowhere cannot be read"],
    ["keys of nobody", ["claim", "instagram/nobody/1", "--suite", "mls"], 1, "is not registered"],
    [
      "keys of no device",
      ["claim", "instagram/nobody", "--suite", "mls"],
      2,
      "expected brand/account/device",
    ],
    ["no suite", ["claim", "instagram/nobody/1"], 2, "--suite"],
    [
      "a sealed claim without a token",
      ["claim", "instagram/b/1", "--suite", "mls", "--sealed"],
      2,
      "--delivery-token",
    ],
  ])("%s is told plainly", async (_, [verb = "", ...more], code, says) => {
    expect(told(await keys(verb, ALICE, ...more))).toEqual({ code, says: expect.stringContaining(says) });
  });

  test.each([
    ["no JSON", "{"],
    ["a list", "[]"],
    ["a kind that is no list", '{"identity":{"id":1,"key":"AA=="}}'],
    ["a key that is not base64", '{"identity":[{"id":1,"key":"not base64!"}]}'],
    ["an id that is no number", '{"identity":[{"id":"1","key":"AA=="}]}'],
  ])("a file with %s is refused, and nothing of it is uploaded", async (_, text) => {
    const failure = told(await keys("upload", ALICE, "--from", file("bad.json", text)));
    expect(failure).toEqual({ code: 2, says: expect.stringContaining("holds no keys") });
  });
});
