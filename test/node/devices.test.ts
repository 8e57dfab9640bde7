/** Devices over a real node, the SDK and the admin API: who may come, who may remove whom, what the others are told. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Client } from "../../src/client/client.js";
import type { BrandSettings } from "../../src/directory/sign-in.js";
import { createNode, type InterlineNode } from "../../src/index.js";
import { freePort } from "../support/node-process.js";
import { type ConnectionEnded, Stranger } from "../support/stranger.js";
import { serviceCall } from "../support/timing.js";
import { until } from "../support/until.js";
import { mint, mintService, World } from "../support/world.js";

let directory: string;
let node: InterlineNode;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "interline-devices-"));
});
afterEach(async () => {
  await node.stop();
  rmSync(directory, { recursive: true, force: true });
});

describe("an account's own devices", () => {
  const device = (number: number): Client =>
    node.attach({ brand: "whatsapp", account: "alice", device: number });

  async function live(client: Client): Promise<Client> {
    const isLive = client.once("live");
    await client.connect();
    await isLive;
    return client;
  }

  const versions = (client: Client): unknown[] => {
    const seen: unknown[] = [];
    client.on("notice", ({ body }) => seen.push(body.version));
    return seen;
  };

  test("list, add and remove each other, and every change is told to all who were there, in order", async () => {
    node = await createNode({ dataDirectory: directory, listen: false });
    const [phone, tablet] = [device(1), device(2)];
    const [toPhone, toTablet] = [versions(phone), versions(tablet)];
    await live(phone);
    await live(tablet);
    expect(await tablet.devices.list()).toEqual({ version: 2, devices: [1, 2] });
    expect(await tablet.devices.add(9)).toEqual({ version: 3, devices: [1, 2, 9] });
    expect(await tablet.devices.add(9)).toEqual({ version: 3, devices: [1, 2, 9] });
    expect(await phone.devices.remove(9)).toEqual({ version: 4, devices: [1, 2] });
    await until("the phone was told", () => toPhone.at(-1) === 4);
    const closed = phone.once("closed");
    expect(await tablet.devices.remove(1)).toEqual({ version: 5, devices: [2] });
    expect((await closed).error).toMatchObject({ code: "revoked", retry: "never" });
    await until("the tablet was told everything", () => toTablet.at(-1) === 5);
    expect(toTablet).toEqual([3, 4, 5]);
    expect(toPhone).toEqual([2, 3, 4]);
    await tablet.close();
  });

  test("cannot remove themselves, nor what is not there, nor have more than the cap", async () => {
    node = await createNode({ dataDirectory: directory, listen: false });
    const phone = await live(device(1));
    const codeOf = (promise: Promise<unknown>) =>
      promise.then(
        () => "done",
        ({ code }) => code,
      );
    expect(await codeOf(phone.devices.remove(1))).toBe("notAllowed");
    expect(await codeOf(phone.devices.remove(7))).toBe("notFound");
    expect(await codeOf(phone.devices.add(0))).toBe("badRequest");
    expect(await codeOf(phone.devices.add(65_536))).toBe("badRequest");
    for (let number = 2; number <= 16; number++) expect(await codeOf(phone.devices.add(number))).toBe("done");
    expect(await codeOf(phone.devices.add(17))).toBe("tooManyDevices");
    expect(await codeOf(phone.request({ method: "devices.rename" }))).toBe("requestUnknown");
    await phone.close();
  });
});

describe("where the brand registers devices", () => {
  test("nobody comes in before, by whatever token, and a removed one needs both anew", async () => {
    const world = new World({ brands: 1, accountsPerBrand: 1, devices: () => 1 });
    const [brand] = world.brands;
    const [phone] = world.devices;
    if (brand === undefined || phone === undefined) throw new Error("a world has somebody");
    const [settings] = world.brandSettings() as [BrandSettings];
    const adminPort = await freePort();
    node = await createNode({
      dataDirectory: directory,
      port: 0,
      admin: { port: adminPort },
      brands: [{ ...settings, deviceRegistration: "byBrand" }],
    });
    const account = `/v1/accounts/${phone.account.address.toString("hex", 2)}`;
    const codeOf = async (token: string): Promise<number | undefined> => {
      try {
        (await Stranger.open({ port: node.port as number, token })).drop();
        return 0;
      } catch (error) {
        return (error as ConnectionEnded).end.code;
      }
    };
    const first = mint(phone);
    expect(await codeOf(first)).toBe(206);
    await serviceCall(adminPort, brand, "PUT", account);
    expect(await codeOf(first)).toBe(206);
    await serviceCall(adminPort, brand, "PUT", `${account}/devices/1`);
    expect(await codeOf(first)).toBe(0);
    await serviceCall(adminPort, brand, "DELETE", `${account}/devices/1`);
    expect(await codeOf(first)).toBe(205);
    const removedMs = Date.now();
    // By an issuer whose clock is ahead by as much as it may be.
    const second = mint(phone, { claims: { iat: (removedMs + 5_001) / 1000 } });
    await until("a newer token can have been issued", async () => (await codeOf(second)) !== 201);
    expect(await codeOf(second)).toBe(206);
    await serviceCall(adminPort, brand, "PUT", `${account}/devices/1`);
    expect(await codeOf(second)).toBe(0);
    expect(await codeOf(first)).toBe(205);
    expect(await codeOf(mint(phone, { claims: { iat: undefined } }))).toBe(205);
  });
});

test("a service's token signs no device in", async () => {
  const world = new World({ brands: 1, accountsPerBrand: 1, devices: () => 1 });
  const [phone] = world.devices;
  if (phone === undefined) throw new Error("a world has somebody");
  node = await createNode({
    dataDirectory: directory,
    port: 0,
    brands: world.brandSettings() as BrandSettings[],
  });
  const token = mintService(phone.account.brand);
  const opening = Stranger.open({ port: node.port as number, token });
  await expect(opening).rejects.toMatchObject({ end: { code: 201 } });
});
