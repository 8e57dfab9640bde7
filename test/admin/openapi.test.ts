/**
 * docs/openapi.yaml against a running node: every route and every status in it comes about and has the form that the document
 * gives it, and the node has no route that the document lacks.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { routes } from "../../src/admin/routes.js";
import type { BrandSettings } from "../../src/directory/sign-in.js";
import { createNode, type InterlineNode } from "../../src/index.js";
import { makeKey, sign } from "../directory/issuer.js";
import { buildMutant } from "../support/mutant.js";
import { freePort } from "../support/node-process.js";
import { NodeUnderTest } from "../support/node-under-test.js";
import { mintService, World, type WorldBrand } from "../support/world.js";

interface Operation {
  readonly responses: Readonly<Record<string, { readonly $ref: string }>>;
}

interface Response {
  readonly headers?: Readonly<Record<string, { readonly required?: boolean }>>;
  readonly content?: Readonly<Record<string, { readonly schema: { readonly $ref: string } }>>;
}

const document = parse(readFileSync(new URL("../../docs/openapi.yaml", import.meta.url), "utf8"));
const ajv = new Ajv2020({ strict: true, allErrors: true });
ajv.addVocabulary(["components"]);
ajv.addSchema({ $id: "openapi", components: { schemas: document.components.schemas } });

const METHODS = ["get", "put", "delete"] as const;
const operations = Object.entries<Record<string, Operation>>(document.paths).flatMap(([path, item]) =>
  METHODS.flatMap((method) => {
    const operation = item[method];
    return operation === undefined ? [] : [{ method: method.toUpperCase(), path, operation }];
  }),
);

const key = makeKey("k");
const brand = (number: number, name: string, keys: BrandSettings["keys"]): BrandSettings => ({
  ...{ number, name, issuer: `https://${name}.example`, keys },
  ...{ audience: "interline", tokenType: "interline+jwt", algorithms: ["EdDSA"] },
});
const inline = { jwks: { keys: [key.publicJwk] } };

function token(issuer = "red", claims: Record<string, unknown> = {}, type = "interline-service+jwt"): string {
  const nowS = Math.floor(Date.now() / 1000);
  return sign({
    header: { alg: "EdDSA", kid: "k", typ: type },
    claims: {
      ...{ iss: `https://${issuer}.example`, aud: "interline-admin", scope: "metrics accounts" },
      ...{ iat: nowS, exp: nowS + 60, ...claims },
    },
    key,
  });
}

let node: InterlineNode;
let directory: string;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "interline-admin-"));
  node = await createNode({
    dataDirectory: directory,
    listen: false,
    admin: { port: 0 },
    brands: [
      brand(1, "red", inline),
      brand(2, "blue", inline),
      // Nobody listens there.
      brand(3, "down", { url: "http://127.0.0.1:1/keys" }),
    ],
  });
});
afterAll(async () => {
  await node.stop();
  rmSync(directory, { recursive: true });
});

/** What came about: `METHOD path status`. */
const seen = new Set<string>();

interface Ask {
  readonly token?: string | undefined;
  readonly body?: string;
  readonly type?: string;
}

/** Sends a request and holds the answer against the document. */
async function ask(
  method: string,
  template: string,
  params: Record<string, string>,
  { token: bearer = token(), body, type = "application/json" }: Ask = {},
): Promise<{ status: number; body: Record<string, unknown> }> {
  const path = template.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(params[name] ?? ""));
  const response = await fetch(`${node.adminUrl}${path}`, {
    method,
    headers: {
      ...(bearer !== "" && { authorization: `Bearer ${bearer}` }),
      ...(body !== undefined && { "content-type": type }),
    },
    ...(body !== undefined && { body }),
  });
  const text = await response.text();
  validate(document.paths[template][method.toLowerCase()], response, text);
  seen.add(`${method} ${template} ${response.status}`);
  return { status: response.status, body: text === "" ? {} : JSON.parse(text) };
}

