/** Requests: admitted within bounds, served one beside the other, answered while the connection is there. */
import { afterEach, expect, it } from "vitest";
import { limits } from "../../src/rules/limits.js";
import type { RequestOutcome } from "../../src/rules/requests.js";
import { codes } from "../../src/wire/codes.js";
import { type Device, World } from "./harness.js";

interface Served {
  readonly device: Uint8Array;
  readonly method: string;
  readonly body: Uint8Array;
  readonly answer: (outcome: RequestOutcome) => Promise<void>;
}

let world: World;
let served: Served[];

async function open(): Promise<Device> {
  served = [];
  world = await World.open({
    serveRequest: (device, method, body) =>
      new Promise((resolve) => {
        const answer = async (outcome: RequestOutcome): Promise<void> => {
          resolve(outcome);
          await new Promise((done) => setImmediate(done));
        };
        served.push({ device, method, body, answer });
      }),
  });
  return world.device(1, 1).connect();
}

afterEach(() => world.remove());

function ask(device: Device, request: number, method = "things.do"): void {
  device.say({ kind: "request", request, method, body: Uint8Array.of(0x81, 0xa1, 0x78, request & 0x7f) });
}

it("are answered in any order, each under its number", async () => {
  const alice = await open();
  ask(alice, 1);
  ask(alice, 2, "things.undo");
  world.turn();
  expect(served.map(({ method, body }) => [method, body[3]])).toEqual([
    ["things.do", 1],
    ["things.undo", 2],
  ]);
  expect(served[0]?.device).toEqual(alice.address);
  await served[1]?.answer({ body: { done: true } });
  await served[0]?.answer({ code: "notFound", retryAfterMs: 0 });
  expect(alice.connection.of("answer")).toEqual([
    { kind: "answer", request: 2, code: 0, retryAfterMs: 0, body: { done: true } },
    { kind: "answer", request: 1, code: codes.notFound.code, retryAfterMs: 0, body: {} },
  ]);
});

it("keep their body when the inbox is written over", async () => {
  const alice = await open();
  ask(alice, 7);
  world.turn();
  for (let i = 0; i < 50; i++) alice.say({ kind: "ping", nonce: i });
  world.turn();
  expect([...(served[0] as Served).body]).toEqual([0x81, 0xa1, 0x78, 7]);
});

it("beyond the number under way are refused, until one is answered", async () => {
  const alice = await open();
  for (let i = 1; i <= limits.requestsUnderWayMax + 1; i++) ask(alice, i);
  world.turn();
  expect(served.length).toBe(limits.requestsUnderWayMax);
  expect(alice.connection.of("answer")).toMatchObject([
    { request: limits.requestsUnderWayMax + 1, code: codes.tooManyRequests.code },
  ]);
  await served[0]?.answer({});
  ask(alice, 100);
  world.turn();
  expect(served.length).toBe(limits.requestsUnderWayMax + 1);
});

it("that come too fast are refused with the time to wait, and taken after it", async () => {
  const alice = await open();
  let asked = 0;
  const askOne = async (): Promise<void> => {
    ask(alice, ++asked);
    world.turn();
    await served.at(-1)?.answer({});
  };
  while (asked < limits.requestsBurst) await askOne();
  expect(alice.connection.of("answer").every(({ code }) => code === 0)).toBe(true);
  await askOne();
  const refused = alice.connection.of("answer").at(-1);
  expect(refused).toMatchObject({
    code: codes.rateLimited.code,
    retryAfterMs: 1000 / limits.requestsPerSecond,
  });
  world.later(1000 / limits.requestsPerSecond);
  await askOne();
  expect(served.length).toBe(limits.requestsBurst + 1);
});

it("of a connection that is gone are answered to nobody, not to the one after it", async () => {
  const alice = await open();
  ask(alice, 1);
  world.turn();
  const old = alice.connection;
  await alice.connect();
  await served[0]?.answer({});
  expect([...old.of("answer"), ...alice.connection.of("answer")]).toEqual([]);
});

it("whose frame has no number, or no name, end the connection", async () => {
  const alice = await open();
  world.path.receive(alice.slot, Uint8Array.of(0x94, 7, 0xa1, 0x78, 0xa1, 0x78, 0x80));
  world.turn();
  expect(alice.connection.ended).toBe("badFrame");
});
