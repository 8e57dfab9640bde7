/** What is built in, against a push service and a gateway of the test: what they get, and what the node makes of answers. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import webPush from "web-push";
import { systemClock } from "../../src/base/clock.js";
import { HttpPost } from "../../src/push/http-post.js";
import { BuiltInSender, type PushSettings } from "../../src/push/senders.js";
import { limits } from "../../src/rules/limits.js";
import type { PushOutcome } from "../../src/rules/push.js";
import { PushEndpoint, verifyWebhook, verifyWebPush } from "../support/push-endpoint.js";

const keys = { subject: "mailto:ops@red.example", ...webPush.generateVAPIDKeys() };
const blueKeys = { subject: "https://blue.example", ...webPush.generateVAPIDKeys() };
const secret = "a secret of the red brand";

let endpoint: PushEndpoint;
const senders: BuiltInSender[] = [];
beforeEach(async () => {
  endpoint = await PushEndpoint.start();
});
afterEach(async () => {
  for (const sender of senders.splice(0)) sender.close();
  await endpoint.stop();
});

function senderWith(settings: PushSettings, clock = systemClock): BuiltInSender {
  const sender = new BuiltInSender(settings, clock);
  senders.push(sender);
  return sender;
}

function webPushSender(clock = systemClock): BuiltInSender {
  const brands = [{ brand: "blue", ...blueKeys }];
  return senderWith(
    { webPush: { ...keys, brands, hosts: ["127.0.0.1"], allowPrivateEndpoints: true } },
    clock,
  );
}

function wake(sender: BuiltInSender, kind: string, target: string, brand = "red", signal = never()) {
  return sender.send({ kind, target: new TextEncoder().encode(target), brand, urgency: "high" }, signal);
}

function never(): AbortSignal {
  return new AbortController().signal;
}

describe("web push", () => {
  test("is an empty message with its time, urgency and topic, signed by the brand's key for the service's origin", async () => {
    const sender = webPushSender();
    expect(await wake(sender, "webPush", `${endpoint.origin}/a`)).toMatchObject({ result: "sent" });
    await wake(sender, "webPush", `${endpoint.origin}/b`, "blue");
    const [a, b] = endpoint.requests;
    if (a === undefined || b === undefined) throw new Error("two requests");
    const sent = await verifyWebPush(a, { origin: endpoint.origin, publicKey: keys.publicKey });
    expect(sent).toMatchObject({ method: "POST", ttl: "86400", urgency: "high", topic: "interline" });
    expect(sent.body.length).toBe(0);
    expect(sent.claims.sub).toBe("mailto:ops@red.example");
    expect((sent.claims.exp as number) * 1000 - Date.now()).toBeLessThan(24 * 3600_000);
    const own = await verifyWebPush(b, { origin: endpoint.origin, publicKey: blueKeys.publicKey });
    expect(own.claims.sub).toBe("https://blue.example");
    // The judge does tell keys and origins apart.
    await expect(
      verifyWebPush(a, { origin: endpoint.origin, publicKey: blueKeys.publicKey }),
    ).rejects.toThrow();
    await expect(verifyWebPush(a, { origin: "http://other", publicKey: keys.publicKey })).rejects.toThrow();
  });

  test("is signed anew before the signature ends, and not for every message", async () => {
    let offsetMs = 0;
    const clock = { ...systemClock, wallMs: () => Date.now() + offsetMs };
    const sender = webPushSender(clock);
    for (const ms of [0, limits.pushSignatureReuseMs - 1_000, limits.pushSignatureReuseMs + 1_000]) {
      offsetMs = ms;
      await wake(sender, "webPush", `${endpoint.origin}/a`);
    }
    const [first, second, third] = endpoint.requests.map(({ headers }) => headers.authorization);
    expect(second).toBe(first);
    expect(third).not.toBe(first);
  });

  test.each([
    [404, "gone"],
    [410, "gone"],
    [403, "refused"],
    [429, "failed"],
  ] as const)("status %i: %s", async (status, result) => {
    endpoint.answer = () => ({ status, headers: { "retry-after": "7" } });
    const outcome = await wake(webPushSender(), "webPush", `${endpoint.origin}/a`);
    expect(outcome).toEqual({ result, status, retryAfterMs: 7_000 });
  });

  test("does not follow a redirect", async () => {
    endpoint.answer = () => ({ status: 307, headers: { location: `${endpoint.origin}/elsewhere` } });
    expect(await wake(webPushSender(), "webPush", `${endpoint.origin}/a`)).toMatchObject({
      result: "refused",
    });
    expect(endpoint.requests.length).toBe(1);
  });

  test("an endpoint that is not of the list is neither registered nor sent to", async () => {
    const sender = senderWith({ webPush: keys });
    const target = new TextEncoder().encode(`${endpoint.origin}/a`);
    expect(sender.fault("red", { kind: "webPush", target })).toMatch(/https/);
    expect(await wake(sender, "webPush", `${endpoint.origin}/a`)).toEqual({ result: "refused" });
    expect(endpoint.requests).toEqual([]);
  });

  test.each([
    ["a subject", { subject: "red.example" }],
    ["a public key", { publicKey: "AAAA" }],
    ["a private key", { privateKey: "private-canary" }],
  ])("%s that cannot be used is told at the start, and not quoted", (_, wrong) => {
    const build = () => new BuiltInSender({ webPush: { ...keys, ...wrong } });
    expect(build).toThrow(expect.objectContaining({ code: "badConfiguration" }));
    expect(build).not.toThrow(/canary/);
  });
});

describe("a webhook", () => {
  const webhooks = () => [{ brand: "red", url: `${endpoint.origin}/wake`, secret }];

  test("gets the target and the urgency, signed, and nothing else", async () => {
    const sender = senderWith({ webhooks: webhooks() });
    expect(await wake(sender, "webhook", "token-of-a-phone")).toMatchObject({ result: "sent" });
    const [request] = endpoint.requests;
    if (request === undefined) throw new Error("one request");
    expect(request.headers["content-type"]).toBe("application/json");
    const target = Buffer.from("token-of-a-phone").toString("base64url");
    expect(verifyWebhook(request, secret)).toEqual({ target, urgency: "high" });
    expect(() => verifyWebhook(request, "another secret")).toThrow();
    expect(() => verifyWebhook({ ...request, body: Buffer.from("{}") }, secret)).toThrow();
  });

  test("is dead by 410 and not by 404", async () => {
    const sender = senderWith({ webhooks: webhooks() });
    const results: string[] = [];
    for (const status of [404, 410]) {
      endpoint.answer = () => ({ status });
      results.push((await wake(sender, "webhook", "x")).result);
    }
    expect(results).toEqual(["refused", "gone"]);
  });

  test("is its brand's alone", async () => {
    const sender = senderWith({ webPush: keys, webhooks: webhooks() });
    expect(sender.kinds("red").map(({ kind }) => kind)).toEqual(["webPush", "webhook"]);
    expect(sender.kinds("blue")).toEqual([{ kind: "webPush", publicKey: keys.publicKey }]);
    expect(await wake(sender, "webhook", "x", "blue")).toEqual({ result: "refused" });
    expect(endpoint.requests).toEqual([]);
  });

  test("to plain http elsewhere is a fault of the configuration", () => {
    const webhook = { brand: "red", url: "http://push.example/wake", secret };
    expect(() => new BuiltInSender({ webhooks: [webhook] })).toThrow(/https/);
  });
});

describe("a request", () => {
  const options = { headers: {}, body: "", signal: never() };

  test("does not go to an address that is not public, whatever the name", async () => {
    const url = `http://localhost:${endpoint.port}/a`;
    const guarded = new HttpPost({ guardsAddresses: true });
    await expect(guarded.send(url, options)).rejects.toThrow(/not public/);
    expect(endpoint.requests).toEqual([]);
    const open = new HttpPost({ guardsAddresses: false });
    expect(await open.send(url, options)).toMatchObject({ status: 201 });
    for (const post of [guarded, open]) post.close();
  });

  test("that is not answered ends with its signal", async () => {
    endpoint.answer = () => ({ status: 0, isSilent: true });
    const started = performance.now();
    const signal = AbortSignal.timeout(50);
    const sent: Promise<PushOutcome> = wake(
      webPushSender(),
      "webPush",
      `${endpoint.origin}/a`,
      "red",
      signal,
    );
    await expect(sent).rejects.toThrow();
    expect(performance.now() - started).toBeLessThan(5_000);
  });

  test("whose answer is long is over when that is seen", async () => {
    endpoint.answer = () => ({ status: 201, body: "x".repeat(8 * 1024 * 1024) });
    expect(await wake(webPushSender(), "webPush", `${endpoint.origin}/a`)).toMatchObject({ result: "sent" });
  });

  test("without anybody there is rejected", async () => {
    const gone = await PushEndpoint.start();
    const url = `${gone.origin}/a`;
    await gone.stop();
    await expect(wake(webPushSender(), "webPush", url)).rejects.toThrow();
  });
});
