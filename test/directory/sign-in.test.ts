import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { formatAddress } from "../../src/base/address.js";
import { SignIn } from "../../src/directory/sign-in.js";
import { isTokenRevoked } from "../../src/rules/sign-in.js";
import { amount, isFullRun } from "../support/scale.js";
import { BrokenSignIn, type Weakness } from "./broken-sign-in.js";
import {
  ALICE,
  anonymous,
  brands,
  clock,
  keys,
  make,
  NOW_MS,
  NOW_S,
  refused,
  service,
} from "./token-cases.js";

let signIn: SignIn;
beforeAll(async () => {
  signIn = await SignIn.open(brands, clock);
});

/** The device's address as text, or the fault. */
async function outcome(token: string): Promise<string> {
  const before = new Map(signIn.faults());
  try {
    const signedIn = await signIn.signIn(token);
    return "device" in signedIn ? formatAddress(signedIn.device) : `nobody of ${signedIn.brand}`;
  } catch (error) {
    const fault = [...signIn.faults()].find(([name, count]) => count !== (before.get(name) ?? 0))?.[0];
    return `${(error as { code: string }).code} ${fault}`;
  }
}

describe("a token is accepted", () => {
  const accepted: [string, () => string, string][] = [
    ["with exactly what is required", () => make(), `1/${ALICE}/7`],
    [
      "with ES256 of the brand's own key",
      () => make({ header: { alg: "ES256", kid: "ec" }, key: keys.oursEc }),
      `1/${ALICE}/7`,
    ],
    [
      "with a UUID as subject",
      () => make({ claims: { sub: "00112233-4455-6677-8899-AABBCCDDEEFF" } }),
      `1/${ALICE}/7`,
    ],
    ["with the audience in a list", () => make({ claims: { aud: ["x", "interline"] } }), `1/${ALICE}/7`],
    ["with device 1 and device 65535", () => make({ claims: { device: 65_535 } }), `1/${ALICE}/65535`],
    [
      "four seconds after its expiry, for the sake of clocks",
      () => make({ claims: { exp: NOW_S - 4 } }),
      `1/${ALICE}/7`,
    ],
    ["four seconds before its nbf", () => make({ claims: { nbf: NOW_S + 4 } }), `1/${ALICE}/7`],
    [
      "with claims and header fields we know nothing about",
      () => make({ claims: { name: "Alice", x: [1] }, header: { note: "x" } }),
      `1/${ALICE}/7`,
    ],
    [
      "of another brand that uses the same key id",
      () => make({ claims: { iss: "https://blue.example" }, key: keys.theirs }),
      `2/${ALICE}/7`,
    ],
    [
      "of a brand with its own audience and type",
      () =>
        make({
          header: { alg: "ES256", kid: "ec", typ: "at+jwt" },
          claims: { iss: "https://green.example", aud: "green-node" },
          key: keys.oursEc,
        }),
      `3/${ALICE}/7`,
    ],
    [
      "though it carries a key of its own, which is not looked at",
      () =>
        make({
          header: {
            jwk: keys.stranger.publicJwk,
            jku: "https://evil.example/keys",
            x5u: "https://evil.example/x",
          },
        }),
      `1/${ALICE}/7`,
    ],
  ];
  test.each(accepted)("%s", async (_, token, address) => {
    expect(await outcome(token())).toBe(address);
  });
});

describe("a token is refused", () => {
  test.each(refused)("%s", async (_, token, fault) => {
    expect(await outcome(token())).toBe(`${fault === "expired" ? "tokenExpired" : "tokenInvalid"} ${fault}`);
  });

  test("there are at least sixty of these", () => {
    expect(refused.length).toBeGreaterThanOrEqual(60);
  });
});

describe("the table finds out a sign-in that", () => {
  const tokens = refused.map(([name, token]) => [name, token()] as const);
  const accepted = (broken: BrokenSignIn) =>
    tokens.filter(([, token]) => broken.accepts(token)).map(([name]) => name);

  test("has no weakness: none", () => {
    const sound = new BrokenSignIn(brands);
    expect(accepted(sound)).toEqual([]);
    expect(sound.accepts(make())).toBe(true);
  });

  const weaknesses: Weakness[] = [
    "finds keys by id alone",
    "believes the key in the token",
    "lets the token choose the algorithm",
    "wants no expiry",
    "asks for no audience",
    "asks for no type",
    "takes critical extensions",
    "reads base64 leniently",
    "takes any device number",
  ];
  test.each(weaknesses)("%s", (weakness) => {
    expect(accepted(new BrokenSignIn(brands, weakness))).not.toEqual([]);
  });
});

