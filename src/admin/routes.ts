/**
 * What a brand's back end may do, one row a route; docs/openapi.yaml describes them, and a test holds both together. A
 * route is given the brand that its token spoke for and never looks beyond it.
 */
import { type AccountAddress, accountAddress } from "../base/address.js";
import { toHex } from "../base/bytes.js";
import { limits } from "../rules/limits.js";
import { accountIdOf } from "../rules/sign-in.js";
import type { AccountRecord, BrandName, Store } from "../store/store.js";
import { CodedError } from "../wire/coded-error.js";

export type AdminStore = Pick<
  Store,
  | "readAccount"
  | "createAccount"
  | "removeAccount"
  | "addDevice"
  | "removeDevice"
  | "readName"
  | "giveName"
  | "takeName"
>;

export interface Asked {
  /** Whom the token spoke for. */
  readonly brand: number;
  readonly params: Readonly<Record<string, string>>;
  readonly body: unknown;
  readonly store: AdminStore;
  /** Tokens issued up to then are refused for what is removed now. */
  readonly removalMs: number;
}

export interface Answer {
  readonly status: 200 | 201 | 204;
  readonly body?: object;
}

export interface Route {
  readonly method: "GET" | "PUT" | "DELETE";
  /** As fastify has it: `:account` is a parameter. */
  readonly path: string;
  readonly answer: (asked: Asked) => Promise<Answer>;
}

const ACCOUNT = "/v1/accounts/:account";
const DEVICE = `${ACCOUNT}/devices/:device`;
const NAME = "/v1/names/:name";

export const routes: readonly Route[] = [
  {
    method: "GET",
    path: ACCOUNT,
    answer: async (asked) => ({ status: 200, body: accountView(accountRecord(asked)) }),
  },
  {
    method: "PUT",
    path: ACCOUNT,
    answer: async (asked) => {
      const { record, isChanged } = await asked.store.createAccount(accountIn(asked));
      return { status: isChanged ? 201 : 200, body: accountView(record) };
    },
  },
  {
    method: "DELETE",
    path: ACCOUNT,
    answer: async (asked) => {
      await asked.store.removeAccount(accountIn(asked), asked.removalMs);
      return { status: 204 };
    },
  },
  {
    method: "GET",
    path: DEVICE,
    answer: async (asked) => {
      const number = deviceIn(asked);
      const record = accountRecord(asked);
      if (!record.devices.some((device) => device.number === number)) throw new CodedError("notFound");
      return { status: 200, body: deviceView(record, number) };
    },
  },
  {
    method: "PUT",
    path: DEVICE,
    answer: async (asked) => {
      const number = deviceIn(asked);
      const { record, isChanged } = await asked.store.addDevice(accountIn(asked), number);
      return { status: isChanged ? 201 : 200, body: deviceView(record, number) };
    },
  },
  {
    method: "DELETE",
    path: DEVICE,
    answer: async (asked) => {
      await asked.store.removeDevice(accountIn(asked), deviceIn(asked), asked.removalMs);
      return { status: 204 };
    },
  },
  {
    method: "GET",
    path: NAME,
    answer: async (asked) => {
      const account = asked.store.readName(nameIn(asked));
      if (account === undefined) throw new CodedError("notFound");
      return { status: 200, body: nameView(asked, account) };
    },
  },
  {
    method: "PUT",
    path: NAME,
    answer: async (asked) => {
      const account = accountOfText(asked.brand, (asked.body as { account: string }).account);
      const isNew = await asked.store.giveName(account, nameIn(asked));
      return { status: isNew ? 201 : 200, body: nameView(asked, account) };
    },
  },
  {
    method: "DELETE",
    path: NAME,
    answer: async (asked) => {
      await asked.store.takeName(nameIn(asked));
      return { status: 204 };
    },
  },
];

/** What PUT of a name must be given; the other routes take no body. */
export const nameBodySchema = {
  type: "object",
  required: ["account"],
  additionalProperties: false,
  properties: { account: { type: "string", maxLength: 36 } },
} as const;

export const NAME_PATH = NAME;

function badRequest(detail: string): CodedError {
  return new CodedError("badRequest", { detail });
}

function accountOfText(brand: number, text: string): AccountAddress {
  const id = accountIdOf(text);
  if (id === undefined) throw badRequest("an account is 32 hex digits or a UUID");
  return accountAddress(brand, id);
}

function accountIn({ brand, params }: Asked): AccountAddress {
  return accountOfText(brand, params.account ?? "");
}

function accountRecord(asked: Asked): AccountRecord {
  const record = asked.store.readAccount(accountIn(asked));
  if (record === undefined || record.isRemoved) throw new CodedError("notFound");
  return record;
}

function deviceIn({ params }: Asked): number {
  const text = params.device ?? "";
  const number = /^[1-9]\d{0,4}$/.test(text) ? Number(text) : 0;
  if (number < 1 || number > limits.deviceNumberMax) throw badRequest("a device is a number, 1 to 65535");
  return number;
}

/** Names are bytes: base64url, in the one form that encoding gives. */
function nameIn({ brand, params }: Asked): BrandName {
  const text = params.name ?? "";
  const name = new Uint8Array(Buffer.from(text, "base64url"));
  const isCanonical = Buffer.from(name).toString("base64url") === text;
  if (!isCanonical || name.length === 0 || name.length > limits.nameBytesMax)
    throw badRequest(`a name is 1 to ${limits.nameBytesMax} bytes in base64url`);
  return { brand, name };
}

const idText = (account: AccountAddress): string => toHex(account.subarray(2));

function accountView({ address, version, devices }: AccountRecord): object {
  return { account: idText(address), version, devices: devices.map(({ number }) => number) };
}

function deviceView({ address, version }: AccountRecord, device: number): object {
  return { account: idText(address), version, device };
}

function nameView({ params }: Asked, account: AccountAddress): object {
  return { name: params.name, account: idText(account) };
}
