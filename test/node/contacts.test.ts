/** Signals and presence over sockets: to those who have agreed, to nobody else, and never to the disk. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { toHex } from "../../src/base/bytes.js";
import { type Client, createClient } from "../../src/client/client.js";
import { nodeTransport } from "../../src/client/node-transport.js";
import type { BrandSettings } from "../../src/directory/sign-in.js";
import { accountOf, createNode, type InterlineNode } from "../../src/index.js";
import { limits } from "../../src/rules/limits.js";
import { checkDirectory } from "../../src/store/store.js";
import { freshAccount } from "../client/contract.js";
import { freePort } from "../support/node-process.js";
import { serviceCall } from "../support/timing.js";
import { until } from "../support/until.js";
import { World, type WorldBrand } from "../support/world.js";

/** As short as they may be: what is looked for is the order of things. */
const LIMITS = { presenceOnlineMs: 20, presenceOfflineMs: 60, presenceTickMs: 10 };
/** Time enough for whatever was wrongly on its way. */
const QUIET_MS = 150;
const CANARY = "canary of a signal, never on disk";

let directory: string;
let node: InterlineNode;
let port: number;
const people: Person[] = [];

async function start(): Promise<void> {
  node = await createNode({ dataDirectory: directory, port, limits: LIMITS });
}

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "interline-contacts-"));
  port = await freePort();
  await start();
});
afterEach(async () => {
  await Promise.all(people.splice(0).map(({ client }) => client.close()));
});
afterAll(async () => {
  await node.stop();
  const report = await checkDirectory(directory);
  const files = readdirSync(directory).map((file) => readFileSync(join(directory, file), "latin1"));
  rmSync(directory, { recursive: true });
  expect(report.findings).toEqual([]);
  expect(report.contacts.agreements).toBeGreaterThan(5);
  expect(files.filter((text) => text.includes(CANARY))).toEqual([]);
  // What was sent as an envelope is there: so it would have been found.
  expect(files.some((text) => text.includes(CONTROL))).toBe(true);
});
const CONTROL = "canary of an envelope, on disk";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A device and what came to it. */
class Person {
  readonly client: Client;
  readonly account: Uint8Array;
  readonly signals: string[] = [];
  readonly seen: string[] = [];
  readonly number: number;

  constructor(name: { brand: string; account: string; device: number }) {
    this.account = accountOf(node.address(name));
    this.number = name.device;
    const token = () => node.mintToken(name);
    this.client = createClient({
      url: `ws://127.0.0.1:${port}`,
      token,
      transport: nodeTransport(),
      backOff: { baseMs: 20, capMs: 50 },
    });
    this.client.on("signal", ({ payload }) => void this.signals.push(new TextDecoder().decode(payload)));
    this.client.on("presence", ({ account, isOnline }) => {
      this.seen.push(
        `${isOnline ? "+" : "-"}${people.findIndex((one) => toHex(one.account) === toHex(account))}`,
      );
    });
    this.client.on("envelope", () => {});
    people.push(this);
  }

  type(text: string, ...to: Person[]): void {
    const devices = (person: Person) => [{ device: person.number, payload: bytes(`${CANARY} ${text}`) }];
    this.client.signal({ to: to.map((person) => ({ account: person.account, devices: devices(person) })) });
  }

  /** Resolves when the node has read everything that this device sent. */
  async settled(): Promise<void> {
    await this.client.roster(this.account);
  }
}

async function come(brand = "whatsapp", of?: Person): Promise<Person> {
  const account = of === undefined ? freshAccount(brand).account : toHex(of.account.subarray(2));
  const person = new Person({ brand, account, device: of === undefined ? 1 : of.number + 1 });
  const live = person.client.once("live");
  await person.client.connect();
  await live;
  return person;
}

async function agree(a: Person, b: Person, scope?: "signals" | "presence"): Promise<void> {
  await a.client.contacts.allow(b.account, scope);
  await b.client.contacts.allow(a.account, scope);
}

const sawLast = (person: Person, what: string) =>
  until(`${what} is seen`, () => person.seen.at(-1) === what, 5_000);

