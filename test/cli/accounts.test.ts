/** Accounts, their devices, names and push targets, from the command line, as a brand's back end and as a device. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { as, CliStage, printed, told } from "./cli-stage.js";

const ALICE = as("whatsapp/alice");

let stage: CliStage;
beforeAll(async () => {
  const webhooks = [
    { brand: "whatsapp", url: "http://127.0.0.1:1/gateway", secret: "a secret of the brand" },
  ];
  stage = await CliStage.open({ admin: { port: 0 }, push: { webhooks } });
});
afterAll(() => stage.close());

const account = (verb: string, ...more: string[]) =>
  stage.run("account", verb, "--admin-url", stage.node.adminUrl as string, ...more);

describe("account", () => {
  test("is registered, shown and removed, of whichever brand it is", async () => {
    const carol = printed("messenger/carol");
    const registered = await account("register", "messenger/carol");
    expect(registered).toMatchObject({ code: 0, out: `${carol}\n`, err: "registered\n" });
    expect((await account("register", "messenger/carol", "--json")).json()).toEqual([
      { ok: true, isNew: false, account: carol, version: expect.any(Number), devices: [] },
    ]);
    await stage.registers(as("messenger/carol", 3));
    expect((await account("show", "messenger/carol")).out).toMatch(/: version \d+, devices: 3\n$/);
    expect((await account("show", "3/carol", "--json")).json()).toMatchObject([
      { account: carol, devices: [3] },
    ]);
    expect(told(await account("show", "whatsapp/carol")).says).toContain("is not registered");
    expect((await account("remove", "messenger/carol")).out).toBe(`${carol}: removed\n`);
    expect((await account("show", "messenger/carol", "--json")).json()).toMatchObject([
      { ok: false, error: { code: "notFound" } },
    ]);
  });

  test("its devices are registered ahead of their sign-in, and removed", async () => {
    const whose = "instagram/hal";
    expect(told(await account("add-device", whose, "7")).says).toContain("account register");
    await account("register", whose);
    expect(await account("add-device", whose, "7")).toMatchObject({
      code: 0,
      out: `${printed(whose)}: device 7\n`,
      err: "registered\n",
    });
    expect((await account("add-device", whose, "7", "--json")).json()).toMatchObject([
      { ok: true, account: printed(whose), device: 7, isNew: false },
    ]);
    expect((await account("show", whose, "--json")).json()).toMatchObject([{ devices: [7] }]);
    expect((await account("remove-device", whose, "7")).out).toBe(`${printed(whose)}: device 7 removed\n`);
    expect((await account("show", whose, "--json")).json()).toMatchObject([{ devices: [] }]);
    expect(told(await account("remove-device", whose, "7"))).toEqual({
      code: 1,
      says: expect.stringContaining("no device 7"),
    });
    expect(told(await account("add-device", whose, "0")).code).toBe(2);
  });

  test("a name that is given is found with resolve, until it is taken back", async () => {
    const find = (...more: string[]) => stage.run("resolve", ...ALICE, "instagram/dora@home/1", ...more);
    expect(told(await account("name", "instagram/dora", "dora@home/1")).says).toContain("account register");
    await stage.registers(as("instagram/dora"));
    const dora = printed("instagram/dora");
    expect((await account("name", "instagram/dora", "dora@home/1")).out).toBe(
      `instagram/dora@home/1 is ${dora}\n`,
    );
    expect(await find()).toMatchObject({
      code: 0,
      out: `${dora}\n`,
      err: expect.stringContaining("1 device: 1"),
    });
    expect((await find("--json")).json()).toMatchObject([{ ok: true, account: dora, devices: [1] }]);
    await stage.registers(as("instagram/eve"));
    expect(told(await account("name", "instagram/eve", "dora@home/1")).says).toContain(
      "belongs to another account",
    );
    expect((await account("unname", "instagram/dora@home/1")).code).toBe(0);
    expect(told(await find())).toEqual({
      code: 1,
      says: expect.stringContaining("nobody who can be reached"),
    });
    expect(told(await stage.run("resolve", ...ALICE, "dora")).code).toBe(2);
  });

  test("goes by the token's brand, so that a token of another brand is not used", async () => {
    const token = (await stage.run("token", "-b", "instagram", "--service")).out.trim();
    expect((await account("register", "instagram/fay", "--token", token)).code).toBe(0);
    expect(told(await account("remove", "whatsapp/fay", "--token", token))).toEqual({
      code: 2,
      says: expect.stringContaining("of the back end of instagram, and the account of whatsapp"),
    });
    expect((await account("show", "instagram/fay")).code).toBe(0);
    const device = (await stage.run("token", "-b", "instagram", "-a", "fay")).out.trim();
    expect((await account("show", "instagram/fay", "--token", device, "--json")).json()).toMatchObject([
      { error: { code: "tokenInvalid" } },
    ]);
  });

  test("without an admin API, or with something else there, it is told plainly", async () => {
    expect(told(await stage.run("account", "show", "instagram/bob"))).toEqual({
      code: 2,
      says: expect.stringContaining("--admin-url"),
    });
    const at = (url: string) => stage.run("account", "show", "instagram/bob", "--admin-url", url);
    expect(told(await at("nowhere")).code).toBe(2);
    expect(told(await at("http://127.0.0.1:1"))).toEqual({
      code: 1,
      says: expect.stringContaining("no admin API answers at http://127.0.0.1:1"),
    });
    const stranger = createServer((_, response) => response.end("<html>")).listen(0, "127.0.0.1");
    await new Promise((resolve) => stranger.once("listening", resolve));
    const { port } = stranger.address() as AddressInfo;
    expect(told(await at(`http://127.0.0.1:${port}`)).says).toContain("answered with status 200");
    stranger.close();
  });
});

describe("device", () => {
  test("others of the account are added, listed and removed", async () => {
    const who = as("whatsapp/gus");
    for (const device of [1, 2]) await stage.registers(as("whatsapp/gus", device));
    expect((await stage.run("device", "add", ...who, "7", "--json")).json()).toMatchObject([
      { ok: true, devices: [1, 2, 7] },
    ]);
    expect((await stage.run("device", "list", ...who)).out).toBe("1  this one\n2\n7\n");
    expect((await stage.run("device", "remove", ...who, "2")).out).toMatch(/^version \d+, 2 devices: 1 7\n$/);
    expect((await stage.run("device", "list", ...who, "--json")).json()).toMatchObject([{ devices: [1, 7] }]);
    expect((await stage.run("roster", ...ALICE, "whatsapp/gus", "--json")).json()).toMatchObject([
      { ok: true, account: printed("whatsapp/gus"), devices: [1, 7] },
    ]);
    expect((await stage.run("roster", ...ALICE, "whatsapp/nobody")).err).toContain(
      "version 0, 0 devices: none",
    );
  });

  test.each([
    ["one that there is not", ["remove", "9"], 1, "interline device list"],
    ["itself", ["remove", "1"], 1, "ask with another one"],
    ["a number that is none", ["remove", "70000"], 2, "1 to 65535"],
  ])("%s is told plainly", async (_, [verb = "", number = ""], code, says) => {
    const failure = told(await stage.run("device", verb, ...ALICE, number));
    expect(failure).toEqual({ code, says: expect.stringContaining(says) });
  });
});

describe("push", () => {
  test("a target is registered and taken back", async () => {
    expect((await stage.run("push", "kinds", ...ALICE)).out).toBe("webhook\n");
    expect((await stage.run("push", "kinds", ...as("instagram/hal"), "--json")).json()).toEqual([
      { ok: true, kinds: [] },
    ]);
    expect((await stage.run("push", "register", ...ALICE, "webhook", "alices-phone")).out).toBe(
      "registered (webhook)\n",
    );
    expect((await stage.run("inspect", "--json")).json()).toMatchObject([{ rows: { push: 1 } }]);
    expect((await stage.run("push", "remove", ...ALICE, "--json")).json()).toEqual([{ ok: true }]);
    expect((await stage.run("inspect", "--json")).json()).toMatchObject([{ rows: { push: 0 } }]);
    const other = await stage.run("push", "register", ...ALICE, "pigeon", "loft 3");
    expect(told(other)).toEqual({ code: 1, says: expect.stringContaining("interline push kinds") });
  });
});