describe("mutated tokens", () => {
  const tokens = () => [
    make(),
    make({ header: { alg: "ES256", kid: "ec" }, key: keys.oursEc }),
    make({ claims: { nbf: NOW_S, iat: NOW_S, name: "Alice" } }),
  ];

  test(
    "no token that differs from a valid one in any character is accepted",
    async () => {
      const originals = tokens();
      const mutation = fc.oneof(
        fc.record({
          kind: fc.constant("replace" as const),
          at: fc.nat(),
          with: fc.constantFrom(..."ABCDabcd0123-_.=+/ é"),
        }),
        fc.record({ kind: fc.constant("delete" as const), at: fc.nat() }),
        fc.record({
          kind: fc.constant("insert" as const),
          at: fc.nat(),
          with: fc.constantFrom(..."AZaz09-_.= "),
        }),
        fc.record({ kind: fc.constant("swap" as const), at: fc.nat() }),
        fc.record({ kind: fc.constant("truncate" as const), at: fc.nat() }),
        fc.record({ kind: fc.constant("double" as const), at: fc.nat() }),
      );
      let tried = 0;
      await fc.assert(
        fc.asyncProperty(
          fc.nat(originals.length - 1),
          fc.array(mutation, { minLength: 1, maxLength: 3 }),
          async (which, mutations) => {
            const original = originals[which] as string;
            let token = original;
            for (const step of mutations) token = mutate(token, step);
            if (token === original) return;
            tried++;
            await expect(signIn.signIn(token)).rejects.toMatchObject({ name: "CodedError" });
          },
        ),
        { numRuns: amount({ short: 3_000, full: 1_000_000 }) },
      );
      expect(tried).toBeGreaterThan(2_000);
    },
    isFullRun ? 1_800_000 : 60_000,
  );

  test("every single bit of a signature counts", async () => {
    for (const original of tokens().slice(0, 2)) {
      const [header, claims, signature] = original.split(".") as [string, string, string];
      const bytes = Buffer.from(signature, "base64url");
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        const changed = Buffer.from(bytes);
        changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
        await expect(
          signIn.signIn(`${header}.${claims}.${changed.toString("base64url")}`),
        ).rejects.toMatchObject({
          code: "tokenInvalid",
        });
      }
    }
  });

  function mutate(token: string, step: { kind: string; at: number; with?: string }): string {
    const at = step.at % Math.max(1, token.length);
    const head = token.slice(0, at);
    const tail = token.slice(at + 1);
    if (step.kind === "replace") return `${head}${step.with}${tail}`;
    if (step.kind === "delete") return `${head}${tail}`;
    if (step.kind === "insert") return `${head}${step.with}${token.slice(at)}`;
    if (step.kind === "swap") return `${head}${token[at + 1] ?? ""}${token[at] ?? ""}${token.slice(at + 2)}`;
    if (step.kind === "truncate") return head;
    return `${head}${token.slice(at)}${token.slice(at)}`;
  }
});

describe("somebody who is not named", () => {
  test.each<[string, () => string, string]>([
    [
      "comes in by a token of a type and audience of its own, with the scope",
      () => anonymous(),
      "nobody of 1",
    ],
    [
      "may have more scopes, and times",
      () => anonymous({ claims: { scope: "sealed x", iat: NOW_S, nbf: NOW_S } }),
      "nobody of 1",
    ],
    ["not without the scope", () => anonymous({ claims: { scope: "accounts" } }), "scope"],
    ["not with an account", () => anonymous({ claims: { sub: ALICE } }), "identifying"],
    ["not with a device", () => anonymous({ claims: { device: 7 } }), "identifying"],
    ["not with an id of the token", () => anonymous({ claims: { jti: "1" } }), "identifying"],
    ["not with anything else", () => anonymous({ claims: { nickname: "" } }), "identifying"],
    ["not by the audience of devices", () => anonymous({ claims: { aud: "interline" } }), "audience"],
    ["not for ever", () => anonymous({ claims: { exp: undefined } }), "expiry"],
    ["not by another brand's key", () => anonymous({ key: keys.theirs }), "signature"],
    [
      "not by a device's claims",
      () => anonymous({ claims: { aud: "interline", sub: ALICE, device: 7 } }),
      "audience",
    ],
    ["not as a device by its type", () => anonymous({ header: { typ: "interline+jwt" } }), "audience"],
    [
      "not as a device by its type and audience",
      () => anonymous({ header: { typ: "interline+jwt" }, claims: { aud: "interline" } }),
      "subject",
    ],
  ])("%s", async (_, token, expected) => {
    const isIn = expected.startsWith("nobody");
    expect(await outcome(token())).toBe(isIn ? expected : `tokenInvalid ${expected}`);
  });

  test("is no back end", async () => {
    await expect(signIn.signInService(anonymous())).rejects.toMatchObject({ code: "tokenInvalid" });
  });

  test("leaves not even the time of the token behind", async () => {
    const before = signIn.removalMs(1);
    await signIn.signIn(anonymous({ claims: { iat: NOW_S + 4 } }));
    expect(signIn.removalMs(1)).toBe(before);
    await signIn.signIn(make({ claims: { iat: NOW_S + 4 } }));
    expect(signIn.removalMs(1)).toBe((NOW_S + 4) * 1000);
  });
});

