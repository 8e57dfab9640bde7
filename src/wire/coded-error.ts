/** A cold-path failure: it carries a code of the registry, and says whether the node can go on. */
import { type CodeName, codes } from "./codes.js";
import type { MsgpackMap } from "./msgpack-value.js";

export class CodedError extends Error {
  override readonly name = "CodedError";
  readonly code: CodeName;
  /** True when the process must not go on. */
  readonly fatal: boolean;
  /** Advice for the peer; 0 when waiting does not help. */
  readonly retryAfterMs: number;
  /** What the answer to a request says beyond the code. */
  readonly body: MsgpackMap | undefined;

  constructor(
    code: CodeName,
    options: {
      detail?: string;
      cause?: unknown;
      fatal?: boolean;
      retryAfterMs?: number;
      body?: MsgpackMap;
    } = {},
  ) {
    const message = codes[code].message;
    super(options.detail === undefined ? message : `${message}: ${options.detail}`, { cause: options.cause });
    this.code = code;
    this.fatal = options.fatal ?? false;
    this.retryAfterMs = options.retryAfterMs ?? 0;
    this.body = options.body;
  }
}
