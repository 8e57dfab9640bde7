import { createPublicKey, type KeyObject } from "node:crypto";
import { expect, test } from "vitest";
import { VerifiedTokens } from "../../src/directory/verified-tokens.js";
import { makeKey } from "./issuer.js";

const publicKey = (kid: string): KeyObject => createPublicKey(makeKey(kid).privateKey);

/** Says what it is told to, and how often it was asked. */
class Verifier {
  asked = 0;
  constructor(private readonly answer: boolean) {}
  readonly verify = (): boolean => {
    this.asked++;
    return this.answer;
  };
}

test("a token is verified once for each key, and a key read again is the same", () => {
  const tokens = new VerifiedTokens(10);
  const [first, second] = [publicKey("a"), publicKey("b")];
  const yes = new Verifier(true);
  const sameAgain = createPublicKey(first.export({ type: "spki", format: "pem" }));
  for (const key of [first, first, sameAgain]) expect(tokens.isSigned("token", key, yes.verify)).toBe(true);
  expect(yes.asked).toBe(1);
  const no = new Verifier(false);
  expect(tokens.isSigned("token", second, no.verify)).toBe(false);
  expect(tokens.isSigned("other", first, no.verify)).toBe(false);
  expect(tokens.isSigned("other", first, no.verify)).toBe(false);
  expect(no.asked).toBe(3);
});

test("a key that fails does not make forgotten what another has signed, and a failure is never kept", () => {
  const tokens = new VerifiedTokens(10);
  const [first, second] = [publicKey("a"), publicKey("b")];
  const yes = new Verifier(true);
  tokens.isSigned("token", first, yes.verify);
  tokens.isSigned("token", second, new Verifier(false).verify);
  expect(tokens.isSigned("token", first, yes.verify)).toBe(true);
  expect(yes.asked).toBe(1);
  expect(tokens.isSigned("late", first, new Verifier(false).verify)).toBe(false);
  expect(tokens.isSigned("late", first, yes.verify)).toBe(true);
  expect(yes.asked).toBe(2);
});

test("the token not seen for longest is forgotten first", () => {
  const tokens = new VerifiedTokens(3);
  const key = publicKey("a");
  const yes = new Verifier(true);
  for (const token of ["1", "2", "3", "1", "4"]) tokens.isSigned(token, key, yes.verify);
  expect(yes.asked).toBe(4);
  for (const token of ["3", "1", "4"]) tokens.isSigned(token, key, yes.verify);
  expect(yes.asked).toBe(4);
  tokens.isSigned("2", key, yes.verify);
  expect(yes.asked).toBe(5);
});
