/**
 * Requests to the cold services, of signed-in devices and of connections that speak for nobody but a brand: each have one table of methods, by name (`noun.verb`). The path has
 * admitted the request (rules/requests.ts); here its body is decoded, bounded, and the method run. A method says no by
 * throwing a CodedError; anything else that it throws is our bug and ends the process.
 */
import type { DeviceAddress } from "../base/address.js";
import type { RequestOutcome } from "../rules/requests.js";
import { CodedError } from "../wire/coded-error.js";
import { Fields } from "../wire/fields.js";
import { MsgpackReader } from "../wire/msgpack.js";
import type { MsgpackMap } from "../wire/msgpack-value.js";

export type Method<Caller> = (caller: Caller, body: Fields) => Promise<MsgpackMap> | MsgpackMap;

/** A service's methods, by name. */
export type Methods<Caller = DeviceAddress> = Readonly<Record<string, Method<Caller>>>;

/** `Caller`: as whom a connection asks: its device, or the number of the brand that let it in. */
export class Requests<Caller = DeviceAddress> {
  readonly #methods = new Map<string, Method<Caller>>();

  constructor(...services: readonly Methods<Caller>[]) {
    for (const methods of services)
      for (const [name, method] of Object.entries(methods)) this.#methods.set(name, method);
  }

  /** `body` must stay unchanged until the promise settles. */
  async serve(caller: Caller, name: string, body: Uint8Array): Promise<RequestOutcome> {
    const method = this.#methods.get(name);
    if (method === undefined) return { code: "requestUnknown" };
    try {
      return { body: await method(caller, readBody(body)) };
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      const { code, retryAfterMs, body } = error;
      return { code, retryAfterMs, ...(body && { body }) };
    }
  }
}

export function badRequest(detail: string): CodedError {
  return new CodedError("badRequest", { detail });
}

function readBody(bytes: Uint8Array): Fields {
  let map: MsgpackMap;
  try {
    map = new MsgpackReader(bytes).body();
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    throw badRequest(error.message);
  }
  return new Fields(map, badRequest);
}