describe("agreements", () => {
  it("are given, listed and taken back, by any device of the account", async () => {
    const ada = await come();
    const phone = await come("whatsapp", ada);
    const ben = await come("instagram");
    expect(await ada.client.contacts.list()).toEqual([]);
    await ada.client.contacts.allow(ben.account, "signals");
    await phone.client.contacts.allow(ben.account, "presence");
    expect(await ada.client.contacts.list()).toEqual([
      { account: ben.account, signals: true, presence: true },
    ]);
    expect(await ben.client.contacts.list()).toEqual([]);
    await ada.client.contacts.withdraw(ben.account, "signals");
    expect(await phone.client.contacts.list()).toEqual([
      { account: ben.account, signals: false, presence: true },
    ]);
    await ada.client.contacts.withdraw(ben.account);
    await ada.client.contacts.withdraw(ben.account);
    expect(await ada.client.contacts.list()).toEqual([]);
  });

  it("may be made with nobody, which is not told from anybody", async () => {
    const ada = await come();
    const ben = await come();
    await ben.client.contacts.allow(ada.account);
    const answers = [];
    for (const account of [ben.account, accountOf(node.address({ ...freshAccount("messenger"), device: 1 }))])
      answers.push(
        await ada.client.request({ method: "contacts.allow", body: { account, covers: 3 } }),
        await ada.client.request({ method: "contacts.withdraw", body: { account, covers: 3 } }),
      );
    expect(answers).toEqual([{}, {}, {}, {}]);
  });

  it("are refused when they make no sense", async () => {
    const ada = await come();
    const ask = (method: string, account: Uint8Array, covers: number) =>
      ada.client.request({ method, body: { account, covers } }).then(
        () => "done",
        ({ code }) => code,
      );
    const ben = (await come()).account;
    expect(await ask("contacts.allow", ada.account, 3)).toBe("badRequest");
    expect(await ask("contacts.allow", ben, 0)).toBe("badRequest");
    expect(await ask("contacts.withdraw", ben, 4)).toBe("badRequest");
    expect(await ask("contacts.allow", ben.subarray(1), 3)).toBe("badRequest");
    expect(await ask("contacts.allow", new Uint8Array(18).fill(1), 3)).toBe("brandsClosed");
    const codes = await Promise.all(
      Array.from({ length: 16 }, async () => {
        const made = [];
        for (let i = 0; i <= limits.contactChangesBurst / 16; i++)
          made.push(await ask("contacts.allow", ben, 3));
        return made;
      }),
    );
    expect(new Set(codes.flat())).toEqual(new Set(["done", "rateLimited"]));
  });
});

describe("signals", () => {
  it("pass while both have agreed, in both directions, and not a moment longer", async () => {
    const [ada, ben] = [await come(), await come("instagram")];
    const phone = await come("whatsapp", ada);
    ada.type("to nobody who agreed", ben);
    await ada.client.contacts.allow(ben.account);
    ada.type("half agreed", ben);
    ben.type("half agreed", ada);
    await Promise.all([ada.settled(), ben.settled()]);
    await ben.client.contacts.allow(ada.account, "signals");
    ada.type("one", ben, phone);
    ben.type("two", ada);
    await until("both came", () => ben.signals.length > 0 && ada.signals.length > 0);
    await ben.client.contacts.withdraw(ada.account);
    ada.type("late", ben);
    ben.type("late", ada);
    await Promise.all([ada.settled(), ben.settled()]);
    await delay(QUIET_MS);
    expect([ada.signals, ben.signals, phone.signals]).toEqual([
      [`${CANARY} two`],
      [`${CANARY} one`],
      [`${CANARY} one`],
    ]);
  });

  it("never reach the disk, where envelopes do", async () => {
    const [ada, ben] = [await come(), await come("messenger")];
    await agree(ada, ben);
    for (let i = 0; i < 20; i++) ada.type(`${i}`, ben);
    await until("they came", () => ben.signals.length === 20);
    const devices = [{ device: 1, payload: bytes(CONTROL) }];
    await ada.client.send({ to: [{ account: ben.account, version: 1, devices }] });
  });
});