describe("a brand's own back end", () => {
  const codeOf = (token: string) =>
    signIn.signInService(token).then(
      () => "accepted",
      (error: { code: string }) => error.code,
    );

  test("signs in as its brand, with its scopes", async () => {
    expect(await signIn.signInService(service())).toEqual({ brand: 1, scopes: ["accounts"] });
    expect(await signIn.signInService(service({ claims: { scope: " a  b " } }))).toEqual({
      brand: 1,
      scopes: ["a", "b"],
    });
    for (const scope of [undefined, 5, ["accounts"]])
      expect((await signIn.signInService(service({ claims: { scope } }))).scopes).toEqual([]);
  });

  test.each([
    ["a device's token", () => make()],
    ["a device's token with its type", () => make({ header: { typ: "interline-service+jwt" } })],
    ["one that names a device", () => service({ claims: { device: 1 } })],
    ["one for devices' audience", () => service({ claims: { aud: "interline" } })],
    ["one of another key", () => service({ key: keys.stranger })],
    ["one of another brand's key", () => service({ key: keys.theirs })],
    ["one without an expiry", () => service({ claims: { exp: undefined } })],
  ])("%s is refused", async (_, token) => {
    expect(await codeOf(token())).toBe("tokenInvalid");
  });

  test("an expired one is told so", async () => {
    expect(await codeOf(service({ claims: { exp: NOW_S - 6 } }))).toBe("tokenExpired");
  });
});

describe("when a token was issued", () => {
  test("is told with the device; a token that does not say so was issued long ago", async () => {
    expect(await signIn.signIn(make({ claims: { iat: NOW_S - 2.5 } }))).toMatchObject({
      issuedMs: NOW_MS - 2_500,
    });
    expect(await signIn.signIn(make({ claims: { iat: undefined } }))).toMatchObject({ issuedMs: 0 });
  });

  test("a removal is never before a token that was accepted of its brand, whatever this machine's clock says", async () => {
    let wallMs = NOW_MS;
    const later = await SignIn.open(brands, { wallMs: () => wallMs, monotonicMs: () => 0 });
    await later.signIn(make({ claims: { iat: NOW_S } }));
    wallMs -= 3_600_000;
    expect(later.removalMs(1)).toBe(NOW_MS);
    expect(later.removalMs(2)).toBe(wallMs);
    wallMs = NOW_MS + 1;
    expect(later.removalMs(1)).toBe(wallMs);
  });

  test.each([
    [0, undefined, false],
    [Number.POSITIVE_INFINITY, 5, false],
    [15_000, 10_000, true],
    [15_001, 10_000, false],
    [0, 0, true],
  ])("issued at %d and refused through %s: revoked is %s", (issuedMs, refusedThroughMs, isRevoked) => {
    expect(isTokenRevoked(issuedMs, refusedThroughMs)).toBe(isRevoked);
  });
});

describe("a token that comes again", () => {
  test("costs no second verification, and is judged by its claims and its brand's rules as ever", async () => {
    let wallMs = NOW_MS;
    const later = await SignIn.open(brands, { wallMs: () => wallMs, monotonicMs: () => 0 });
    const token = make({ claims: { exp: NOW_S + 60 } });
    for (let i = 0; i < 3; i++) await later.signIn(token);
    expect(later.signaturesVerified()).toBe(1);
    await expect(later.signInService(token)).rejects.toMatchObject({ code: "tokenInvalid" });
    wallMs += 66_000;
    await expect(later.signIn(token)).rejects.toMatchObject({ code: "tokenExpired" });
    expect(later.signaturesVerified()).toBe(1);
  });

  test("counts for nothing when only its signature differs, or nobody is named in it", async () => {
    const again = await SignIn.open(brands, clock);
    const token = make();
    const [header, claims] = token.split(".");
    const other = make({ key: keys.stranger }).split(".")[2];
    await again.signIn(token);
    await expect(again.signIn(`${header}.${claims}.${other}`)).rejects.toMatchObject({
      code: "tokenInvalid",
    });
    const nobody = anonymous();
    for (let i = 0; i < 2; i++) await again.signIn(nobody);
    expect(again.signaturesVerified()).toBe(4);
  });
});

test("a failure tells nothing but its code", async () => {
  const token = make({ key: keys.stranger });
  const error = await signIn.signIn(token).catch((reason: Error) => reason);
  expect(String(error)).toBe("CodedError: the token was not accepted");
  expect((error as Error).cause).toBeUndefined();
});
