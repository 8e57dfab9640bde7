import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Flags, loadConfig } from "../../src/config.js";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "interline-config-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

function load(settings?: unknown, flags: Flags = {}, environment: NodeJS.ProcessEnv = {}) {
  if (settings !== undefined) {
    const content = typeof settings === "string" ? settings : JSON.stringify(settings);
    writeFileSync(join(directory, "interline.json"), content);
  }
  return loadConfig(flags, environment, directory);
}

function failure(settings: unknown, flags: Flags = {}, environment: NodeJS.ProcessEnv = {}): string {
  try {
    load(settings, flags, environment);
  } catch (error) {
    expect(error).toMatchObject({ name: "CodedError", code: "badConfiguration" });
    return (error as Error).message;
  }
  throw new Error("the configuration was accepted");
}

const brand = {
  number: 1,
  name: "red",
  issuer: "https://red.example",
  keys: { url: "https://red.example/keys" },
};

describe("sources", () => {
  test("with nothing set the node is local, on the development brands", () => {
    expect(load()).toEqual({
      dataDirectory: join(directory, "interline-data"),
      host: "127.0.0.1",
      port: 7400,
      logLevel: "info",
      crossing: "open",
      limits: {},
    });
  });

  test("the command line wins over the environment, that over the file, that over the defaults", () => {
    const settings = { host: "file", port: 1, logLevel: "warn", dataDirectory: "file" };
    const environment = {
      INTERLINE_HOST: "environment",
      INTERLINE_PORT: "2",
      INTERLINE_DATA_DIRECTORY: "environment",
    };
    const config = load(settings, { host: "flag" }, environment);
    expect(config).toMatchObject({ host: "flag", port: 2, logLevel: "warn" });
    expect(config.dataDirectory).toBe(join(directory, "environment"));
  });

  test("paths in a file are relative to the file, others to the working directory", () => {
    mkdirSync(join(directory, "etc"));
    const settings = {
      dataDirectory: "data",
      tls: { certFile: "c.pem", keyFile: "/k.pem" },
      brands: [{ ...brand, keys: { file: "keys.json" } }],
    };
    writeFileSync(join(directory, "etc", "node.json"), JSON.stringify(settings));
    const config = load(undefined, { config: "etc/node.json" });
    expect(config.dataDirectory).toBe(join(directory, "etc", "data"));
    expect(config.tls).toEqual({ certFile: join(directory, "etc", "c.pem"), keyFile: "/k.pem" });
    expect(config.brands?.[0]?.keys).toEqual({ file: join(directory, "etc", "keys.json") });
    expect(config.file).toBe(join(directory, "etc", "node.json"));
    const flagged = load(
      undefined,
      { tlsCert: "c.pem", tlsKey: "k.pem" },
      { INTERLINE_CONFIG: "etc/node.json" },
    );
    expect(flagged.tls).toEqual({ certFile: join(directory, "c.pem"), keyFile: join(directory, "k.pem") });
  });

  test("a named file must be there, the usual one need not", () => {
    expect(failure(undefined, { config: "nowhere.json" })).toContain(
      `${join(directory, "nowhere.json")} is not there`,
    );
    expect(load().file).toBeUndefined();
  });
});

describe("brands", () => {
  test("what a brand does not say has a default", () => {
    expect(load({ brands: [brand] }).brands).toEqual([
      {
        ...{ serviceAudience: "interline-admin", serviceTokenType: "interline-service+jwt" },
        ...{ anonymousAudience: "interline-sealed", anonymousTokenType: "interline-anonymous+jwt" },
        ...{ deviceRegistration: "atSignIn" },
        ...brand,
        audience: "interline",
        tokenType: "interline+jwt",
        algorithms: ["EdDSA"],
      },
    ]);
  });

  test("keys may be inline", () => {
    const jwks = { keys: [{ kty: "OKP", crv: "Ed25519", x: "AAAA", kid: "one" }] };
    expect(load({ brands: [{ ...brand, keys: { jwks } }] }).brands?.[0]?.keys).toEqual({ jwks });
  });

  test("the admin API is off, and on this machine only when it is given nothing but a port", () => {
    expect(load({}).admin).toBeUndefined();
    expect(load({ admin: { port: 7401 } }).admin).toEqual({ host: "127.0.0.1", port: 7401 });
  });

  test("pairs of brands may be listed", () => {
    const brands = [brand, { ...brand, number: 2, name: "blue", issuer: "blue" }];
    expect(load({ brands, crossing: [{ from: "red", to: "blue" }] }).crossing).toEqual([
      { from: "red", to: "blue" },
    ]);
  });
});

