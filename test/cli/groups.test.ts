/** Groups from the command line: who is in them, what is sent to them, and what `listen` tells of both. */
import { writeFileSync } from "node:fs";
import { type AddressInfo, createConnection, createServer, type Server } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { as, CliStage, printed, told } from "./cli-stage.js";

const ALICE = as("whatsapp/alice");
const BOB = as("instagram/bob");
const CAROL = as("messenger/carol");

/** A way to the node on which the first long message of a client waits until it is let go. */
class HeldMessage {
  readonly isHeld: Promise<void>;
  letGo: () => void = () => {};
  readonly #server: Server;
  #hold: () => void = () => {};

  private constructor(port: number, bytesMin: number) {
    this.isHeld = new Promise((resolve) => {
      this.#hold = resolve;
    });
    this.#server = createServer((client) => {
      const node = createConnection(port, "127.0.0.1");
      for (const [one, other] of [
        [client, node],
        [node, client],
      ] as const) {
        one.on("error", () => other.destroy());
        one.on("close", () => other.destroy());
      }
      node.pipe(client);
      let isOver = false;
      client.on("data", (chunk) => {
        if (isOver || chunk.length < bytesMin) {
          node.write(chunk);
          return;
        }
        isOver = true;
        client.pause();
        this.letGo = () => {
          node.write(chunk);
          client.resume();
        };
        this.#hold();
      });
    });
  }

  static async of(port: number, bytesMin: number): Promise<HeldMessage> {
    const held = new HeldMessage(port, bytesMin);
    await new Promise<void>((resolve) => held.#server.listen(0, "127.0.0.1", resolve));
    return held;
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}

let stage: CliStage;
beforeAll(async () => {
  stage = await CliStage.open();
  for (const who of [ALICE, BOB, CAROL]) await stage.registers(who);
});
afterAll(() => stage.close());

/** A new group of Alice and others, by its printed id. */
async function made(...others: string[]): Promise<string> {
  const { code, out } = await stage.run("group", "create", ...ALICE, ...others);
  expect(code).toBe(0);
  return out.trimEnd();
}

const listen = (who: string[], count: number, ...more: string[]) =>
  stage.run("listen", ...who, "--count", `${count}`, "--timeout", "20s", ...more);

describe("the roster", () => {
  test("is made, shown, changed and left, in one form everywhere", async () => {
    const created = await stage.run("group", "create", ...ALICE, "instagram/bob", "--json");
    const { group } = created.json()[0] as { group: string };
    expect(created.json()).toEqual([
      { ok: true, group: expect.stringMatching(/^whatsapp\/[0-9a-f]{32}$/), version: 1 },
    ]);
    expect((await stage.run("group", "list", ...BOB)).out.split("\n")).toContain(group);

    const added = await stage.run("group", "add", ...ALICE, group, "messenger/carol", "messenger/carol");
    expect(added).toMatchObject({ code: 0, out: `${group}: version 2\n` });
    const promoted = await stage.run("group", "role", ...ALICE, group, "admin", "instagram/bob", "--json");
    expect(promoted.json()).toEqual([{ ok: true, group, version: 3 }]);
    expect((await stage.run("group", "show", ...CAROL, group, "--json")).json()).toEqual([
      {
        ...{ ok: true, group, version: 3 },
        members: [
          { account: printed("whatsapp/alice"), role: "admin" },
          { account: printed("instagram/bob"), role: "admin" },
          { account: printed("messenger/carol"), role: "member" },
        ],
      },
    ]);
    expect((await stage.run("group", "remove", ...BOB, group, "whatsapp/alice")).out).toBe(
      `${group}: version 4\n`,
    );
    expect((await stage.run("group", "leave", ...BOB, group)).out).toBe(`${group}: version 5\n`);
    const shown = await stage.run("group", "show", ...CAROL, group);
    expect(shown.out.split("\n")).toEqual([
      `${group}: version 5, 1 member`,
      "",
      expect.stringMatching(/^member +role$/),
      `${printed("messenger/carol")}  admin`,
      "",
    ]);
  });

  test("is found by the beginning of its id, where that is enough", async () => {
    const group = await made();
    expect((await stage.run("group", "show", ...ALICE, group.slice(0, -20), "--json")).json()).toMatchObject([
      { group },
    ]);
    expect(told(await stage.run("group", "show", ...BOB, group.slice(0, -20)))).toMatchObject({
      code: 1,
      says: expect.stringContaining("no group of this account begins with"),
    });
    const [brand, id = ""] = group.split("/");
    expect(told(await stage.run("group", "show", ...ALICE, `${brand}/${id.slice(0, 3)}`)).code).toBe(2);
  });

  test("two admins who change it at the same time both get their way", async () => {
    const group = await made();
    const names = Array.from({ length: 6 }, (_, i) => `messenger/friend-${i}`);
    const changes = await Promise.all(
      names.map((name, i) => stage.run("group", "add", ...as("whatsapp/alice", i + 2), group, name)),
    );
    expect(changes.map(({ code }) => code)).toEqual(names.map(() => 0));
    expect((await stage.run("group", "show", ...ALICE, group, "--json")).json()).toMatchObject([
      { version: 7 },
    ]);
  });

  test.each([
    ["a group that is not ours", ["show", ...CAROL], 1, "this account is no member of it"],
    ["a change by somebody who is no admin", ["add", ...BOB], 1, "only an admin"],
    ["a member who is one already", ["add", ...ALICE, "instagram/bob"], 1, "is a member already"],
    ["nobody to add", ["add", ...ALICE], 2, "missing required argument"],
    ["oneself", ["remove", ...ALICE, "whatsapp/alice"], 1, "interline group leave"],
    ["somebody who is not in it", ["remove", ...ALICE, "messenger/dora"], 1, "no member of the group"],
    ["the last admin", ["role", ...ALICE, "member", "whatsapp/alice"], 1, "somebody else one first"],
    [
      "a role that there is not",
      ["role", ...ALICE, "king", "instagram/bob"],
      2,
      "Allowed choices are admin, member",
    ],
    ["a member without a brand", ["add", ...ALICE, "bob"], 2, "expected brand/account"],
  ])("%s is told plainly", async (_, [verb = "", ...rest], code, says) => {
    const group = await made("instagram/bob");
    const [who, members] = [rest.slice(0, 6), rest.slice(6)];
    const more = verb === "add" && says === "only an admin" ? ["messenger/carol"] : members;
    const failure = told(await stage.run("group", verb, ...who, group, ...more));
    expect(failure).toEqual({ code, says: expect.stringContaining(says) });
  });

  test("with --json a refusal says the node's code", async () => {
    const { json } = await stage.run("group", "show", ...BOB, `whatsapp/${"00".repeat(16)}`, "--json");
    expect(json()).toEqual([
      { ok: false, error: { code: "notFound", message: expect.stringContaining("there is no group") } },
    ]);
  });
});

describe("send --group and listen", () => {
  test("what is sent reaches every member, in order with what happened to the group", async () => {
    const group = await made("instagram/bob");
    const first = await stage.run("send", ...ALICE, "--group", group, "--text", "to two");
    expect(first).toMatchObject({ code: 0, out: "accepted for 2 members, version 1 (durability: disk)\n" });
    await stage.run("group", "add", ...ALICE, group, "messenger/carol");
    const second = await stage.run("send", ...BOB, "-g", group.slice(0, 17), "-x", "to three", "--json");
    expect(second.json()).toEqual([
      {
        ...{ ok: true, id: expect.stringMatching(/^[0-9a-f]{32}$/), durability: "disk", bytes: 8 },
        ...{ group, version: 2, members: 3 },
      },
    ]);
    await stage.run("group", "remove", ...ALICE, group, "instagram/bob");
    await stage.run("send", ...ALICE, "-g", group, "-x", "without Bob");

    const carols = (await listen(CAROL, 2, "--json")).json().filter((line) => !("notice" in line));
    const [alice, bob, carol] = ["whatsapp/alice", "instagram/bob", "messenger/carol"].map(printed);
    const event = { sequence: expect.any(Number), timeMs: expect.any(Number), group, by: alice };
    expect(carols.slice(-4)).toEqual([
      { groupEvent: { ...event, version: 2, event: "added", accounts: [carol] } },
      expect.objectContaining({ from: `${bob}/1`, group, version: 2, text: "to three" }),
      { groupEvent: { ...event, version: 3, event: "removed", accounts: [bob] } },
      expect.objectContaining({ from: `${alice}/1`, group, version: 3, text: "without Bob" }),
    ]);
    await stage.run("send", ...ALICE, "-t", "instagram/bob", "-x", "the last of Bob's");
    const bobs = (await listen(BOB, 2)).out.split("\n");
    const from = bobs.findIndex((line) => line.includes(`group ${group}: version 1`));
    const shown = bobs.slice(from).map((line) => line.replace(/^[\d-]+T[\d:.]+Z/, "TIME".padEnd(24)));
    const short = `[${group.slice(0, 17)}]`;
    const indent = " ".repeat(26);
    expect(shown).toEqual([
      `TIME                      group ${group}: version 1`,
      `${indent}created by ${alice}`,
      `TIME                      ${alice}/1  ${short}  to two`,
      `TIME                      group ${group}: version 2`,
      `${indent}by ${alice}`,
      `${indent}added ${carol}`,
      `TIME                      group ${group}: version 3`,
      `${indent}by ${alice}`,
      `${indent}removed ${bob}`,
      `TIME                      ${alice}/1  the last of Bob's`,
      "",
    ]);
    expect(Math.max(...shown.map((line) => line.length))).toBeLessThanOrEqual(100);
  });

  test("a send that finds another roster than it was made for is made again, under its id", async () => {
    const group = await made("instagram/bob");
    const held = await HeldMessage.of(stage.node.port as number, 5_000);
    const file = join(stage.directory, "long.bin");
    writeFileSync(file, "a".repeat(5_000));
    const sending = stage.run(
      "send",
      ...as("whatsapp/alice", 2),
      "-g",
      group,
      "-f",
      file,
      "--json",
      "-u",
      held.url,
    );
    await held.isHeld;
    expect((await stage.run("group", "add", ...ALICE, group, "messenger/carol")).code).toBe(0);
    held.letGo();
    expect((await sending).json()).toMatchObject([{ ok: true, group, version: 2, members: 3 }]);
    await held.close();
  });

  test.each([
    ["nobody", ["-x", "a"], 2, "--to, or --group"],
    [
      "a group and an account",
      ["-g", "whatsapp/0000", "-t", "instagram/bob", "-x", "a"],
      2,
      "cannot be used with",
    ],
    ["no group's name", ["-g", "whatsapp", "-x", "a"], 2, "interline group list"],
    ["a group that is not there", ["-g", `whatsapp/${"00".repeat(16)}`, "-x", "a"], 1, "there is no group"],
  ])("to %s is told plainly", async (_, more, code, says) => {
    expect(told(await stage.run("send", ...ALICE, ...more))).toEqual({
      code,
      says: expect.stringContaining(says),
    });
  });
});

test("a verb that only asks takes nothing of what is queued for its device, not even a notice", async () => {
  // Several: what comes together with the welcome, and what comes after it, depends on the moment.
  for (const device of [1, 2, 3, 4, 5, 6]) {
    const account = `messenger/quiet-${device}`;
    const who = as(account);
    await stage.registers(who);
    const group = await made(account);
    await stage.run("group", "list", ...who);
    await stage.run("send", ...who, "-g", group, "-x", "a");
    await stage.run("send", ...ALICE, "-t", account, "-x", "the envelope");
    const { json } = await listen(who, 1, "--json");
    expect(json()).toMatchObject([{ groupEvent: { group, event: "created" } }, { text: "the envelope" }]);
  }
});
