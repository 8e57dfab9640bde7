/**
 * The client's one error class. It carries a code of the protocol's registry
 * (wire/codes.ts), or one of the client's own for what never reached a server.
 */
import type { RefusalDetail } from "../wire/bodies.js";
import { type CodeName, codeName, codes, type RetryAdvice } from "../wire/codes.js";
import type { MsgpackMap } from "../wire/msgpack-value.js";

/** What can go wrong on this side of the socket. */
const localCodes = {
  badArgument: { retry: "never", message: "an argument is not what the call takes" },
  queueFull: { retry: "later", message: "as many sends as allowed wait for their receipts" },
  clientClosed: { retry: "never", message: "the client was closed" },
  connectionLost: { retry: "now", message: "the connection was lost" },
  badMessage: { retry: "later", message: "the server sent what this client cannot read" },
  connectTimeout: { retry: "now", message: "the server did not answer in time" },
  tokenUnavailable: { retry: "later", message: "the token callback failed" },
  groupNotReady: { retry: "later", message: "the group's keys have not followed its roster yet" },
  cipherCannot: { retry: "never", message: "the cipher does not offer this" },
  transcriptFailed: {
    retry: "never",
    message: "the message was accepted, but what this account's other devices get of it was not",
  },
  unknownCode: { retry: "later", message: "the server answered with a code this client does not know" },
} as const satisfies Record<string, { retry: RetryAdvice; message: string }>;

export type LocalCode = keyof typeof localCodes;

export class InterlineError extends Error {
  override readonly name = "InterlineError";
  readonly code: CodeName | LocalCode;
  /** The registry's number; 0 when the error arose in the client. */
  readonly number: number;
  /** Whether repeating can help: `repair` after the change the code asks for, `later` after retryAfterMs. */
  readonly retry: RetryAdvice;
  /** The server's advice; 0 when it gave none. */
  readonly retryAfterMs: number;
  /** For `rosterStale`: which devices were missing or surplus, per account; for a sealed send to several: which accounts it is about. */
  readonly detail: RefusalDetail;
  /** What the answer to a request said beyond its code. */
  readonly body: MsgpackMap;

  constructor(
    code: CodeName | LocalCode,
    options: {
      number?: number;
      retryAfterMs?: number;
      detail?: RefusalDetail;
      body?: MsgpackMap;
      text?: string;
      cause?: unknown;
    } = {},
  ) {
    const known = code in codes ? codes[code as CodeName] : undefined;
    const { message, retry } = known ?? localCodes[code as LocalCode];
    // A server that has nothing to add says the code's own sentence.
    const text = options.text === message ? undefined : options.text;
    super(text ? `${message}: ${text}` : message, { cause: options.cause });
    this.code = code;
    this.number = options.number ?? known?.code ?? 0;
    this.retry = retry;
    this.retryAfterMs = options.retryAfterMs ?? 0;
    this.detail = options.detail ?? {};
    this.body = options.body ?? {};
  }
}

/** The error for a number that a server sent; a newer server may know more numbers than we do. */
export function errorOfNumber(
  number: number,
  options: { retryAfterMs?: number; detail?: RefusalDetail; body?: MsgpackMap; text?: string } = {},
): InterlineError {
  return new InterlineError(codeName(number) ?? "unknownCode", { ...options, number });
}

export function isCode(error: unknown, codes: readonly InterlineError["code"][]): error is InterlineError {
  return error instanceof InterlineError && codes.includes(error.code);
}
