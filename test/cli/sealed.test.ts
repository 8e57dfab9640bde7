/** Delivery tokens, and sends whose sender the node does not know, from the command line. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { as, CliStage, printed, told } from "./cli-stage.js";

const HEX = /^[0-9a-f]{32}\n$/;

let stage: CliStage;
beforeAll(async () => {
  stage = await CliStage.open();
});
afterAll(() => stage.close());

const of = (verb: string, person: string, ...more: string[]) =>
  stage.run("delivery-token", verb, ...as(person), ...more);

/** The delivery token that the account has from now on. */
async function tokenOf(person: string): Promise<string> {
  return (await of("set", person)).out.trimEnd();
}

const sealed = (...more: string[]) => stage.run("send", "-b", "whatsapp", "--sealed", ...more);
const listen = (person: string, count: number, device = 1) =>
  stage.run("listen", ...as(person, device), "--count", `${count}`, "--timeout", "20s", "--json");
/** Without notices. */
const envelopes = (lines: Record<string, unknown>[]) => lines.filter((line) => "payload" in line);

describe("delivery-token", () => {
  test("is made, rotated with an overlap, and revoked, and the node's state is told", async () => {
    const who = "instagram/tara";
    expect((await of("show", who)).out).toBe("no sealed envelopes are taken\n");
    const made = await of("set", who);
    expect(made).toMatchObject({ code: 0, out: expect.stringMatching(HEX) });
    const rotated = await of("rotate", who, "--overlap", "2h", "--json");
    expect(rotated.json()).toEqual([
      {
        ok: true,
        deliveryToken: expect.stringMatching(/^[0-9a-f]{32}$/),
        isSet: true,
        previousForMs: expect.any(Number),
      },
    ]);
    expect((await of("show", who)).out).toMatch(
      /^sealed envelopes are taken; the one before is good for 1[12]\d minutes\n$/,
    );
    const given = "00112233445566778899aabbccddeeff";
    expect((await of("set", who, given)).out).toBe(`${given}\n`);
    expect((await of("revoke", who, "--json")).json()).toEqual([
      { ok: true, isSet: false, previousForMs: 0 },
    ]);
    expect((await of("show", who, "--json")).json()).toEqual([{ ok: true, isSet: false, previousForMs: 0 }]);
  });

  test("mistakes are told plainly", async () => {
    expect(told(await of("rotate", "instagram/none"))).toEqual({
      code: 1,
      says: expect.stringContaining('"interline delivery-token set"'),
    });
    for (const hex of ["00", "xyz", "00112233445566778899aabbccddeeff00"]) {
      expect(told(await of("set", "instagram/none", hex))).toEqual({
        code: 2,
        says: expect.stringContaining("32 hex digits"),
      });
    }
  });
});

describe("send --sealed", () => {
  test("reaches every device of the account, and says nothing of who sends", async () => {
    const token = await tokenOf("instagram/bob");
    await stage.registers(as("instagram/bob", 2));
    const sent = await sealed("--delivery-token", token, "-t", "instagram/bob", "-x", "guess who");
    expect(sent).toMatchObject({ code: 0, out: "accepted for 2 devices, sealed (durability: disk)\n" });
    for (const device of [1, 2]) {
      const got = envelopes((await listen("instagram/bob", 1, device)).json());
      expect(got).toMatchObject([{ from: null, text: "guess who" }]);
    }
    await sealed("--delivery-token", token, "-t", "instagram/bob", "-x", "for people");
    const shown = await stage.run("listen", ...as("instagram/bob"), "--count", "1", "--timeout", "20s");
    expect(shown.out).toMatch(/^\S+Z {2}sealed {2}for people$/m);
  });

  test("goes to several accounts, each with its own delivery token, or to none of them", async () => {
    const [tina, tom] = [await tokenOf("instagram/tina"), await tokenOf("messenger/tom")];
    const to = ["-t", "instagram/tina", "messenger/tom", "instagram/tina"];
    const sent = await sealed(...to, "--delivery-token", tina, tom, tina, "-x", "to two", "--json");
    expect(sent.json()).toMatchObject([
      {
        ...{ ok: true, durability: "disk", bytes: 6 },
        accounts: ["instagram/tina", "messenger/tom"].map((who) => ({ account: printed(who), devices: [1] })),
      },
    ]);
    const wrong = await sealed(...to.slice(0, 3), "--delivery-token", tina, tina, "-x", "to none", "--json");
    expect(wrong.json()).toEqual([
      {
        ok: false,
        error: {
          code: "deliveryTokenRefused",
          message: expect.stringContaining(`(${printed("messenger/tom")})`),
        },
      },
    ]);
    await sealed("-t", "instagram/tina", "--delivery-token", tina, "-x", "the last");
    expect(envelopes((await listen("instagram/tina", 2)).json())).toMatchObject([
      { text: "to two" },
      { text: "the last" },
    ]);
  });

  test("takes a token that names nobody, and uses none that names a device", async () => {
    const token = await tokenOf("messenger/uma");
    const send = (bearer: string) =>
      stage.run(
        "send",
        "--token",
        bearer,
        "--sealed",
        "--delivery-token",
        token,
        "-t",
        "messenger/uma",
        "-x",
        "a",
      );
    const anonymous = (await stage.run("token", "-b", "instagram", "--anonymous")).out.trim();
    expect(await send(anonymous)).toMatchObject({ code: 0 });
    const named = (await stage.run("token", "-b", "instagram", "-a", "vera")).out.trim();
    expect(told(await send(named))).toEqual({ code: 1, says: expect.stringContaining("names who sends") });
    expect(envelopes((await listen("messenger/uma", 1)).json())).toMatchObject([{ from: null, text: "a" }]);
  });

  test.each([
    ["no delivery token", ["--sealed", "-t", "instagram/bob"], "one --delivery-token for each --to"],
    [
      "fewer of them than accounts",
      ["--sealed", "-t", "instagram/a", "instagram/b", "--delivery-token", "00"],
      "for each --to",
    ],
    [
      "a delivery token without --sealed",
      ["-t", "instagram/bob", "--delivery-token", "00".repeat(16)],
      "wants --sealed",
    ],
    ["a group", ["--sealed", "-g", "whatsapp/0000"], "cannot be used with"],
    [
      "an account of its own",
      ["--sealed", "-a", "alice", "-t", "instagram/bob", "--delivery-token", "00".repeat(16)],
      "leave --account out",
    ],
  ])("with %s is a wrong command", async (_, more, says) => {
    const failure = told(await stage.run("send", "-b", "whatsapp", "-x", "a", ...more));
    expect(failure).toEqual({ code: 2, says: expect.stringContaining(says) });
  });

  test("with a delivery token that opens nothing is told so, whoever is meant", async () => {
    await stage.registers(as("instagram/closed"));
    for (const who of ["instagram/closed", "instagram/nobody-at-all"]) {
      const failure = await sealed("-t", who, "--delivery-token", "00".repeat(16), "-x", "a");
      expect(told(failure)).toEqual({ code: 1, says: expect.stringContaining("opens no such account") });
    }
  });
});