function validate({ responses }: Operation, response: globalThis.Response, text: string): void {
  const reference = responses[response.status]?.$ref;
  expect(reference, `status ${response.status} is in the document: ${text}`).toBeDefined();
  const described: Response = document.components.responses[String(reference).split("/").at(-1) as string];
  for (const [name, { required }] of Object.entries(described.headers ?? {}))
    if (required) expect(response.headers.get(name), name).not.toBeNull();
  const [content] = Object.entries(described.content ?? {});
  if (content === undefined) {
    expect(text).toBe("");
    return;
  }
  const [type, { schema }] = content;
  expect(response.headers.get("content-type")?.split(";")[0]).toBe(type);
  const check = ajv.compile({ $ref: `openapi${schema.$ref}` });
  expect(check(JSON.parse(text)), `${text}: ${ajv.errorsText(check.errors)}`).toBe(true);
  if (type === "application/problem+json") expect(JSON.parse(text).status).toBe(response.status);
}

const ACCOUNT = "/v1/accounts/{account}";
const DEVICE = "/v1/accounts/{account}/devices/{device}";
const NAME = "/v1/names/{name}";
const account = "00112233445566778899aabbccddeeff";
const uuid = "00112233-4455-6677-8899-AABBCCDDEEFF";
const name = Buffer.from("ann@red.example").toString("base64url");
const params = { account, device: "7", name };
const owner = JSON.stringify({ account: uuid });

test("the node's routes are those of the document", () => {
  const own = routes.map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, "{$1}")}`);
  expect(own.sort()).toEqual(operations.map(({ method, path }) => `${method} ${path}`).sort());
});

describe("whoever asks", () => {
  const body = (method: string, path: string) => (method === "PUT" && path === NAME ? { body: owner } : {});

  test.each(operations)(
    "$method $path wants a token of a back end, with its scope",
    async ({ method, path }) => {
      const status = async (bearer: string) =>
        (await ask(method, path, params, { token: bearer, ...body(method, path) })).status;
      const expS = Math.floor(Date.now() / 1000) - 60;
      expect(await status("")).toBe(401);
      expect(await status("not.a.token")).toBe(401);
      expect(await status(token("red", { exp: expS }))).toBe(401);
      expect(await status(token("red", { aud: "interline" }))).toBe(401);
      expect(await status(token("red", {}, "interline+jwt"))).toBe(401);
      expect(await status(token("red", { device: 1, sub: account }))).toBe(401);
      expect(await status(token("red", { scope: "account accountsx" }))).toBe(403);
      expect(await status(token("red", { scope: undefined }))).toBe(403);
      expect(await status(token("down"))).toBe(503);
    },
  );

  /** `METHOD path` of what a token without the scope is not refused for want of it; `tokenOf` gives one with this scope. */
  async function openWithoutScope(
    adminUrl: string,
    tokenOf: (scope: string | undefined) => string,
  ): Promise<string[]> {
    const asked = operations.flatMap(({ method, path }) =>
      ["account accountsx", undefined].map(async (scope) => {
        const url = `${adminUrl}${path.replace(/\{(\w+)\}/g, (_, each: "name") => params[each])}`;
        const headers = { authorization: `Bearer ${tokenOf(scope)}` };
        const { status } = await fetch(url, { method, headers });
        return status === 403 ? [] : [`${method} ${path}`];
      }),
    );
    return (await Promise.all(asked)).flat();
  }

  test("opens nothing without the scope", async () => {
    expect(await openWithoutScope(node.adminUrl as string, (scope) => token("red", { scope }))).toEqual([]);
  });

  test("control: a node that passes over the scope is caught, on every route", async () => {
    const mutant = buildMutant("scopeIgnored");
    const world = new World({ brands: 1, accountsPerBrand: 1, devices: () => 1 });
    const port = await freePort();
    const broken = await NodeUnderTest.create({ world, build: mutant.build, more: { admin: { port } } });
    try {
      await broken.start();
      const tokenOf = (scope: string | undefined): string =>
        mintService(world.brands[0] as WorldBrand, { scope });
      const open = await openWithoutScope(`http://127.0.0.1:${port}`, tokenOf);
      expect(new Set(open).size).toBe(operations.length);
    } finally {
      await broken.discard();
      mutant.remove();
    }
  });

  test("a device's token opens nothing", async () => {
    const ofDevice = token("red", { aud: "interline", sub: account, device: 1 }, "interline+jwt");
    expect((await ask("GET", ACCOUNT, params, { token: ofDevice })).body).toMatchObject({ code: 201 });
  });
});

