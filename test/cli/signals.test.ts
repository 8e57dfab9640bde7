/** Agreements, signals and presence, from the command line. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { as, CliStage, printed, told } from "./cli-stage.js";

const LIMITS = { presenceOnlineMs: 20, presenceOfflineMs: 60, presenceTickMs: 10 };

let stage: CliStage;
beforeAll(async () => {
  stage = await CliStage.open({ limits: LIMITS });
});
afterAll(() => stage.close());

const contact = (verb: string, person: string, ...more: string[]) =>
  stage.run("contact", verb, ...as(person), ...more);
const signal = (person: string, ...more: string[]) => stage.run("signal", ...as(person), ...more);

/** Two people who have agreed to everything. */
async function pair(name: string): Promise<[string, string]> {
  const [one, other] = [`whatsapp/${name}`, `instagram/${name}`] as [string, string];
  await contact("allow", one, other);
  await contact("allow", other, one);
  return [one, other];
}

/** Repeats a signal, which is lost while nobody is there, until the listener has ended. */
async function until(outcome: Promise<unknown>, send: () => Promise<unknown>): Promise<void> {
  let hasEnded = false;
  void outcome.finally(() => {
    hasEnded = true;
  });
  while (!hasEnded) await send();
}

describe("contact", () => {
  test("agreements are given, listed and taken back, whole or in part", async () => {
    const [alice, bob] = ["whatsapp/alice", "instagram/bob"] as const;
    expect((await contact("allow", alice, bob)).out).toBe("signals and presence: agreed\n");
    expect((await contact("allow", alice, "messenger/carol", "--signals", "--json")).json()).toEqual([
      { ok: true, account: printed("messenger/carol"), allow: ["signals"] },
    ]);
    expect((await contact("withdraw", alice, bob, "--presence")).out).toBe("presence: taken back\n");
    await contact("allow", alice, bob, "--presence");
    const [head, ...rows] = (await contact("list", alice)).out.trimEnd().split("\n");
    expect(head).toMatch(/^account +agreed to$/);
    expect(rows.sort()).toEqual(
      [`${printed(bob)}  signals and presence`, `${printed("messenger/carol")}  signals`].sort(),
    );
    await contact("withdraw", alice, bob);
    expect((await contact("list", alice, "--json")).json()).toEqual([
      { ok: true, agreements: [{ account: printed("messenger/carol"), signals: true, presence: false }] },
    ]);
  });

  test.each([
    ["nobody", [], 2, "missing required argument"],
    ["no account", ["bob"], 2, "expected brand/account"],
    ["oneself", ["whatsapp/alice"], 1, "with itself"],
  ])("with %s is told plainly", async (_, more, code, says) => {
    expect(told(await contact("allow", "whatsapp/alice", ...more))).toEqual({
      code,
      says: expect.stringContaining(says),
    });
  });
});

describe("signal", () => {
  test("comes to whoever is connected and has agreed, and only where it was asked for", async () => {
    const [ann, ben] = await pair("typing");
    const listening = stage.start("listen", ...as(ben), "--signals", "--count", "1", "--timeout", "20s");
    await stage.registers(as(ben, 2));
    const deaf = stage.start("listen", ...as(ben, 2), "--count", "1", "--timeout", "20s", "--json");
    await expect.poll(() => stage.node.stats().connections, { timeout: 10_000 }).toBe(2);
    await until(listening.outcome, () => signal(ann, "-t", ben, "-x", "typing"));
    expect((await listening.outcome).out).toMatch(
      new RegExp(`^\\S+Z  ${printed(ann)}/1  signal: typing\n$`, "m"),
    );
    await stage.run("send", ...as(ann), "-t", ben, "-x", "the envelope");
    const lines = (await deaf.outcome).json().filter((line) => !("notice" in line));
    expect(lines).toMatchObject([{ text: "the envelope" }]);
  });

  test("comes to the members of a group, without an agreement", async () => {
    await stage.registers(as("messenger/gus"));
    const created = await stage.run("group", "create", ...as("whatsapp/gina"), "messenger/gus");
    const group = created.out.trimEnd();
    const listening = stage.start(
      "listen",
      ...as("messenger/gus"),
      "--signals",
      "--count",
      "1",
      "--timeout",
      "20s",
      "--json",
    );
    await until(listening.outcome, () => signal("whatsapp/gina", "-g", group, "-x", "reading"));
    const last = (await listening.outcome).json().at(-1);
    expect(last).toEqual({
      signal: { from: `${printed("whatsapp/gina")}/1`, group, payload: expect.any(String), text: "reading" },
    });
  });

  test("does not come where only one side has agreed", async () => {
    await contact("allow", "whatsapp/eager", "instagram/shy");
    const listening = stage.start(
      "listen",
      ...as("instagram/shy"),
      "--signals",
      "--count",
      "1",
      "--timeout",
      "2s",
    );
    await until(listening.outcome, () => signal("whatsapp/eager", "-t", "instagram/shy", "-x", "hello?"));
    expect(await listening.outcome).toMatchObject({
      code: 1,
      err: expect.stringContaining("0 of 1 came in time"),
    });
  });

  test("says what it did, which is not whether it arrived", async () => {
    const [ann, ben] = await pair("json");
    expect((await signal(ann, "-t", ben, "-x", "read", "--json")).json()).toEqual([
      { ok: true, bytes: 4, accounts: [{ account: printed(ben), devices: [1] }] },
    ]);
    expect((await signal(ann, "-t", ben, "-x", "read")).out).toContain("sent to 1 device:");
  });

  test.each([
    ["nobody", ["-x", "a"], 2, "--to, or --group"],
    ["no payload", ["-t", "instagram/bob"], 2, "either --text or --file"],
    ["somebody without a device", ["-t", "instagram/nobody", "-x", "a"], 1, "has no device to send to"],
    [
      "a group, larger than it may be",
      ["-g", `whatsapp/${"00".repeat(16)}`, "-x", "a".repeat(4097)],
      1,
      "at most 4 KiB",
    ],
  ])("for %s is told plainly", async (_, more, code, says) => {
    expect(told(await signal("whatsapp/alice", ...more))).toEqual({
      code,
      says: expect.stringContaining(says),
    });
  });
});

test("listen --presence tells who is here and who has gone", async () => {
  const [ann, ben] = await pair("presence");
  const watching = stage.start("listen", ...as(ann), "--presence", "--timeout", "20s", "--json");
  /** Ben may be just leaving from having agreed: what counts is what was said last. */
  const saysLast = (isOnline: boolean) =>
    expect
      .poll(() => watching.text().trimEnd().split("\n").at(-1), { timeout: 15_000 })
      .toBe(JSON.stringify({ presence: { account: printed(ben), isOnline } }));
  await saysLast(false);
  const here = stage.start("listen", ...as(ben), "--timeout", "20s");
  await saysLast(true);
  here.interrupt();
  await saysLast(false);
  watching.interrupt();
  expect(await watching.outcome).toMatchObject({ code: 0 });
  const shown = await stage.run("listen", ...as(ann), "--presence", "--count", "1", "--timeout", "20s");
  expect(shown.out).toMatch(new RegExp(`^\\S+Z  ${printed(ben)} is away\n$`));
});
