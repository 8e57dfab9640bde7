/**
 * Three brands, their keys, and the tokens that sign-in must refuse: a table for
 * the real sign-in, and for the broken ones that the table must find out.
 */
import { createPublicKey } from "node:crypto";
import type { BrandSettings } from "../../src/directory/sign-in.js";
import type { TokenFault } from "../../src/rules/sign-in.js";
import {
  encode,
  type Fields,
  hmac,
  makeKey,
  sign,
  signText,
  type TestKey,
  type TokenParts,
} from "./issuer.js";

export const NOW_MS = 1_700_000_000_000;
export const NOW_S = NOW_MS / 1000;
export const clock = { wallMs: () => NOW_MS, monotonicMs: () => 0 };
export const ALICE = "00112233445566778899aabbccddeeff";

export const keys = {
  ours: makeKey("one"),
  oursEc: makeKey("ec", "ES256"),
  rsa: makeKey("rsa", "RS256"),
  /** Same key id as ours, of another brand. */
  theirs: makeKey("one"),
  theirsOnly: makeKey("two"),
  stranger: makeKey("one"),
  symmetric: { kty: "oct", k: Buffer.alloc(32, 7).toString("base64url"), kid: "shared", alg: "HS256" },
  encryption: makeKey("enc"),
};

function brand(
  number: number,
  name: string,
  issuer: string,
  jwks: unknown,
  more: Partial<BrandSettings> = {},
): BrandSettings {
  return {
    number,
    name,
    issuer,
    audience: "interline",
    tokenType: "interline+jwt",
    algorithms: ["EdDSA", "ES256"],
    keys: { jwks },
    ...more,
  };
}

const ours = [
  keys.ours.publicJwk,
  keys.oursEc.publicJwk,
  keys.rsa.publicJwk,
  keys.symmetric,
  { ...keys.encryption.publicJwk, use: "enc" },
];

export const brands: readonly BrandSettings[] = [
  brand(1, "red", "https://red.example", { keys: ours }),
  brand(2, "blue", "https://blue.example", { keys: [keys.theirs.publicJwk, keys.theirsOnly.publicJwk] }),
  brand(
    3,
    "green",
    "https://green.example",
    { keys: [keys.oursEc.publicJwk, keys.ours.publicJwk] },
    {
      algorithms: ["ES256"],
      audience: "green-node",
      tokenType: "at+jwt",
    },
  ),
];

const good: TokenParts = {
  header: { alg: "EdDSA", kid: "one", typ: "interline+jwt" },
  claims: { iss: "https://red.example", aud: "interline", sub: ALICE, device: 7, exp: NOW_S + 60 },
  key: keys.ours,
};

/** A good token with some fields replaced or, with undefined, left out. */
export function make(change: { header?: Fields; claims?: Fields; key?: TestKey } = {}): string {
  return sign({
    header: prune({ ...good.header, ...change.header }),
    claims: prune({ ...good.claims, ...change.claims }),
    key: change.key ?? good.key,
  });
}

/** A good token of the brand's back end. */
export function service(change: { header?: Fields; claims?: Fields; key?: TestKey } = {}): string {
  return make({
    header: { typ: "interline-service+jwt", ...change.header },
    claims: {
      ...{ aud: "interline-admin", scope: "accounts", sub: undefined, device: undefined },
      ...change.claims,
    },
    ...(change.key && { key: change.key }),
  });
}

/** A good token that names nobody. */
export function anonymous(change: { header?: Fields; claims?: Fields; key?: TestKey } = {}): string {
  return make({
    header: { typ: "interline-anonymous+jwt", ...change.header },
    claims: {
      ...{ aud: "interline-sealed", scope: "sealed", sub: undefined, device: undefined },
      ...change.claims,
    },
    ...(change.key && { key: change.key }),
  });
}

