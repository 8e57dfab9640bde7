/** Requests over a connection that speaks for nobody: who serves them, how many, and when a refused token is told. */
import { afterEach, expect, it } from "vitest";
import type { ServeUnidentified } from "../../src/path/shapes.js";
import { codes } from "../../src/wire/codes.js";
import { World } from "./harness.js";
import { Unidentified } from "./unidentified.js";

let world: World;
afterEach(() => world.remove());

async function open(
  serveUnidentified: ServeUnidentified,
  limits: NonNullable<Parameters<typeof World.open>[0]>["limits"] = {},
): Promise<void> {
  world = await World.open({ serveUnidentified, limits: { sealedRefusalMs: 10, ...limits } });
}

const BODY = Uint8Array.of(0x80);
const claim = (request: number) => ({ kind: "request" as const, request, method: "keys.claim", body: BODY });
const settled = () => new Promise((resolve) => setImmediate(resolve));
const answersOf = ({ connection }: Unidentified) =>
  connection.of("answer").map(({ request, code }) => `${request} ${code}`);

it("a request is served for the brand alone, and answered when it is done, in any order", async () => {
  const asked: unknown[] = [];
  const finish = new Map<string, () => void>();
  await open((brand, method, body) => {
    asked.push([brand, method, [...body]]);
    return new Promise((resolve) =>
      finish.set(`${asked.length}`, () => resolve({ body: { n: asked.length } })),
    );
  });
  const nobody = new Unidentified(world, 3).say(claim(7), { kind: "ping", nonce: 1 }, claim(8));
  world.turn();
  expect(asked).toEqual([
    [3, "keys.claim", [0x80]],
    [3, "keys.claim", [0x80]],
  ]);
  expect(nobody.connection.of("pong")).toHaveLength(1);
  finish.get("2")?.();
  await settled();
  finish.get("1")?.();
  await settled();
  expect(answersOf(nobody)).toEqual(["8 0", "7 0"]);
});

it("that a token opens nothing is told no sooner than the bound, also while sends are answered", async () => {
  await open(async () => ({ code: "deliveryTokenRefused" }));
  const nobody = new Unidentified(world).say(claim(1));
  world.turn();
  await settled();
  world.later(9).turn();
  expect(answersOf(nobody)).toEqual([]);
  expect(world.path.isWaiting).toBe(true);
  nobody.say({ kind: "ping", nonce: 1 }, claim(2));
  world.turn();
  await settled();
  world.later(1).turn();
  expect(answersOf(nobody)).toEqual([`1 ${codes.deliveryTokenRefused.code}`]);
  world.later(9).turn();
  expect(nobody.connection.of("answer")).toEqual([
    { kind: "answer", request: 1, code: codes.deliveryTokenRefused.code, retryAfterMs: 0, body: {} },
    { kind: "answer", request: 2, code: codes.deliveryTokenRefused.code, retryAfterMs: 0, body: {} },
  ]);
  await world.settle();
  expect(world.path.isWaiting).toBe(false);
});

it("beyond what a connection may ask it is told to wait, whatever came of it, and another connection may go on", async () => {
  let served = 0;
  await open(
    async () => {
      served++;
      return { code: served % 2 === 0 ? "notFound" : "deliveryTokenRefused" };
    },
    { sealedClaimTokens: 3, sealedClaimRefillMs: 1_000 },
  );
  const nobody = new Unidentified(world);
  for (let i = 1; i <= 5; i++) {
    nobody.say(claim(i));
    world.turn();
    await settled();
  }
  world.later(10).turn();
  expect(served).toBe(3);
  const limited = nobody.connection.of("answer").filter(({ code }) => code === codes.rateLimited.code);
  expect(limited.map(({ request }) => request)).toEqual([4, 5]);
  expect(limited[0]?.retryAfterMs).toBeGreaterThan(900);
  new Unidentified(world).say(claim(1));
  world.turn();
  expect(served).toBe(4);
  world.later(1_000);
  nobody.say(claim(6));
  world.turn();
  expect(served).toBe(5);
});

it("no more are under way than may be", async () => {
  await open(() => new Promise(() => {}), { requestsUnderWayMax: 2 });
  const nobody = new Unidentified(world).say(claim(1), claim(2), claim(3));
  world.turn();
  expect(answersOf(nobody)).toEqual([`3 ${codes.tooManyRequests.code}`]);
});

it("answers for a connection that is gone go nowhere", async () => {
  const finish: (() => void)[] = [];
  await open(
    (_brand, _method, body) =>
      new Promise((resolve) =>
        finish.push(() => resolve(body.length > 1 ? {} : { code: "deliveryTokenRefused" })),
      ),
  );
  const nobody = new Unidentified(world).say(claim(1), {
    ...claim(2),
    body: Uint8Array.of(0x81, 0xa1, 0x61, 0x01),
  });
  world.turn();
  world.path.detach(nobody.slot, nobody.connection);
  for (const done of finish) done();
  await settled();
  world.later(20).turn();
  expect(answersOf(nobody)).toEqual([]);
  expect(world.path.isWaiting).toBe(false);
  expect(finish).toHaveLength(2);
});
