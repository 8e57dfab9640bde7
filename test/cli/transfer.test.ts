/** `interline transfer`: both sides, in this process, at a node of its own. What dies on the way: test/faults/transfer.test.ts. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createNode, type InterlineNode } from "../../src/index.js";
import { runCli, startCli } from "./run-cli.js";

let directory: string;
let node: InterlineNode;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "interline-cli-transfer-"));
  node = await createNode({ dataDirectory: join(directory, "interline-data"), port: 0 });
  writeFileSync(join(directory, "history"), Buffer.alloc(300_000, "what was said "));
});
afterAll(async () => {
  await node.stop();
  rmSync(directory, { recursive: true });
});

const file = (name: string) => join(directory, name);
const side = (account: string, device: number) => [
  ...["transfer", "-b", "whatsapp", "-a", account, "-n", `${device}`],
  ...["-d", file("interline-data"), "-u", node.url as string],
];
const setting = () => ({ workingDirectory: directory });

test("brings a file from one device to another, and leaves nothing beside it", async () => {
  const receiving = startCli(setting(), ...side("alice", 2), "--into", file("arrived"), "--json");
  const { invitation } = JSON.parse(await first(receiving));
  expect([existsSync(file("arrived")), existsSync(file("arrived.transfer"))]).toEqual([false, true]);
  const sent = await runCli(
    setting(),
    ...side("alice", 1),
    "--from",
    file("history"),
    "--invitation",
    invitation,
  );
  expect(sent).toMatchObject({ code: 0, out: `${file("history")}: 293.0 KiB, whole\n` });
  const received = await receiving.outcome;
  expect(received.json()[1]).toMatchObject({ ok: true, bytes: 300_000 });
  expect(readFileSync(file("arrived")).equals(readFileSync(file("history")))).toBe(true);
  expect([existsSync(file("arrived.part")), existsSync(file("arrived.transfer"))]).toEqual([false, false]);
});

test("interrupted, it says how to go on, and goes on with the same invitation", async () => {
  const receive = () => startCli(setting(), ...side("bob", 2), "--into", file("later"), "--json");
  const before = receive();
  const { invitation } = JSON.parse(await first(before));
  before.interrupt();
  expect(await before.outcome).toMatchObject({ code: 1, err: expect.stringContaining("to go on") });
  const sending = startCli(
    setting(),
    ...side("bob", 1),
    "--from",
    file("history"),
    "--invitation",
    invitation,
  );
  const after = receive();
  expect(JSON.parse(await first(after))).toEqual({ invitation });
  expect((await sending.outcome).code).toBe(0);
  expect((await after.outcome).code).toBe(0);
  expect(readFileSync(file("later")).equals(readFileSync(file("history")))).toBe(true);
});

test("takes no envelope that another command is to have, and overwrites nothing", async () => {
  const into = await runCli(setting(), ...side("carol", 2), "--into", file("history"));
  expect(into).toMatchObject({ code: 1, err: expect.stringContaining("exists") });
  const waiting = startCli(setting(), ...side("carol", 2), "--into", file("never"));
  await waiting.shows("interline-transfer:");
  const where = ["-d", file("interline-data"), "-u", node.url as string];
  await runCli(
    setting(),
    "send",
    "-b",
    "instagram",
    "-a",
    "dora",
    "-t",
    "whatsapp/carol",
    "-x",
    "hi",
    ...where,
  );
  expect(await waiting.outcome).toMatchObject({ code: 1, err: expect.stringContaining("interline listen") });
  const listening = [
    "listen",
    "-b",
    "whatsapp",
    "-a",
    "carol",
    "-n",
    "2",
    "--count",
    "1",
    "--timeout",
    "20s",
  ];
  expect((await runCli(setting(), ...listening, ...where)).out).toContain("hi");
});

test("says so too of a sealed envelope that waits, and takes it no more than others", async () => {
  const where = ["-d", file("interline-data"), "-u", node.url as string];
  const erin = ["-b", "whatsapp", "-a", "erin"];
  const token = (
    await runCli(setting(), "delivery-token", "set", ...erin, "-n", "2", ...where)
  ).out.trimEnd();
  const waiting = startCli(setting(), ...side("erin", 2), "--into", file("unheard"), "--timeout", "20s");
  await waiting.shows("interline-transfer:");
  const to = ["-b", "whatsapp", "--sealed", "-t", "whatsapp/erin", "--delivery-token", token];
  expect((await runCli(setting(), "send", ...to, "-x", "guess who", ...where)).code).toBe(0);
  expect(await waiting.outcome).toMatchObject({ code: 1, err: expect.stringContaining("interline listen") });
});

/** The first line that a running command prints. */
async function first(run: ReturnType<typeof startCli>): Promise<string> {
  await run.shows("\n");
  return run.text().split("\n")[0] as string;
}
