import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { toHex } from "../../src/base/bytes.js";
import { accountIdFor, DevelopmentBrands } from "../../src/directory/development-brands.js";
import { SignIn } from "../../src/directory/sign-in.js";
import { createNode, formatAddress, type InterlineNode } from "../../src/index.js";
import { limits } from "../../src/rules/limits.js";
import type { SignedInDevice } from "../../src/rules/sign-in.js";
import { runCli, startCli } from "./run-cli.js";

const BOB = `instagram/${toHex(accountIdFor("bob"))}`;
const verbs = ["serve", "token", "send", "listen", "transfer", "inspect", "check", "demo"];

let directory: string;
let node: InterlineNode;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "interline-cli-"));
  node = await createNode({ dataDirectory: join(directory, "interline-data"), port: 0, admin: { port: 0 } });
});
afterAll(async () => {
  await node.stop();
  rmSync(directory, { recursive: true });
});

const run = (...parameters: string[]) => runCli({ workingDirectory: directory }, ...parameters);
const start = (...parameters: string[]) => startCli({ workingDirectory: directory }, ...parameters);
const at = () => ["--url", node.url as string];

describe("help and usage", () => {
  test.each(verbs)("%s --help shows examples and ends with 0", async (verb) => {
    const { code, out, err } = await run(verb, "--help");
    expect(code).toBe(0);
    expect(err).toBe("");
    expect(out).toContain(`Usage: interline ${verb}`);
    expect(out).toContain(`Examples:\n  interline ${verb}`);
    expect(out).toContain("--json");
  });

  test("the whole names every verb and what the exit codes mean", async () => {
    const { code, out } = await run("--help");
    expect(code).toBe(0);
    for (const verb of verbs) expect(out).toMatch(new RegExp(`^  ${verb} `, "m"));
    expect(out).toContain("Exit codes: 0 done, 1 failed, 2 wrong");
    expect((await run("--version")).out).toBe("1.2.3\n");
  });

  test.each([
    ["nothing", []],
    ["an unknown verb", ["fly"]],
    ["an unknown option", ["serve", "--fast"]],
    ["a missing option", ["token", "--account", "alice"]],
    ["a token for nobody", ["token", "-b", "whatsapp"]],
    ["a token for a back end's device", ["token", "-b", "whatsapp", "-s", "-n", "1"]],
    ["a token for two", ["token", "-b", "whatsapp", "-s", "-a", "alice"]],
    ["a device number out of range", ["token", "-b", "whatsapp", "-a", "alice", "-n", "65536"]],
    ["a time without a unit", ["listen", "-b", "whatsapp", "-a", "alice", "--timeout", "10"]],
    ["something to inspect that is not there", ["inspect", "weather"]],
    ["inspect device without a device", ["inspect", "device"]],
    ["a cursor that no page has named", ["inspect", "queues", "--cursor", "zzz"]],
    ["a cursor of half a key", ["inspect", "journal", "--cursor", "00"]],
    ["a noun without a verb", ["group"]],
    ["a verb that its noun does not have", ["group", "fly"]],
    ["send without a payload", ["send", "-b", "whatsapp", "-a", "alice", "-t", BOB]],
    ["send with two payloads", ["send", "-b", "whatsapp", "-a", "alice", "-t", BOB, "-x", "a", "-f", "b"]],
    ["a transfer of which no side is named", ["transfer", "-b", "whatsapp", "-a", "alice"]],
    ["a transfer of both sides", ["transfer", "-b", "whatsapp", "-a", "alice", "--into", "a", "--from", "b"]],
    ["a sender without a name", ["send", "-t", BOB, "-x", "a"]],
    ["a brand nobody knows", ["token", "-b", "signal", "-a", "alice"]],
    ["a configuration that is not there", ["check", "--config", "nowhere.json"]],
    ["a port that is none", ["serve", "--port", "http"]],
  ])("%s ends with 2 and says so on standard error", async (_, parameters) => {
    const { code, out, err } = await run(...parameters);
    expect(code).toBe(2);
    expect(out).toBe("");
    expect(err).not.toBe("");
    expect(err).not.toContain("    at ");
  });

  test("with --json a failure is an object too", async () => {
    const { code, json } = await run("token", "-b", "signal", "-a", "alice", "--json");
    expect(code).toBe(2);
    expect(json()).toEqual([
      { ok: false, error: { code: "failed", message: expect.stringContaining("whatsapp") } },
    ]);
  });

  test("colours appear on a terminal only, and not when NO_COLOR is set", async () => {
    const colour = "\u001b[";
    const setting = { workingDirectory: directory };
    const inspect = (more: object) => runCli({ ...setting, ...more }, "inspect");
    expect((await inspect({})).out).not.toContain(colour);
    expect((await inspect({ isTerminal: true })).out).toContain(colour);
    expect((await inspect({ isTerminal: true, environment: { NO_COLOR: "1" } })).out).not.toContain(colour);
    expect((await inspect({ isTerminal: true, environment: { TERM: "dumb" } })).out).not.toContain(colour);
  });
});

