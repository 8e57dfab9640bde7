/**
 * Refusals over HTTP: problem details (RFC 9457) with the registry's code, and the status that it has there. Only codes
 * that a route can answer have one; any other is our bug.
 */
import { assert } from "../base/assert.js";
import type { CodedError } from "../wire/coded-error.js";
import { type CodeName, codes } from "../wire/codes.js";

const statuses: { readonly [Name in CodeName]?: number } = {
  badRequest: 400,
  tokenInvalid: 401,
  tokenExpired: 401,
  notAllowed: 403,
  notFound: 404,
  tooManyDevices: 409,
  nameTaken: 409,
  tooManyNames: 409,
  rateLimited: 429,
  signInUnavailable: 503,
  storageFailed: 503,
};

export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  /** Of the registry, in docs/protocol.md. */
  readonly code: number;
  readonly detail?: string;
}

/** `status`: where HTTP knows better than the code which one fits. */
export function problemOf(code: CodeName, options: { detail?: string; status?: number } = {}): Problem {
  const status = options.status ?? statuses[code];
  assert(status !== undefined, `${code} is no answer of the admin API`);
  return {
    type: `urn:interline:code:${code}`,
    title: codes[code].message,
    status,
    code: codes[code].code,
    ...(options.detail === undefined ? {} : { detail: options.detail }),
  };
}

export function problemOfError(error: CodedError): Problem {
  return problemOf(error.code, error.code === "badRequest" ? { detail: error.message } : {});
}