describe("accounts, devices and names", () => {
  test("are registered, looked up and removed", async () => {
    const steps: readonly (readonly [string, string, Record<string, string>, Ask, number, object])[] = [
      ["GET", ACCOUNT, params, {}, 404, { code: 611 }],
      ["PUT", DEVICE, params, {}, 404, { code: 611 }],
      ["PUT", NAME, params, { body: owner }, 404, { code: 611 }],
      ["PUT", ACCOUNT, { account: uuid }, {}, 201, { account, version: 1, devices: [] }],
      ["PUT", ACCOUNT, params, {}, 200, { account, version: 1 }],
      ["PUT", DEVICE, params, {}, 201, { account, version: 2, device: 7 }],
      ["PUT", DEVICE, params, {}, 200, { version: 2 }],
      ["GET", DEVICE, params, {}, 200, { account, version: 2, device: 7 }],
      ["GET", DEVICE, { ...params, device: "8" }, {}, 404, { code: 611 }],
      ["GET", ACCOUNT, params, {}, 200, { account, version: 2, devices: [7] }],
      ["GET", NAME, params, {}, 404, { code: 611 }],
      ["PUT", NAME, params, { body: owner }, 201, { name, account }],
      ["PUT", NAME, params, { body: owner }, 200, { name, account }],
      ["GET", NAME, params, {}, 200, { name, account }],
      ["DELETE", NAME, params, {}, 204, {}],
      ["DELETE", NAME, params, {}, 404, { code: 611 }],
      ["PUT", NAME, params, { body: owner }, 201, {}],
      ["DELETE", DEVICE, params, {}, 204, {}],
      ["DELETE", DEVICE, params, {}, 404, { code: 611 }],
      ["GET", ACCOUNT, params, {}, 200, { version: 3, devices: [] }],
      ["DELETE", ACCOUNT, params, {}, 204, {}],
      ["DELETE", ACCOUNT, params, {}, 404, { code: 611 }],
      ["GET", ACCOUNT, params, {}, 404, { code: 611 }],
      ["GET", NAME, params, {}, 404, { code: 611 }],
      ["PUT", ACCOUNT, params, {}, 201, { version: 5, devices: [] }],
    ];
    for (const [method, path, given, asked, status, body] of steps) {
      const answer = await ask(method, path, given, asked);
      expect([method, path, answer.status, answer.body]).toEqual([
        method,
        path,
        status,
        expect.objectContaining(body),
      ]);
    }
  });

  test("have bounds, and a name one owner", async () => {
    const full = { account: "ff".repeat(16) };
    await ask("PUT", ACCOUNT, full);
    for (let device = 1; device <= 16; device++)
      expect((await ask("PUT", DEVICE, { ...full, device: String(device) })).status).toBe(201);
    expect((await ask("PUT", DEVICE, { ...full, device: "17" })).body).toMatchObject({
      code: 204,
      status: 409,
    });
    const body = JSON.stringify({ account: full.account });
    const named = (i: number) => ({ name: Buffer.from(`name ${i}`).toString("base64url") });
    for (let i = 0; i < 16; i++) expect((await ask("PUT", NAME, named(i), { body })).status).toBe(201);
    expect((await ask("PUT", NAME, named(16), { body })).body).toMatchObject({ code: 208, status: 409 });
    await ask("PUT", ACCOUNT, { account: "ee".repeat(16) });
    const other = JSON.stringify({ account: "ee".repeat(16) });
    expect((await ask("PUT", NAME, named(3), { body: other })).body).toMatchObject({
      code: 207,
      status: 409,
    });
  });

  test("wait while the brand's accounts have yet to be told as much as may be, but for removals", async () => {
    const other = node;
    const path = join(directory, "busy");
    // Nothing is told here.
    const limits = { noticesOwedPerBrandMax: 2, noticesInFlightMax: 0 };
    const brands = [brand(1, "red", inline), brand(2, "blue", inline)];
    node = await createNode({ dataDirectory: path, listen: false, admin: { port: 0 }, brands, limits });
    try {
      const account = "dd".repeat(16);
      const put = (device: number, as = token()) =>
        ask("PUT", DEVICE, { account, device: String(device) }, { token: as });
      for (const as of [token(), token("blue")]) await ask("PUT", ACCOUNT, { account }, { token: as });
      for (const device of [1, 2, 3]) expect((await put(device)).status).toBe(201);
      expect(await put(4)).toMatchObject({ status: 429, body: { code: 405 } });
      expect((await put(3)).status).toBe(200);
      for (const device of [1, 2, 3]) expect((await put(device, token("blue"))).status).toBe(201);
      expect((await ask("DELETE", DEVICE, { account, device: "1" })).status).toBe(204);
      expect((await ask("GET", ACCOUNT, { account })).body).toMatchObject({ devices: [2, 3] });
    } finally {
      await node.stop();
      node = other;
    }
  });

  test("of one brand are not another's", async () => {
    const blue = { token: token("blue") };
    const shared = {
      account: "ab".repeat(16),
      name: Buffer.from("shared").toString("base64url"),
      device: "1",
    };
    const body = JSON.stringify({ account: shared.account });
    await ask("PUT", ACCOUNT, shared);
    await ask("PUT", DEVICE, shared);
    await ask("PUT", NAME, shared, { body });
    for (const [method, path] of [
      ["GET", ACCOUNT],
      ["DELETE", ACCOUNT],
      ["GET", DEVICE],
      ["PUT", DEVICE],
      ["DELETE", DEVICE],
      ["GET", NAME],
      ["DELETE", NAME],
    ] as const)
      expect([method, path, (await ask(method, path, shared, blue)).status]).toEqual([method, path, 404]);
    expect((await ask("PUT", NAME, shared, { ...blue, body })).status).toBe(404);
    expect((await ask("PUT", ACCOUNT, shared, blue)).status).toBe(201);
    expect((await ask("PUT", NAME, shared, { ...blue, body })).status).toBe(201);
    expect((await ask("GET", ACCOUNT, shared)).body).toMatchObject({ devices: [1] });
  });
});