function prune(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

const input = () => make().split(".").slice(0, 2).join(".");
const signature = () => make().split(".")[2] as string;
const pem = () => createPublicKey(keys.ours.privateKey).export({ type: "spki", format: "pem" });
const raw = () => Buffer.from(keys.ours.publicJwk.x as string, "base64url");

/** What is refused, and for which fault. */
export const refused: readonly [string, () => string, TokenFault][] = [
  ["empty", () => "", "malformed"],
  ["of one part", () => "abc", "malformed"],
  ["of two parts", input, "malformed"],
  ["of four parts", () => `${make()}.x`, "malformed"],
  ["of five parts, like an encrypted one", () => `${make()}.x.y`, "malformed"],
  ["with an empty signature", () => `${input()}.`, "malformed"],
  ["with a space around it", () => ` ${make()}`, "malformed"],
  ["with padding", () => `${make()}=`, "malformed"],
  ["with a line break in it", () => make().replace(".", ".\n"), "malformed"],
  ["in plain base64", () => `${input()}.${Buffer.alloc(64, 0xfb).toString("base64")}`, "malformed"],
  ["with other spare bits at the end of the signature", () => respell(make()), "malformed"],
  ["as JSON serialisation", () => JSON.stringify({ payload: input(), signatures: [] }), "malformed"],
  ["above 4 KiB", () => make({ claims: { pad: "x".repeat(4_000) } }), "tooLong"],
  [
    "whose header is no JSON",
    () => signText(`${encode("{")}.${encode(good.claims)}`, keys.ours),
    "malformed",
  ],
  [
    "whose header is a list",
    () => signText(`${encode([good.header])}.${encode(good.claims)}`, keys.ours),
    "malformed",
  ],
  [
    "whose header is null",
    () => signText(`${encode("null")}.${encode(good.claims)}`, keys.ours),
    "malformed",
  ],
  [
    "whose claims are a text",
    () => signText(`${encode(good.header)}.${encode('"x"')}`, keys.ours),
    "malformed",
  ],
  [
    "whose claims are a number",
    () => signText(`${encode(good.header)}.${encode("5")}`, keys.ours),
    "malformed",
  ],
  [
    "whose claims are not UTF-8",
    () =>
      signText(`${encode(good.header)}.${Buffer.from([0x7b, 0xff, 0x7d]).toString("base64url")}`, keys.ours),
    "malformed",
  ],

  ["without an issuer", () => make({ claims: { iss: undefined } }), "issuerUnknown"],
  ["of an unknown issuer", () => make({ claims: { iss: "https://pink.example" } }), "issuerUnknown"],
  [
    "of an issuer with a slash more",
    () => make({ claims: { iss: "https://red.example/" } }),
    "issuerUnknown",
  ],
  ["of an issuer in other case", () => make({ claims: { iss: "https://RED.example" } }), "issuerUnknown"],
  ["with a list of issuers", () => make({ claims: { iss: ["https://red.example"] } }), "issuerUnknown"],
  [
    "with a property name of every object as issuer",
    () => make({ claims: { iss: "__proto__" } }),
    "issuerUnknown",
  ],

  ["with crit", () => make({ header: { crit: ["exp"], exp: 1 } }), "critical"],
  ["with crit for what the library knows", () => make({ header: { crit: ["b64"], b64: true } }), "critical"],
  ["with an empty crit", () => make({ header: { crit: [] } }), "critical"],
  ["with an unencoded payload", () => make({ header: { b64: false } }), "critical"],

  [
    "with alg none",
    () => `${encode({ ...good.header, alg: "none" })}.${encode(good.claims)}.AAAA`,
    "algorithm",
  ],
  ["with alg None", () => make({ header: { alg: "None" } }), "algorithm"],
  ["without alg", () => make({ header: { alg: undefined } }), "algorithm"],
  ["with alg as a list", () => make({ header: { alg: ["EdDSA"] } }), "algorithm"],
  ["with alg in other case", () => make({ header: { alg: "eddsa" } }), "algorithm"],
  [
    "with alg Ed25519, which this brand does not list",
    () => make({ header: { alg: "Ed25519" } }),
    "algorithm",
  ],
  [
    "with HS256 and the public key as secret",
    () => hmac({ ...good.header, alg: "HS256" }, good.claims, raw()),
    "algorithm",
  ],
  [
    "with HS256 and the public key's PEM as secret",
    () => hmac({ ...good.header, alg: "HS256" }, good.claims, pem()),
    "algorithm",
  ],
  [
    "with HS256 and a symmetric key of the set",
    () => hmac({ ...good.header, alg: "HS256", kid: "shared" }, good.claims, Buffer.alloc(32, 7)),
    "algorithm",
  ],
  [
    "with RS256 of a key of the set",
    () => make({ header: { alg: "RS256", kid: "rsa" }, key: keys.rsa }),
    "algorithm",
  ],
  ["with PS256", () => make({ header: { alg: "PS256", kid: "rsa" }, key: keys.rsa }), "algorithm"],
  ["with ES384", () => make({ header: { alg: "ES384", kid: "ec" }, key: keys.oursEc }), "algorithm"],
  [
    "with an algorithm that another brand allows and this one does not",
    () => make({ header: { typ: "at+jwt" }, claims: { iss: "https://green.example", aud: "green-node" } }),
    "algorithm",
  ],

  ["without a type", () => make({ header: { typ: undefined } }), "type"],
  ["with type JWT", () => make({ header: { typ: "JWT" } }), "type"],
  ["with the type in other case", () => make({ header: { typ: "Interline+JWT" } }), "type"],
  ["with the type as a media type", () => make({ header: { typ: "application/interline+jwt" } }), "type"],
  ["with another brand's type", () => make({ header: { typ: "at+jwt" } }), "type"],

  ["without a key id", () => make({ header: { kid: undefined } }), "keyId"],
  ["with an empty key id", () => make({ header: { kid: "" } }), "keyId"],
  ["with a number as key id", () => make({ header: { kid: 1 } }), "keyId"],
  ["with a long key id", () => make({ header: { kid: "k".repeat(257) } }), "keyId"],
  ["with an unknown key id", () => make({ header: { kid: "three" } }), "keyUnknown"],
  [
    "with a key id that only another brand has",
    () => make({ header: { kid: "two" }, key: keys.theirsOnly }),
    "keyUnknown",
  ],
  ["with a key id in other case", () => make({ header: { kid: "ONE" } }), "keyUnknown"],
  [
    "with the id of a key for encryption",
    () => make({ header: { kid: "enc" }, key: keys.encryption }),
    "keyUnknown",
  ],
  [
    "with the id of an Ed25519 key under ES256",
    () => make({ header: { alg: "ES256", kid: "one" }, key: keys.oursEc }),
    "keyUnknown",
  ],
  ["with the id of a P-256 key under EdDSA", () => make({ header: { kid: "ec" } }), "keyUnknown"],
  ["with a path as key id", () => make({ header: { kid: "../../etc/passwd" } }), "keyUnknown"],

  ["signed by a stranger under our key id", () => make({ key: keys.stranger }), "signature"],
  ["signed by another brand's key of the same id", () => make({ key: keys.theirs }), "signature"],
  [
    "of another brand, signed with our key",
    () => make({ claims: { iss: "https://blue.example" } }),
    "signature",
  ],
  [
    "signed by the key that it carries itself",
    () => make({ header: { jwk: keys.stranger.publicJwk }, key: keys.stranger }),
    "signature",
  ],
  [
    "signed by the key at an address that it names",
    () => make({ header: { jku: "http://127.0.0.1:9/keys" }, key: keys.stranger }),
    "signature",
  ],
  [
    "with the signature of other claims",
    () => `${input().split(".")[0]}.${encode({ ...good.claims, device: 8 })}.${signature()}`,
    "signature",
  ],
  ["with a short signature", () => `${input()}.${encode("x".repeat(63))}`, "signature"],
  ["with a long signature", () => `${input()}.${Buffer.alloc(65).toString("base64url")}`, "signature"],
  ["with a signature of zeros", () => `${input()}.${Buffer.alloc(64).toString("base64url")}`, "signature"],
  [
    "with an ES256 signature of zeros",
    () =>
      `${encode({ ...good.header, alg: "ES256", kid: "ec" })}.${encode(good.claims)}.${Buffer.alloc(64).toString("base64url")}`,
    "signature",
  ],
  ["with an ES256 signature in DER", () => derSigned(), "signature"],
  ["with the group order added to the Ed25519 signature", () => orderAdded(make()), "signature"],

  ["without an audience", () => make({ claims: { aud: undefined } }), "audience"],
  ["for another audience", () => make({ claims: { aud: "other" } }), "audience"],
  ["for a list without our audience", () => make({ claims: { aud: ["other", "interline2"] } }), "audience"],
  ["for an empty list", () => make({ claims: { aud: [] } }), "audience"],
  ["for a list in a list", () => make({ claims: { aud: [["interline"]] } }), "audience"],
  ["for another brand's audience", () => make({ claims: { aud: "green-node" } }), "audience"],

  ["without an expiry", () => make({ claims: { exp: undefined } }), "expiry"],
  ["with a text as expiry", () => make({ claims: { exp: String(NOW_S + 60) } }), "expiry"],
  ["with null as expiry", () => make({ claims: { exp: null } }), "expiry"],
  [
    "with an endless expiry",
    () =>
      signText(
        `${encode(good.header)}.${encode(JSON.stringify(good.claims).replace(/"exp":\d+/, '"exp":1e999'))}`,
        keys.ours,
      ),
    "expiry",
  ],
  ["after its expiry", () => make({ claims: { exp: NOW_S - 6 } }), "expired"],
  ["exactly at its expiry and the tolerance", () => make({ claims: { exp: NOW_S - 5 } }), "expired"],
  ["with an expiry of long ago", () => make({ claims: { exp: 0 } }), "expired"],
  ["with a negative expiry", () => make({ claims: { exp: -1 } }), "expired"],
  ["before its time", () => make({ claims: { nbf: NOW_S + 6 } }), "notBefore"],
  ["with a text as nbf", () => make({ claims: { nbf: "0" } }), "notBefore"],
  ["with a text as iat", () => make({ claims: { iat: "now" } }), "issuedAt"],
  ["issued in the future", () => make({ claims: { iat: NOW_S + 6 } }), "issuedAt"],
  ["of the brand's own back end", () => service(), "type"],
  ["of a back end with a device's type", () => service({ header: { typ: "interline+jwt" } }), "audience"],

  ["without a subject", () => make({ claims: { sub: undefined } }), "subject"],
  ["with a number as subject", () => make({ claims: { sub: 5 } }), "subject"],
  ["with an empty subject", () => make({ claims: { sub: "" } }), "subject"],
  ["with 31 digits", () => make({ claims: { sub: ALICE.slice(1) } }), "subject"],
  ["with 33 digits", () => make({ claims: { sub: `${ALICE}0` } }), "subject"],
  ["with a digit that is none", () => make({ claims: { sub: `g${ALICE.slice(1)}` } }), "subject"],
  [
    "with dashes in other places",
    () => make({ claims: { sub: "001122334-455-6677-8899-aabbccddeeff" } }),
    "subject",
  ],
  ["with a line break after the subject", () => make({ claims: { sub: `${ALICE}\n` } }), "subject"],
  ["with a name as subject", () => make({ claims: { sub: "alice" } }), "subject"],

  ["without a device", () => make({ claims: { device: undefined } }), "device"],
  ["with device 0", () => make({ claims: { device: 0 } }), "device"],
  ["with device 65536", () => make({ claims: { device: 65_536 } }), "device"],
  ["with a negative device", () => make({ claims: { device: -1 } }), "device"],
  ["with half a device", () => make({ claims: { device: 1.5 } }), "device"],
  ["with a text as device", () => make({ claims: { device: "1" } }), "device"],
  ["with a list as device", () => make({ claims: { device: [1] } }), "device"],
  ["with true as device", () => make({ claims: { device: true } }), "device"],
];

/** The same signature bytes in a text whose last character has other spare bits. */
function respell(token: string): string {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const last = alphabet.indexOf(token.at(-1) as string);
  const other = `${token.slice(0, -1)}${alphabet[last ^ 1]}`;
  const bytes = (text: string) => Buffer.from(text.split(".")[2] as string, "base64url");
  if (!bytes(other).equals(bytes(token))) throw new Error("the last character holds no spare bits");
  return other;
}

/** S + L in place of S: the same equation, and RFC 8032 forbids it. */
function orderAdded(token: string): string {
  const order = 2n ** 252n + 27742317777372353535851937790883648493n;
  const bytes = Buffer.from(token.split(".")[2] as string, "base64url");
  let scalar = 0n;
  for (let i = 63; i >= 32; i--) scalar = (scalar << 8n) | BigInt(bytes[i] as number);
  scalar += order;
  for (let i = 32; i < 64; i++, scalar >>= 8n) bytes[i] = Number(scalar & 0xffn);
  return `${input()}.${bytes.toString("base64url")}`;
}

function derSigned(): string {
  const raw = Buffer.from(
    make({ header: { alg: "ES256", kid: "ec" }, key: keys.oursEc }).split(".")[2] as string,
    "base64url",
  );
  const part = (bytes: Buffer) => Buffer.concat([Buffer.of(2, 33, 0), bytes]);
  const body = Buffer.concat([part(raw.subarray(0, 32)), part(raw.subarray(32))]);
  const der = Buffer.concat([Buffer.of(0x30, body.length), body]);
  return `${encode({ ...good.header, alg: "ES256", kid: "ec" })}.${encode(good.claims)}.${der.toString("base64url")}`;
}