describe("token", () => {
  test("prints a token that signs the device in, without asking a node", async () => {
    const { code, out } = await run("token", "--brand", "messenger", "--account", "carol", "--device", "3");
    expect(code).toBe(0);
    const brands = DevelopmentBrands.open(join(directory, "interline-data"));
    const { device } = (await (await SignIn.open(brands.settings())).signIn(out.trim())) as SignedInDevice;
    expect(formatAddress(device)).toBe(`3/${toHex(accountIdFor("carol"))}/3`);
  });

  test("of a brand's back end opens the admin API for that brand, and signs no device in", async () => {
    const account = "00112233445566778899aabbccddeeff";
    const ask = async (method: string, token: string): Promise<number> => {
      const authorization = `Bearer ${token}`;
      const url = `${node.adminUrl}/v1/accounts/${account}`;
      return (await fetch(url, { method, headers: { authorization } })).status;
    };
    const { code, out } = await run("token", "--brand", "messenger", "--service");
    expect(code).toBe(0);
    const messenger = out.trim();
    expect([await ask("PUT", messenger), await ask("GET", messenger)]).toEqual([201, 200]);
    const { json } = await run("token", "-b", "whatsapp", "-s", "--ttl", "30s", "--json");
    const other = json()[0] as { token: string; expiresAtMs: number };
    expect(other).toMatchObject({ ok: true, brand: "whatsapp", scope: "accounts" });
    expect(Math.abs(other.expiresAtMs - Date.now() - 30_000)).toBeLessThan(5_000);
    expect(await ask("GET", other.token)).toBe(404);
    const ofDevice = (await run("token", "-b", "messenger", "-a", account)).out.trim();
    expect(await ask("GET", ofDevice)).toBe(401);
    const asDevice = await run("listen", "--token", messenger, "--json", ...at());
    expect(asDevice.json()[0]).toMatchObject({ ok: false, error: { code: "tokenInvalid" } });
  });

  test("prints one that names nobody, or says what is missing", async () => {
    const { code, out } = await run("token", "--brand", "messenger", "--anonymous");
    expect(code).toBe(0);
    const brands = DevelopmentBrands.open(join(directory, "interline-data"));
    expect(await (await SignIn.open(brands.settings())).signIn(out.trim())).toEqual({ brand: 3 });
    const claims = JSON.parse(Buffer.from(out.split(".")[1] as string, "base64url").toString());
    expect(claims.iat % 3_600).toBe(0);
    expect((await run("token", "--brand", "messenger")).code).toBe(2);
    expect((await run("token", "-b", "messenger", "-a", "carol", "--anonymous")).code).toBe(2);
  });

  test("says how long it is valid, and keeps to it", async () => {
    const { json } = await run("token", "-b", "messenger", "-a", "carol", "--ttl", "2h", "--json");
    const { token, expiresAtMs } = json()[0] as { token: string; expiresAtMs: number };
    const claims = JSON.parse(Buffer.from(token.split(".")[1] as string, "base64url").toString());
    expect(claims.exp - claims.iat).toBe(7_200);
    expect(Math.abs(expiresAtMs / 1000 - claims.exp)).toBeLessThan(5);
  });

  test("has none to give for configured brands", async () => {
    const file = join(directory, "configured.json");
    const keys = { url: "https://red.example/keys" };
    writeFileSync(file, JSON.stringify({ brands: [{ number: 1, name: "red", issuer: "red", keys }] }));
    const { code, err } = await run("token", "-b", "red", "-a", "alice", "--config", file);
    expect(code).toBe(1);
    expect(err).toContain("their own issuers");
  });
});