const vapid = { subject: "mailto:ops@red.example", publicKey: "B", privateKey: "p" };
const webhook = { brand: "red", url: "https://red.example/wake", secret: "0123456789abcdef" };

test("ways of waking devices are given as they are", () => {
  const push = {
    webPush: { ...vapid, brands: [{ brand: "red", ...vapid }], hosts: ["push.red.example"] },
    webhooks: [webhook],
  };
  expect(load({ brands: [brand], push }).push).toEqual(push);
  // Names of development brands are not known here.
  expect(load({ push: { webhooks: [{ ...webhook, brand: "whatsapp" }] } }).push?.webhooks).toHaveLength(1);
});

describe("what is wrong is named by its path, with what is expected", () => {
  const cases: [string, unknown, string][] = [
    ["an unknown key", { prot: 1 }, "prot: no such setting"],
    [
      "an unknown key of a brand",
      { brands: [{ ...brand, audiance: "x" }] },
      "brands[0].audiance: no such setting",
    ],
    ["an unknown limit", { limits: { payloadBytesMax: 1 } }, "limits.payloadBytesMax: no such setting"],
    ["a list in place of the whole", [], "expected an object of settings"],
    ["a text as port", { port: "7400" }, "port: expected a port number, 0 to 65535"],
    ["a port that is none", { port: 70_000 }, "port: expected a port number, 0 to 65535"],
    ["half a port", { port: 1.5 }, "port: expected a port number, 0 to 65535"],
    ["an empty host", { host: "" }, "host: expected a text that is not empty"],
    [
      "an unknown log level",
      { logLevel: "loud" },
      "logLevel: expected one of trace, debug, info, warn, error, silent",
    ],
    ["an admin API without a port", { admin: {} }, "admin.port: expected a port number, 0 to 65535"],
    [
      "a type of token for both devices and back ends",
      { brands: [{ ...brand, tokenType: "x", serviceTokenType: "x" }] },
      "brands[0].serviceTokenType: devices' tokens have the same type",
    ],
    [
      "a type of token for both back ends and nobody",
      { brands: [{ ...brand, anonymousTokenType: "x", serviceTokenType: "x" }] },
      "brands[0].anonymousTokenType: other tokens have the same type",
    ],
    [
      "another way to register devices",
      { brands: [{ ...brand, deviceRegistration: "never" }] },
      "brands[0].deviceRegistration: expected one of atSignIn, byBrand",
    ],
    ["a certificate alone", { tls: { certFile: "c" } }, "tls.keyFile: expected a text that is not empty"],
    ["no brand in the list", { brands: [] }, "brands: expected at least one brand"],
    ["a brand number of 0", { brands: [{ ...brand, number: 0 }] }, "brands[0].number: expected 1 to 65535"],
    [
      "a brand name with capitals",
      { brands: [{ ...brand, name: "Red" }] },
      "brands[0].name: expected at most 32 of a-z, 0-9 and -",
    ],
    [
      "a missing issuer",
      { brands: [{ ...brand, issuer: undefined }] },
      "brands[0].issuer: expected a text that is not empty",
    ],
    [
      "an algorithm with a shared secret",
      { brands: [{ ...brand, algorithms: ["HS256"] }] },
      "brands[0].algorithms[0]: expected one of EdDSA, ES256",
    ],
    [
      "no algorithm",
      { brands: [{ ...brand, algorithms: [] }] },
      "brands[0].algorithms: expected at least one algorithm",
    ],
    ["no keys", { brands: [{ ...brand, keys: undefined }] }, "brands[0].keys: expected { jwks"],
    [
      "two sources of keys",
      { brands: [{ ...brand, keys: { url: "https://x", file: "y" } }] },
      "brands[0].keys: expected { jwks",
    ],
    [
      "keys over plain HTTP",
      { brands: [{ ...brand, keys: { url: "http://id.example/keys" } }] },
      "brands[0].keys.url: must be https",
    ],
    [
      "two brands of one number",
      { brands: [brand, { ...brand, name: "b", issuer: "b" }] },
      "brands[1].number: another brand has the same number",
    ],
    [
      "two brands of one name",
      { brands: [brand, { ...brand, number: 2, issuer: "b" }] },
      "brands[1].name: another brand has the same name",
    ],
    [
      "two brands of one issuer",
      { brands: [brand, { ...brand, number: 2, name: "b" }] },
      "brands[1].issuer: another brand has the same issuer",
    ],
    [
      "a crossing to nobody",
      { brands: [brand], crossing: [{ from: "red", to: "pink" }] },
      "crossing[0].to: no brand has this name",
    ],
    ["a crossing that is a word", { crossing: "closed" }, 'crossing: expected "open" or a list'],
    [
      "a limit out of its range",
      { limits: { helloTimeoutMs: 60_000 } },
      "limits.helloTimeoutMs: expected a whole number, 500 to 8000",
    ],
    [
      "web push without a key",
      { push: { webPush: { ...vapid, privateKey: undefined } } },
      "push.webPush.privateKey: expected a text that is not empty",
    ],
    [
      "a subject that nobody can write to",
      { push: { webPush: { ...vapid, subject: "red" } } },
      "push.webPush.subject: expected mailto:… or https://…",
    ],
    [
      "keys of nobody",
      { brands: [brand], push: { webPush: { ...vapid, brands: [{ brand: "pink", ...vapid }] } } },
      "push.webPush.brands[0].brand: no brand has this name",
    ],
    [
      "two gateways of one brand",
      { brands: [brand], push: { webhooks: [webhook, webhook] } },
      "push.webhooks[1].brand: another entry is of the same brand",
    ],
    [
      "a gateway over plain HTTP",
      { push: { webhooks: [{ ...webhook, url: "http://red.example/wake" }] } },
      "push.webhooks[0]: its url must be https",
    ],
    [
      "a secret that is none",
      { push: { webhooks: [{ ...webhook, secret: "short" }] } },
      "push.webhooks[0]: its secret has less than 16 characters",
    ],
    ["a way of waking that there is not", { push: { apns: {} } }, "push.apns: no such setting"],
    ["no JSON", '{\n "port": 1,\n}', "is not JSON"],
  ];
  test.each(cases)("%s", (_, settings, message) => {
    expect(failure(settings)).toContain(message);
  });

  test("everything that is wrong is listed at once, under the name of the file", () => {
    const message = failure({ port: "x", prot: 1, brands: [{ ...brand, number: "one" }] });
    expect(message).toContain(join(directory, "interline.json"));
    expect(message.split("\n")).toHaveLength(4);
  });

  test("values are not quoted", () => {
    const message = failure({ brands: [{ ...brand, keys: { jwks: "canary" }, issuer: 5, name: "Canary!" }] });
    expect(message.toLowerCase()).not.toContain("canary");
    expect(failure('{"keys": {"d": "canary",}}')).not.toContain("canary");
  });

  test.each<[string, Flags, NodeJS.ProcessEnv, string]>([
    ["a port on the command line", { port: "http" }, {}, "port: expected a port number"],
    [
      "a port in the environment",
      {},
      { INTERLINE_PORT: "tcp://10.0.0.1:7400" },
      "port: expected a port number",
    ],
    [
      "a certificate without a key",
      { tlsCert: "c.pem" },
      {},
      "tls.keyFile: a certificate without a key: expected both",
    ],
    ["a log level", {}, { INTERLINE_LOG_LEVEL: "loud" }, "logLevel: expected one of"],
  ])("%s", (_, flags, environment, message) => {
    expect(failure(undefined, flags, environment)).toContain(message);
  });
});
