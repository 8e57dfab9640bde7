/** When a device is woken, what an answer means, and where the node sends to: tables. */
import { describe, expect, test } from "vitest";
import {
  endpointFault,
  isPublicAddress,
  nextStep,
  outcomeOf,
  type PushOutcome,
  pushServiceHosts,
  retryAfterMsOf,
  wakeDelayMs,
  webhookFault,
} from "../../src/rules/push.js";

describe("a wake-up", () => {
  const intervalMs = 60;
  const nowMs = 1_000;
  test.each([
    ["never woken", { settledMs: 0, hasConnected: false }, "stored", 0],
    ["woken just now", { settledMs: 990, hasConnected: false }, "stored", undefined],
    ["woken an interval ago", { settledMs: 940, hasConnected: false }, "stored", 0],
    ["has connected since", { settledMs: 999, hasConnected: true }, "stored", 0],
    ["woken just now, and it left", { settledMs: 990, hasConnected: false }, "left", 50],
    ["connected just now, and it left", { settledMs: 990, hasConnected: true }, "left", 50],
    ["connected long ago, and it left", { settledMs: 900, hasConnected: true }, "left", 0],
    [
      "left, woken in what the clock says is the future",
      { settledMs: 5_000, hasConnected: false },
      "left",
      60,
    ],
    ["woken in what the clock says is the future", { settledMs: 1_001, hasConnected: false }, "stored", 0],
    ["woken at this moment", { settledMs: 1_000, hasConnected: false }, "stored", undefined],
  ] as const)("%s", (_, history, occasion, expected) => {
    expect(wakeDelayMs(history, { occasion, nowMs, intervalMs })).toBe(expected);
  });
});

describe("after an attempt", () => {
  const bounds = { pushAttemptsMax: 4, pushRetryBaseMs: 100, pushRetryCapMs: 300 };
  test.each([
    [{ result: "sent" }, 1, 0, { step: "settle" }],
    [{ result: "gone" }, 1, 0, { step: "forget" }],
    [{ result: "refused" }, 1, 0, { step: "giveUp" }],
    [{ result: "failed" }, 1, 0, { step: "retry", delayMs: 50 }],
    [{ result: "failed" }, 1, 1, { step: "retry", delayMs: 100 }],
    [{ result: "failed" }, 2, 1, { step: "retry", delayMs: 200 }],
    [{ result: "failed" }, 3, 1, { step: "retry", delayMs: 300 }],
    [{ result: "failed", retryAfterMs: 250 }, 1, 0, { step: "retry", delayMs: 250 }],
    [{ result: "failed", retryAfterMs: 1e9 }, 1, 0, { step: "retry", delayMs: 300 }],
    [{ result: "failed" }, 4, 0, { step: "giveUp" }],
  ] as const)("%o, attempt %i, random %d", (outcome: PushOutcome, attempt, random, expected) => {
    expect(nextStep(outcome, attempt, bounds, random)).toEqual(expected);
  });

  test.each([
    [200, "sent"],
    [201, "sent"],
    [204, "sent"],
    [301, "refused"],
    [400, "refused"],
    [401, "refused"],
    [403, "refused"],
    [404, "gone"],
    [408, "failed"],
    [410, "gone"],
    [413, "refused"],
    [429, "failed"],
    [500, "failed"],
    [503, "failed"],
  ] as const)("status %i of a push service", (status, expected) => {
    expect(outcomeOf(status, [404, 410])).toBe(expected);
  });

  test("of a gateway 404 is no death", () => {
    expect([404, 410].map((status) => outcomeOf(status, [410]))).toEqual(["refused", "gone"]);
  });

  test.each([
    [undefined, 0],
    ["7", 7_000],
    ["Thu, 01 Jan 1970 00:01:40 GMT", 40_000],
    ["Thu, 01 Jan 1970 00:00:10 GMT", 0],
    ["soon", 0],
  ])("Retry-After: %s", (header, expected) => {
    expect(retryAfterMsOf(header, 60_000)).toBe(expected);
  });
});

describe("an endpoint", () => {
  const usual = { hosts: pushServiceHosts, allowsPrivate: false };
  test.each([
    "https://fcm.googleapis.com/fcm/send/abc",
    "https://updates.push.services.mozilla.com/wpush/v2/abc",
    "https://web.push.apple.com/abc",
    "https://wns2-par02p.notify.windows.com/w/?token=abc",
  ])("%s is sent to", (url) => {
    expect(endpointFault(url, usual)).toBeUndefined();
  });

  test.each([
    ["no URL", "fcm.googleapis.com", /no URL/],
    ["plain http", "http://fcm.googleapis.com/x", /https/],
    ["another scheme", "file:///etc/passwd", /https/],
    ["a user", "https://a:b@fcm.googleapis.com/x", /user name/],
    ["a user that looks like the host", "https://fcm.googleapis.com@evil.example/x", /user name/],
    ["another host", "https://evil.example/x", /push service/],
    ["a host that begins like one", "https://fcm.googleapis.com.evil.example/x", /push service/],
    ["a host that ends like one", "https://evilpush.apple.com/x", /push service/],
    ["the bare name behind a star", "https://notify.windows.com/x", /push service/],
    ["this machine", "https://127.0.0.1/x", /push service/],
    ["this machine, in decimal", "https://2130706433/x", /push service/],
    ["a port", "https://fcm.googleapis.com:8443/x", /port/],
  ])("%s is not", (_, url, fault) => {
    expect(endpointFault(url, usual)).toMatch(fault);
  });

  test("of a bare address is not sent to although it is listed, but where a test allows it", () => {
    const hosts = ["192.0.2.7", "[2001:db8::1]", "127.0.0.1"];
    for (const url of ["https://192.0.2.7/x", "https://[2001:db8::1]/x"])
      expect(endpointFault(url, { hosts, allowsPrivate: false })).toMatch(/bare address/);
    expect(endpointFault("http://127.0.0.1:5/x", { hosts, allowsPrivate: true })).toBeUndefined();
    expect(endpointFault("http://127.0.0.2:5/x", { hosts, allowsPrivate: true })).toMatch(/push service/);
  });
});

test.each([
  ["8.8.8.8", true],
  ["142.250.74.10", true],
  ["2a00:1450:4001:82a::200a", true],
  ["2620:149:a44::1", true],
  ["0.0.0.0", false],
  ["10.1.2.3", false],
  ["100.64.0.1", false],
  ["127.0.0.1", false],
  ["169.254.169.254", false],
  ["172.16.0.1", false],
  ["172.31.255.255", false],
  ["192.168.1.1", false],
  ["198.18.0.1", false],
  ["224.0.0.1", false],
  ["255.255.255.255", false],
  ["::", false],
  ["::1", false],
  ["::ffff:10.0.0.1", false],
  ["::ffff:8.8.8.8", false],
  ["64:ff9b::a00:1", false],
  ["fc00::1", false],
  ["fe80::1", false],
  ["ff02::1", false],
  ["2001::1", false],
  ["2001:db8::1", false],
  ["2002:a00:1::1", false],
  ["localhost", false],
  ["", false],
])("%s is public: %s", (address, expected) => {
  expect(isPublicAddress(address)).toBe(expected);
});

test("a gateway needs https, but on this machine, and a secret that is one", () => {
  const secret = "0123456789abcdef";
  expect(webhookFault("https://push.example/wake", secret)).toBeUndefined();
  expect(webhookFault("http://127.0.0.1:5/wake", secret)).toBeUndefined();
  expect(webhookFault("http://push.example/wake", secret)).toMatch(/https/);
  expect(webhookFault("https://push.example/wake", "short")).toMatch(/16 characters/);
});
