/** Names are found by those who may reach their accounts, and one answer stands for all that is not to be known. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { accountAddress, deviceAddress } from "../../src/base/address.js";
import { nameMethods } from "../../src/directory/names.js";
import { RateLimiter } from "../../src/directory/rate-limiter.js";
import { Requests } from "../../src/directory/requests.js";
import { limits } from "../../src/rules/limits.js";
import type { Store } from "../../src/store/store.js";
import { MsgpackWriter } from "../../src/wire/msgpack-writer.js";
import { StoreFixture } from "../support/store-fixture.js";

const id = (n: number) => new Uint8Array(16).fill(n);
const caller = deviceAddress({ brand: 1, account: id(1), device: 1 });
const bob = accountAddress(2, id(2));
const eve = accountAddress(3, id(3));
const name = (text: string) => new Uint8Array(Buffer.from(text));

let fixture: StoreFixture;
let store: Store;
let nowMs: number;
beforeEach(async () => {
  fixture = new StoreFixture();
  store = await fixture.open();
  nowMs = 0;
  await store.registerDevice(bob, 4);
  await store.registerDevice(eve, 5);
  await store.giveName(bob, { brand: 2, name: name("bob") });
  await store.giveName(eve, { brand: 3, name: name("eve") });
});
afterEach(() => fixture.cleanUp());

/** Brand 3 is closed to brand 1. */
function service(): Requests {
  return new Requests(
    nameMethods({
      store,
      clock: { wallMs: () => 0, monotonicMs: () => nowMs },
      limits,
      mayReach: (_, to) => to[1] !== 3,
    }),
  );
}

function ask(requests: Requests, brand: number, text: string, device = caller) {
  const writer = new MsgpackWriter();
  writer.value({ brand, name: name(text) });
  return requests.serve(device, "accounts.resolve", writer.take());
}

test("a name gives the account and its roster", async () => {
  expect(await ask(service(), 2, "bob")).toEqual({ body: { account: bob, version: 1, devices: [4] } });
});

test.each([
  ["a name that nobody has", 2, "nobody"],
  ["a name in another brand", 1, "bob"],
  ["a brand that does not exist", 77, "bob"],
  ["an account that may not be reached", 3, "eve"],
  ["nobody, in a brand that may not be reached", 3, "nobody"],
])("%s is the same answer", async (_, brand, text) => {
  expect(await ask(service(), brand, text)).toEqual({ code: "notFound", retryAfterMs: 0 });
});

test("a removed account is not found by its name, nor by a name that was taken from it", async () => {
  await store.giveName(bob, { brand: 2, name: name("bobby") });
  await store.takeName({ brand: 2, name: name("bobby") });
  expect(await ask(service(), 2, "bobby")).toMatchObject({ code: "notFound" });
  await store.removeAccount(bob, 0);
  expect(await ask(service(), 2, "bob")).toMatchObject({ code: "notFound" });
});

test("one device may ask so often, whatever it asks, and another as often", async () => {
  const requests = service();
  for (let i = 0; i < limits.resolvesBurst; i++) await ask(requests, 2, i % 2 === 0 ? "bob" : "nobody");
  const waitMs = 1000 / limits.resolvesPerSecond;
  expect(await ask(requests, 2, "bob")).toEqual({ code: "rateLimited", retryAfterMs: waitMs });
  const other = deviceAddress({ brand: 1, account: id(1), device: 2 });
  expect(await ask(requests, 2, "bob", other)).toMatchObject({ body: { devices: [4] } });
  nowMs += waitMs;
  expect(await ask(requests, 2, "bob")).toMatchObject({ body: { devices: [4] } });
  expect(await ask(requests, 2, "bob")).toMatchObject({ code: "rateLimited" });
});

test("a name is looked for only when it may be one", async () => {
  const requests = service();
  for (const body of [
    { brand: 0, name: name("x") },
    { brand: 2, name: name("") },
    { brand: 2, name: new Uint8Array(129) },
  ]) {
    const writer = new MsgpackWriter();
    writer.value(body);
    expect(await requests.serve(caller, "accounts.resolve", writer.take())).toMatchObject({
      code: "badRequest",
    });
  }
});

test("a full limiter forgets whom it has counted longest", () => {
  const clock = { monotonicMs: () => 0, wallMs: () => 0 };
  const limiter = new RateLimiter({ burst: 1, perSecond: 1, countedMax: 2, clock });
  const [a, b, c] = [Uint8Array.of(1), Uint8Array.of(2), Uint8Array.of(3)];
  const limited = expect.objectContaining({ code: "rateLimited", retryAfterMs: 1_000 });
  limiter.take(a);
  expect(() => limiter.take(a)).toThrow(limited);
  limiter.take(b);
  limiter.take(c);
  expect(() => limiter.take(b)).toThrow(limited);
  limiter.take(a);
});
