/**
 * One small POST to a push service or a gateway, bounded: in time by the caller's signal, in what is read of the answer,
 * and in where it may go. Redirects are not followed. With `guardsAddresses` a name that resolves to an address which is
 * not public is not connected to; the check is on the very addresses that are connected to, so that no second answer of
 * a name server gets around it.
 */
import { lookup } from "node:dns";
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import type { LookupFunction } from "node:net";
import { limits } from "../rules/limits.js";
import { isPublicAddress } from "../rules/push.js";

export interface PostAnswer {
  readonly status: number;
  readonly retryAfter: string | undefined;
}

export class HttpPost {
  readonly #agents = {
    "http:": new HttpAgent({ keepAlive: true, maxFreeSockets: limits.pushConcurrencyPerBrandMax }),
    "https:": new HttpsAgent({ keepAlive: true, maxFreeSockets: limits.pushConcurrencyPerBrandMax }),
  };
  readonly #guard: { readonly lookup?: LookupFunction };

  constructor({ guardsAddresses }: { readonly guardsAddresses: boolean }) {
    this.#guard = guardsAddresses ? { lookup: guardedLookup } : {};
  }

  /** Rejects when there is no answer. */
  send(
    address: string,
    options: {
      readonly headers: Record<string, string>;
      readonly body: string;
      readonly signal: AbortSignal;
    },
  ): Promise<PostAnswer> {
    const url = new URL(address);
    const isPlain = url.protocol === "http:";
    const { body, signal } = options;
    const headers = { ...options.headers, "content-length": String(Buffer.byteLength(body)) };
    const agent = this.#agents[isPlain ? "http:" : "https:"];
    return new Promise((resolve, reject) => {
      const sent = (isPlain ? httpRequest : httpsRequest)(
        url,
        { ...this.#guard, method: "POST", headers, agent, signal },
        (response) => {
          const { statusCode: status = 0, headers: answered } = response;
          // However its body ends, the answer has been given.
          response.once("close", () => resolve({ status, retryAfter: answered["retry-after"] }));
          passOver(response);
        },
      );
      sent.once("error", reject);
      sent.end(body);
    });
  }

  close(): void {
    for (const agent of Object.values(this.#agents)) agent.destroy();
  }
}

/** Reads the body to its end, so that the connection can be used again, unless it is long. */
function passOver(response: IncomingMessage): void {
  let bytes = 0;
  response.on("error", () => {});
  response.on("data", (chunk: Uint8Array) => {
    bytes += chunk.length;
    if (bytes > limits.pushAnswerBytesMax) response.destroy();
  });
}

const guardedLookup: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, addresses) => {
    const [first] = addresses ?? [];
    if (error !== null || first === undefined) callback(error ?? new Error("no address"), "", 0);
    else if (!addresses.every(({ address }) => isPublicAddress(address)))
      callback(new Error("the endpoint's address is not public"), "", 0);
    else if (options.all === true) callback(null, addresses);
    else callback(null, first.address, first.family);
  });
};