describe("send and listen", () => {
  test("what is sent is printed where it is listened for, and the receipt says disk", async () => {
    const listening = start(
      "listen",
      "-b",
      "instagram",
      "-a",
      "bob",
      "--count",
      "2",
      "--timeout",
      "20s",
      "--json",
      ...at(),
    );
    await until(async () => (await run("inspect", "accounts")).out.includes(BOB));
    const first = await run(
      "send",
      "-b",
      "whatsapp",
      "-a",
      "alice",
      "-t",
      "instagram/bob",
      "-x",
      "hello, Bob",
      ...at(),
    );
    expect(first).toMatchObject({ code: 0, out: "accepted for 1 device (durability: disk)\n" });
    expect(first.err).toContain("does not encrypt");
    const second = await run(
      "send",
      "-b",
      "whatsapp",
      "-a",
      "alice",
      "-t",
      BOB,
      "-x",
      "again",
      "--json",
      ...at(),
    );
    expect(second.json()[0]).toMatchObject({
      ok: true,
      durability: "disk",
      bytes: 5,
      accounts: [{ account: BOB, devices: [1] }],
    });
    const { code, json } = await listening.outcome;
    expect(code).toBe(0);
    expect(json()).toMatchObject([
      { text: "hello, Bob", payload: Buffer.from("hello, Bob").toString("base64") },
      { text: "again", id: second.json()[0]?.id, from: `whatsapp/${toHex(accountIdFor("alice"))}/1` },
    ]);
    const again = await run(
      "listen",
      "-b",
      "instagram",
      "-a",
      "bob",
      "--timeout",
      "300ms",
      "--json",
      ...at(),
    );
    expect(again).toMatchObject({ code: 0, out: "" });
  });

  test("a send reaches every device of the account and the sender's own others", async () => {
    const others = [
      start("listen", "-b", "messenger", "-a", "dora", "--count", "1", "--timeout", "20s", ...at()),
      start(
        "listen",
        "-b",
        "messenger",
        "-a",
        "dora",
        "-n",
        "2",
        "--count",
        "1",
        "--timeout",
        "20s",
        ...at(),
      ),
      start("listen", "-b", "whatsapp", "-a", "emil", "-n", "2", "--count", "1", "--timeout", "20s", ...at()),
    ];
    await until(async () => {
      const { out } = await run("inspect", "accounts", "--json");
      const { accounts } = JSON.parse(out) as { accounts: { account: string; devices: number[] }[] };
      const counts = accounts.map(({ account, devices }) => [account, devices.length]);
      return ["messenger/dora", "whatsapp/emil"].every((name, i) => {
        const [brand, account] = name.split("/") as [string, string];
        return counts.some(
          ([known, count]) => known === `${brand}/${toHex(accountIdFor(account))}` && count === 2 - i,
        );
      });
    });
    const sent = await run(
      "send",
      "-b",
      "whatsapp",
      "-a",
      "emil",
      "-t",
      "messenger/dora",
      "-x",
      "to all",
      ...at(),
    );
    expect(sent.out).toBe("accepted for 3 devices (durability: disk)\n");
    for (const { outcome } of others) {
      const { code, out } = await outcome;
      expect(code).toBe(0);
      expect(out).toContain(" to all\n");
    }
  });

  test("an account that is named twice counts once", async () => {
    const who = ["-b", "messenger", "-a", "twice"];
    await run("roster", ...who, BOB, ...at());
    const twice = ["-t", "messenger/twice", "-t", "messenger/twice"];
    const sent = await run(
      "send",
      "-b",
      "whatsapp",
      "-a",
      "alice",
      ...twice,
      "-x",
      "once",
      "--json",
      ...at(),
    );
    expect(sent.json()).toMatchObject([{ ok: true, accounts: [{ devices: [1] }] }]);
    await run("send", "-b", "whatsapp", "-a", "alice", "-t", "messenger/twice", "-x", "then", ...at());
    const { json } = await run("listen", ...who, "--count", "2", "--timeout", "20s", "--json", ...at());
    expect(json()).toMatchObject([{ text: "once" }, { text: "then" }]);
  });

  test("what is too large is told with how much it may be", async () => {
    const send = (...more: string[]) => run("send", "-b", "whatsapp", "-a", "alice", ...more, ...at());
    await run("roster", "-b", "instagram", "-a", "gail", BOB, ...at());
    const fat = join(directory, "fat.bin");
    const { payloadBytesMax, messageBytesMax } = limits;
    writeFileSync(fat, Buffer.alloc(payloadBytesMax + 1));
    const payload = await send("-t", "instagram/gail", "-f", fat, "--json");
    expect(payload.err).toContain(`has ${payloadBytesMax + 1} bytes, and at most ${payloadBytesMax} pass`);
    expect(payload.json()).toMatchObject([{ ok: false, error: { code: "payloadTooLarge" } }]);
    writeFileSync(fat, Buffer.alloc(payloadBytesMax));
    const devices = Array.from(
      { length: Math.floor(messageBytesMax / payloadBytesMax) },
      (_, i) => `${i + 2}`,
    );
    for (const device of devices)
      await run("roster", "-b", "instagram", "-a", "gail", "-n", device, BOB, ...at());
    const message = await send("-t", "instagram/gail", "-f", fat);
    expect(message).toMatchObject({
      code: 1,
      err: expect.stringContaining(`at most ${messageBytesMax} pass`),
    });
  });

  test("bytes that are no plain text are shown as hex, so that a terminal obeys nobody", async () => {
    const listening = start(
      "listen",
      "-b",
      "instagram",
      "-a",
      "fritz",
      "--count",
      "1",
      "--timeout",
      "20s",
      ...at(),
    );
    await until(async () => (await run("inspect", "accounts")).out.includes(toHex(accountIdFor("fritz"))));
    const file = join(directory, "evil.bin");
    writeFileSync(file, "\u001b[31mred\u0007");
    expect(
      (await run("send", "-b", "whatsapp", "-a", "alice", "-t", "instagram/fritz", "-f", file, ...at())).code,
    ).toBe(0);
    const { out } = await listening.outcome;
    expect(out).toContain("9 bytes: 1b5b33316d72656407");
    expect(out).not.toContain("\u001b");
  });

  test("nobody to send to, nobody to speak as, and no node are each said plainly", async () => {
    const nobody = await run(
      "send",
      "-b",
      "whatsapp",
      "-a",
      "alice",
      "-t",
      "instagram/nobody",
      "-x",
      "a",
      ...at(),
    );
    expect(nobody).toMatchObject({ code: 1 });
    expect(nobody.err).toContain("has no device to send to");
    const token = ["--token", "not.a.token"];
    const refused = await run("listen", ...token, "--json", ...at());
    expect(refused).toMatchObject({ code: 1 });
    expect(refused.json()[0]).toMatchObject({ ok: false, error: { code: "tokenInvalid" } });
    const alone = await run("listen", "-b", "whatsapp", "-a", "alice", "--url", "ws://127.0.0.1:1");
    expect(alone).toMatchObject({ code: 1 });
    expect(alone.err).toContain("no node answers at ws://127.0.0.1:1");
    const bad = await run("send", "-b", "whatsapp", "-a", "alice", "-t", "bob", "-x", "a", ...at());
    expect(bad).toMatchObject({ code: 2 });
    expect(bad.err).toContain("expected brand/account");
  });

  test("too few envelopes in the time given are a failure, an interruption is none", async () => {
    const late = await run(
      "listen",
      "-b",
      "instagram",
      "-a",
      "greta",
      "--count",
      "1",
      "--timeout",
      "200ms",
      ...at(),
    );
    expect(late).toMatchObject({ code: 1 });
    expect(late.err).toContain("0 of 1 envelopes");
    const listening = start("listen", "-b", "instagram", "-a", "greta", "--count", "1", ...at());
    await until(async () => node.stats().connections === 1);
    listening.interrupt();
    expect(await listening.outcome).toMatchObject({ code: 0 });
  });
});

