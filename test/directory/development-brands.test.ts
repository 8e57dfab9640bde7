import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { formatAddress } from "../../src/base/address.js";
import { toHex } from "../../src/base/bytes.js";
import { accountIdFor, DevelopmentBrands } from "../../src/directory/development-brands.js";
import { SignIn } from "../../src/directory/sign-in.js";
import type { SignedInDevice } from "../../src/rules/sign-in.js";

let directory: string;
beforeEach(() => {
  directory = join(mkdtempSync(join(tmpdir(), "interline-brands-")), "data");
});
afterEach(() => rmSync(join(directory, ".."), { recursive: true }));

test("the first start makes three brands with keys in a file that only its owner can read, and later ones reuse it", () => {
  expect(DevelopmentBrands.find(directory)).toBeUndefined();
  const made = DevelopmentBrands.open(directory).settings();
  expect(made.map(({ number, name }) => [number, name])).toEqual([
    [1, "whatsapp"],
    [2, "instagram"],
    [3, "messenger"],
  ]);
  const file = join(directory, "development-brands.json");
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(readdirSync(directory)).toEqual(["development-brands.json"]);
  const before = readFileSync(file, "utf8");
  expect(DevelopmentBrands.open(directory).settings()).toEqual(made);
  expect(DevelopmentBrands.find(directory)?.settings()).toEqual(made);
  expect(readFileSync(file, "utf8")).toBe(before);
});

test("the settings that the node is given hold no private key", () => {
  const settings = DevelopmentBrands.open(directory).settings();
  const file = JSON.parse(readFileSync(join(directory, "development-brands.json"), "utf8"));
  for (const { privateKey } of file.brands) expect(JSON.stringify(settings)).not.toContain(privateKey.d);
});

test("a minted token signs in as what it was minted for, and only there", async () => {
  const brands = DevelopmentBrands.open(directory);
  const signIn = await SignIn.open(brands.settings());
  const token = await brands.mint({ brand: "instagram", account: "alice", device: 3, ttlMs: 60_000 });
  const { device } = (await signIn.signIn(token)) as SignedInDevice;
  expect(formatAddress(device)).toBe(`2/${toHex(accountIdFor("alice"))}/3`);

  const elsewhere = DevelopmentBrands.open(`${directory}-other`);
  await expect((await SignIn.open(elsewhere.settings())).signIn(token)).rejects.toMatchObject({
    code: "tokenInvalid",
  });
  const expired = await brands.mint({ brand: "instagram", account: "alice", device: 3, ttlMs: -60_000 });
  await expect(signIn.signIn(expired)).rejects.toMatchObject({ code: "tokenExpired" });
  await expect(brands.mint({ brand: "signal", account: "alice", device: 1, ttlMs: 1 })).rejects.toThrow(
    "whatsapp, instagram, messenger",
  );
});

test("an account name is hashed, and an id is taken as it is", () => {
  expect(toHex(accountIdFor("alice"))).toBe("b60315e8eb25b4f8d23b4e52c17d4bf1");
  expect(toHex(accountIdFor("00112233445566778899AABBCCDDEEFF"))).toBe("00112233445566778899aabbccddeeff");
  expect(toHex(accountIdFor("00112233-4455-6677-8899-aabbccddeeff"))).toBe(
    "00112233445566778899aabbccddeeff",
  );
});

test("a file that is something else is refused by its name and not overwritten", () => {
  DevelopmentBrands.open(directory);
  const file = join(directory, "development-brands.json");
  for (const text of ["", "{", '{"format":2,"brands":[]}', '{"format":1,"brands":[{}]}', "null"]) {
    chmodSync(file, 0o600);
    writeFileSync(file, text);
    expect(() => DevelopmentBrands.open(directory)).toThrow(file);
    expect(readFileSync(file, "utf8")).toBe(text);
  }
});