describe("presence", () => {
  it("is seen by those who watch and have agreed, comes with each connection, and goes with the agreement", async () => {
    const [ada, ben, cleo] = [await come(), await come("instagram"), await come("messenger")];
    await agree(ada, ben, "presence");
    await agree(ada, cleo, "signals");
    await ada.client.contacts.watchPresence();
    await sawLast(ada, "+1");
    await ben.client.close();
    await sawLast(ada, "-1");
    const back = await come("instagram", ben);
    await sawLast(ada, "+1");
    await back.client.contacts.withdraw(ada.account);
    await sawLast(ada, "-1");
    await back.client.close();
    await delay(QUIET_MS);
    await come("instagram", back);
    await delay(QUIET_MS);
    // At first he may not have been here for long enough to be said so.
    expect(ada.seen.slice(ada.seen[0] === "-1" ? 1 : 0)).toEqual(["+1", "-1", "+1", "-1"]);
    expect([ben.seen, cleo.seen, back.seen]).toEqual([[], [], []]);
  });
});

it("who is removed is seen as gone at once, and stays in the lists of others, who are not told", async () => {
  const world = new World({ brands: 1, accountsPerBrand: 2, devices: () => 1 });
  const own = mkdtempSync(join(tmpdir(), "interline-contacts-removed-"));
  const adminPort = await freePort();
  const other = await createNode({
    dataDirectory: own,
    port: 0,
    admin: { port: adminPort },
    brands: world.brandSettings() as BrandSettings[],
    limits: { ...LIMITS, presenceOfflineMs: 60_000 },
  });
  const [ada, ben] = world.devices.map((device) => ({
    address: device.account.address,
    client: createClient({
      url: other.url as string,
      token: () => world.token(device),
      transport: nodeTransport(),
    }),
  })) as [Removable, Removable];
  const seen: boolean[] = [];
  ada.client.on("presence", ({ isOnline }) => void seen.push(isOnline));
  try {
    await Promise.all([ada.client.connect(), ben.client.connect()]);
    await ada.client.contacts.watchPresence();
    await Promise.all([ada.client.contacts.allow(ben.address), ben.client.contacts.allow(ada.address)]);
    await until("he is here", () => seen.at(-1) === true);
    const id = ben.address.toString("hex", 2);
    await serviceCall(adminPort, world.brands[0] as WorldBrand, "DELETE", `/v1/accounts/${id}`);
    await until("he is gone", () => seen.at(-1) === false, 5_000);
    expect(await ada.client.contacts.list()).toMatchObject([{ signals: true, presence: true }]);
  } finally {
    await Promise.all([ada.client.close(), ben.client.close()]);
    await other.stop();
  }
  const report = await checkDirectory(own);
  rmSync(own, { recursive: true });
  expect(report.findings).toEqual([]);
  expect(report.contacts).toEqual({ agreements: 1, ends: 1 });
});

interface Removable {
  readonly address: Buffer;
  readonly client: Client;
}

it("a restart keeps agreements, and the client asks anew to be told", async () => {
  const [ada, ben] = [await come(), await come("instagram")];
  await agree(ada, ben);
  const other = await come("messenger");
  await agree(ada, other);
  await other.client.contacts.withdraw(ada.account, "signals");
  await ada.client.contacts.watchPresence();
  await until(
    "both are seen",
    () => new Set(ada.seen).size >= 2 && ada.seen.includes("+1") && ada.seen.includes("+2"),
  );
  await node.stop();
  ada.seen.length = 0;
  // More than the new connection may have under way, and asked before it asks to be told.
  const asked = Array.from({ length: limits.requestsUnderWayMax + 1 }, () => ada.client.contacts.list());
  const answers = Promise.allSettled(asked);
  await start();
  // A drained node's devices come back within drainRetryMaxMs.
  const backMs = limits.drainRetryMaxMs + 5_000;
  await until("both are seen again", () => ada.seen.includes("+1") && ada.seen.includes("+2"), backMs);
  expect(new Set((await answers).map(({ status }) => status))).toEqual(new Set(["fulfilled"]));
  ada.type("again", ben, other);
  await until("the signal came", () => ben.signals.length > 0);
  await delay(QUIET_MS);
  expect([ben.signals, other.signals]).toEqual([[`${CANARY} again`], []]);
});