describe("what cannot be read", () => {
  test.each([
    [ACCOUNT, { account: "0011" }],
    [ACCOUNT, { account: "zz".repeat(16) }],
    [DEVICE, { account, device: "0" }],
    [DEVICE, { account, device: "65536" }],
    [DEVICE, { account, device: "1x" }],
    [NAME, { name: "a" }],
    [NAME, { name: "YR" }],
    [NAME, { name: "YQ==" }],
    [NAME, { name: Buffer.alloc(129).toString("base64url") }],
    [NAME, { name: "A".repeat(2_000) }],
  ])("%s %j is a bad request", async (path, given) => {
    for (const method of ["GET", "PUT", "DELETE"]) {
      const asked = method === "PUT" && path === NAME ? { body: owner } : {};
      const { status, body } = await ask(method, path, given, asked);
      expect([status, body.code]).toEqual([400, 610]);
    }
  });

  test.each([
    ["no JSON", "{", 400, "application/json"],
    ["no account", "{}", 400, "application/json"],
    ["an account that is a number", '{"account":5}', 400, "application/json"],
    ["a field that nobody knows", `{"account":"${account}","x":1}`, 400, "application/json"],
    ["a wrong account", '{"account":"0011"}', 400, "application/json"],
    ["too much", JSON.stringify({ account, x: "y".repeat(5_000) }), 413, "application/json"],
    ["another type", "account=1", 415, "application/x-www-form-urlencoded"],
  ])("a body with %s", async (_, body, status, type) => {
    expect(await ask("PUT", NAME, { name }, { body, type })).toMatchObject({ status, body: { code: 610 } });
  });

  test("a route or a method that is not there is a problem too", async () => {
    for (const [method, path] of [
      ["GET", "/"],
      ["GET", "/v1/accounts"],
      ["POST", `/v1/accounts/${account}`],
      ["HEAD", `/v1/accounts/${account}`],
    ] as const) {
      const headers = { authorization: `Bearer ${token()}` };
      const response = await fetch(`${node.adminUrl}${path}`, { method, headers });
      expect([path, response.status]).toEqual([path, 404]);
      expect(response.headers.get("content-type")).toMatch(/^application\/problem\+json/);
    }
  });
});

test("every status in the document came about", () => {
  const described = operations.flatMap(({ method, path, operation }) =>
    Object.keys(operation.responses).map((status) => `${method} ${path} ${status}`),
  );
  expect([...seen].sort()).toEqual(described.sort());
});