describe("inspect and check", () => {
  test("show queues, accounts and one device beside a running node, by the brands' names", async () => {
    expect((await run("device", "list", "-b", "messenger", "-a", "hans", ...at())).code).toBe(0);
    const sent = await run(
      "send",
      "-b",
      "whatsapp",
      "-a",
      "alice",
      "-t",
      "messenger/hans",
      "-x",
      "queued",
      ...at(),
    );
    expect(sent.code).toBe(0);
    const hans = `messenger/${toHex(accountIdFor("hans"))}/1`;
    await until(async () => (await run("inspect", "queues")).out.includes(hans));
    const overview = (await run("inspect", "--json")).json()[0];
    expect(overview).toMatchObject({ ok: true, formatVersion: 3, ownerPid: process.pid });
    const { queues } = (await run("inspect", "queues", "--json")).json()[0] as {
      queues: { device: string }[];
    };
    expect(queues.find(({ device }) => device === hans)).toMatchObject({ entries: 1, gapEntries: 0 });
    const device = (await run("inspect", "device", "messenger/hans/1", "--json")).json()[0];
    expect(device).toMatchObject({
      ok: true,
      device: hans,
      isRegistered: true,
      queue: { entries: 1 },
      cursor: null,
    });
    expect((await run("inspect", "journal")).code).toBe(0);
    const unknown = await run("inspect", "device", "messenger/nobody/1");
    expect(unknown.out).toContain("never signed in");
    const page = (await run("inspect", "accounts", "--limit", "1", "--json")).json()[0] as { cursor: string };
    const next = (
      await run("inspect", "accounts", "--limit", "1", "--cursor", page.cursor, "--json")
    ).json()[0];
    expect(next?.accounts).not.toEqual((page as Record<string, unknown>).accounts);
  });

  test("a sound directory is found sound; one flipped byte is found and ends with 1", async () => {
    const dataDirectory = join(directory, "flipped");
    const own = await createNode({ dataDirectory, listen: false });
    const [sender, recipient] = ["alice", "bob"].map((account) =>
      own.attach({ brand: "whatsapp", account, device: 1 }),
    );
    await recipient?.connect();
    await recipient?.close();
    await sender?.connect();
    const bobs = own.address({ brand: "whatsapp", account: "bob", device: 1 }).slice(0, 18);
    const devices = [{ device: 1, payload: Buffer.from("canary-in-a-queue") }];
    await sender?.send({ to: [{ account: bobs, version: 1, devices }] });
    await sender?.close();
    await own.stop();

    // Opening moves what the journal holds to the queues.
    await (await createNode({ dataDirectory, listen: false })).stop();
    const sound = await run("check", "--data-directory", dataDirectory, "--json");
    expect(sound.json()[0]).toMatchObject({ ok: true, queues: { entries: 1 } });
    expect((await run("check", "--data-directory", dataDirectory)).out).toContain("nothing is wrong");

    const file = join(dataDirectory, "store.mdb");
    const bytes = readFileSync(file);
    for (let i = bytes.indexOf("canary-in-a-queue"); i >= 0; i = bytes.indexOf("canary-in-a-queue", i + 1))
      bytes[i] = 0;
    writeFileSync(file, bytes);
    const damaged = await run("check", "--data-directory", dataDirectory, "--json");
    expect(damaged.code).toBe(1);
    expect(damaged.json()).toHaveLength(1);
    expect(damaged.json()[0]).toMatchObject({ ok: false, findingCount: expect.any(Number) });
    const told = await run("check", "--data-directory", dataDirectory);
    expect(told.code).toBe(1);
    expect(told.out).toContain("in queues at whatsapp/");
    expect(told.err).toContain("wrong in");
  });

  test("a directory without data is said to be none", async () => {
    for (const verb of ["inspect", "check"]) {
      const { code, err } = await run(verb, "--data-directory", join(directory, "nothing"));
      expect(code).toBe(1);
      expect(err).toContain("there is no store.mdb");
    }
  });
});

describe("demo", () => {
  test("its story comes out as it should", async () => {
    const { code, json } = await run("demo", "--json");
    expect(code).toBe(0);
    expect(json()).toEqual([
      { ok: true, sent: 7, receipted: 7, decrypted: 11, duplicatesShown: 0, canariesFound: 0, restarts: 1 },
    ]);
  });
});

async function until(condition: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 20_000;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error("waited in vain");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
