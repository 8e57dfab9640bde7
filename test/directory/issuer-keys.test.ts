/** Promise C2: what is read, how often, and what happens while it cannot be read. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { KeySource } from "../../src/directory/issuer-keys.js";
import { SignIn } from "../../src/directory/sign-in.js";
import { limits } from "../../src/rules/limits.js";
import { keyUrlFault } from "../../src/rules/sign-in.js";
import { makeKey, sign, type TestKey } from "./issuer.js";

const NOW_S = 1_700_000_000;
let monotonicMs = 1_000;
const clock = { wallMs: () => NOW_S * 1000, monotonicMs: () => monotonicMs };
const first = makeKey("first");
const second = makeKey("second");

let directory: string;
const servers: Server[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "interline-keys-"));
});
afterEach(async () => {
  rmSync(directory, { recursive: true });
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

function open(keys: KeySource): Promise<SignIn> {
  const rules = { number: 1, name: "red", issuer: "red", audience: "interline", tokenType: "interline+jwt" };
  return SignIn.open([{ ...rules, algorithms: ["EdDSA"], keys }], clock);
}

function token(key: TestKey, kid = key.kid): string {
  return sign({
    header: { alg: "EdDSA", kid, typ: "interline+jwt" },
    claims: { iss: "red", aud: "interline", sub: "0".repeat(32), device: 1, exp: NOW_S + 60 },
    key,
  });
}

async function outcome(signIn: SignIn, text: string): Promise<string> {
  return signIn.signIn(text).then(
    () => "in",
    (error) => error.code,
  );
}

function setOf(...keys: TestKey[]): string {
  return JSON.stringify({ keys: keys.map((key) => key.publicJwk) });
}

async function serve(listener: RequestListener): Promise<{ url: string; requests: () => number }> {
  let requests = 0;
  const server = createServer((request, response) => {
    requests++;
    listener(request, response);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`, requests: () => requests };
}

describe("keys by URL", () => {
  test("are fetched once, and then used without another look for as long as they are fresh", async () => {
    const { url, requests } = await serve((_, response) => response.end(setOf(first)));
    const signIn = await open({ url });
    const outcomes = await Promise.all(Array.from({ length: 50 }, () => outcome(signIn, token(first))));
    expect(new Set(outcomes)).toEqual(new Set(["in"]));
    monotonicMs += limits.keysFreshMs;
    expect(await outcome(signIn, token(first))).toBe("in");
    expect(requests()).toBe(1);
  });

  test("a key that the brand has withdrawn signs nobody in once the set was read again", async () => {
    let body = setOf(first, second);
    const { url, requests } = await serve((_, response) => response.end(body));
    const signIn = await open({ url });
    expect(await outcome(signIn, token(first))).toBe("in");
    body = setOf(second);
    monotonicMs += limits.keysFreshMs + 1;
    expect(await outcome(signIn, token(first))).toBe("tokenInvalid");
    expect(await outcome(signIn, token(second))).toBe("in");
    expect(requests()).toBe(2);
  });

  test("an unknown key id has the set read again, but forged tokens cause no more than one fetch in 30 s", async () => {
    let body = setOf(first);
    const { url, requests } = await serve((_, response) => response.end(body));
    const signIn = await open({ url });
    expect(await outcome(signIn, token(first))).toBe("in");
    body = setOf(first, second);
    const forged = Array.from({ length: 2_000 }, (_, i) => outcome(signIn, token(second, `forged-${i}`)));
    expect(new Set(await Promise.all(forged))).toEqual(new Set(["tokenInvalid"]));
    expect(requests()).toBe(1);
    monotonicMs += limits.keyRefetchMs;
    expect(await outcome(signIn, token(second))).toBe("in");
    await Promise.all(Array.from({ length: 500 }, (_, i) => outcome(signIn, token(second, `again-${i}`))));
    expect(requests()).toBe(2);
    expect(signIn.keyReadings()).toBe(2);
  });

  const failures: [string, RequestListener][] = [
    ["answers with an error", (_, response) => response.writeHead(500).end("{}")],
    ["answers with no JSON", (_, response) => response.end("<html>")],
    ["answers with an empty set", (_, response) => response.end('{"keys":[]}')],
    [
      "answers with too many bytes",
      (_, response) => response.end(setOf(first) + " ".repeat(limits.keySetBytesMax)),
    ],
    ["redirects", (_, response) => response.writeHead(302, { location: "/elsewhere" }).end()],
    ["hangs up", (request) => request.socket.destroy()],
  ];
  test.each(failures)(
    "a source that %s is asked once in 30 s, whatever comes in, and sign-in says when to try again",
    async (_, listener) => {
      const { url, requests } = await serve(listener);
      const signIn = await open({ url });
      for (let round = 1; round <= 3; round++) {
        const outcomes = await Promise.all(
          Array.from({ length: 200 }, (_, i) =>
            outcome(signIn, token(first, i % 2 ? "first" : `forged-${i}`)),
          ),
        );
        expect(new Set(outcomes)).toEqual(new Set(["signInUnavailable"]));
        expect(requests()).toBe(round);
        const error = await signIn.signIn(token(first)).catch((reason) => reason);
        expect(error.retryAfterMs).toBeGreaterThanOrEqual(1_000);
        expect(error.retryAfterMs).toBeLessThanOrEqual(limits.keyRefetchMs);
        monotonicMs += limits.keyRefetchMs;
      }
    },
  );

  test("one that never answers holds a sign-in no longer than the fetch may take", async () => {
    const { url, requests } = await serve(() => undefined);
    const signIn = await open({ url });
    const start = performance.now();
    expect(await outcome(signIn, token(first))).toBe("signInUnavailable");
    expect(performance.now() - start).toBeLessThan(limits.keyFetchTimeoutMs + 2_000);
    expect(await outcome(signIn, token(first))).toBe("signInUnavailable");
    expect(requests()).toBe(1);
  }, 15_000);

  test("while it fails, known keys are used on for a bounded time", async () => {
    let up = true;
    const { url } = await serve((_, response) =>
      up ? response.end(setOf(first)) : response.writeHead(503).end(),
    );
    const signIn = await open({ url });
    expect(await outcome(signIn, token(first))).toBe("in");
    up = false;
    for (let waitedMs = 0; waitedMs + 600_000 < limits.keysStaleMs; waitedMs += 600_000) {
      monotonicMs += 600_000;
      expect(await outcome(signIn, token(first))).toBe("in");
      expect(await outcome(signIn, token(second))).toBe("signInUnavailable");
    }
    monotonicMs += 1_200_000;
    expect(await outcome(signIn, token(first))).toBe("signInUnavailable");
    up = true;
    monotonicMs += limits.keyRefetchMs;
    expect(await outcome(signIn, token(first))).toBe("in");
  });

  test("is never asked for a token that fails before its key matters, and never with anything from a token", async () => {
    const seen: string[] = [];
    const { url, requests } = await serve((request, response) => {
      seen.push(`${request.method} ${request.url} ${JSON.stringify(request.headers)}`);
      response.end(setOf(first));
    });
    const signIn = await open({ url });
    await outcome(signIn, token(first));
    monotonicMs += limits.keyRefetchMs;
    await outcome(signIn, "a.b.c");
    await outcome(
      signIn,
      sign({ header: { alg: "EdDSA", kid: "x", typ: "JWT" }, claims: { iss: "red" }, key: second }),
    );
    await outcome(
      signIn,
      sign({ header: { alg: "none", kid: "x", typ: "interline+jwt" }, claims: { iss: "red" }, key: second }),
    );
    await outcome(
      signIn,
      sign({ header: { alg: "EdDSA", kid: "x" }, claims: { iss: `${url}/evil` }, key: second }),
    );
    expect(requests()).toBe(1);
    await outcome(signIn, token(second, "canary-in-the-key-id"));
    expect(requests()).toBe(2);
    expect(seen.join("\n")).not.toContain("canary");
    expect(new Set(seen.map((line) => line.split(" ").slice(0, 2).join(" ")))).toEqual(
      new Set(["GET /keys"]),
    );
  });
});

describe("keys in a file", () => {
  test("are read at the start, again for an unknown key id, and at most once in 30 s", async () => {
    const file = join(directory, "keys.json");
    writeFileSync(file, setOf(first));
    const signIn = await open({ file });
    expect(await outcome(signIn, token(first))).toBe("in");
    writeFileSync(file, setOf(second));
    expect(await outcome(signIn, token(second))).toBe("tokenInvalid");
    expect(await outcome(signIn, token(first))).toBe("in");
    monotonicMs += limits.keyRefetchMs;
    expect(await outcome(signIn, token(second))).toBe("in");
    expect(await outcome(signIn, token(first))).toBe("tokenInvalid");
    expect(signIn.keyReadings()).toBe(2);
  });

  test.each([
    ["is not there", undefined, "no such file"],
    ["is no JSON", "{", "not JSON"],
    ["is no key set", "[]", 'list "keys"'],
    [
      "has no usable key",
      JSON.stringify({ keys: [{ kty: "oct", k: "AAAA", kid: "a" }] }),
      "no public Ed25519",
    ],
    [
      "has a point that is not on the curve",
      JSON.stringify({ keys: [{ kty: "EC", crv: "P-256", x: "AAAA", y: "AAAA", kid: "a" }] }),
      "not a valid ES256 key",
    ],
    [
      "has two keys of one id",
      setOf(first, { ...second, publicJwk: { ...second.publicJwk, kid: "first" } }),
      'two keys have the id "first"',
    ],
    [
      "has very many keys",
      JSON.stringify({ keys: Array.from({ length: 65 }, (_, i) => ({ kid: `${i}` })) }),
      "at most 64",
    ],
    ["is too large", " ".repeat(limits.keySetBytesMax + 1), "at most"],
  ])("a file that %s stops the start with a sentence that says so", async (_, text, message) => {
    const file = join(directory, "keys.json");
    if (text !== undefined) writeFileSync(file, text);
    await expect(open({ file })).rejects.toMatchObject({ code: "badConfiguration" });
    await expect(open({ file })).rejects.toThrow(message);
    await expect(open({ file })).rejects.toThrow("brand red");
  });
});

describe("inline keys", () => {
  test("that are private are used by their public half only", async () => {
    const jwk = { ...first.privateKey.export({ format: "jwk" }), kid: "first" };
    const signIn = await open({ jwks: { keys: [jwk] } });
    expect(await outcome(signIn, token(first))).toBe("in");
  });

  test("that cannot be used stop the start", async () => {
    await expect(open({ jwks: { keys: [] } })).rejects.toMatchObject({ code: "badConfiguration" });
  });

  test("are never read again", async () => {
    const signIn = await open({ jwks: JSON.parse(setOf(first)) });
    for (let i = 0; i < 5; i++) {
      monotonicMs += limits.keysStaleMs;
      expect(await outcome(signIn, token(first))).toBe("in");
      expect(await outcome(signIn, token(second))).toBe("tokenInvalid");
    }
    expect(signIn.keyReadings()).toBe(1);
  });
});

test.each([
  ["https://id.example/keys", undefined],
  ["http://127.0.0.1:8080/keys", undefined],
  ["http://localhost/keys", undefined],
  ["http://[::1]:80/keys", undefined],
  ["http://id.example/keys", "must be https"],
  ["http://127.0.0.1.example/keys", "must be https"],
  ["http://localhost.example/keys", "must be https"],
  ["http://10.0.0.1/keys", "must be https"],
  ["file:///etc/keys", "must be https"],
  ["https://user:secret@id.example/keys", "user name"],
  ["keys.json", "is no URL"],
])("keys may be fetched from %s: %s", (url, fault) => {
  if (fault === undefined) expect(keyUrlFault(url)).toBeUndefined();
  else expect(keyUrlFault(url)).toContain(fault);
});
