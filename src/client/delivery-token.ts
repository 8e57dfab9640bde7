/**
 * The delivery token of the client's own account: whoever has it may send sealed envelopes to the account. Share it end to end
 * with those who may, and with the account's other devices; the node keeps only a digest.
 */
import { Fields } from "../wire/fields.js";
import { badFrame } from "../wire/msgpack.js";
import type { MsgpackMap } from "../wire/msgpack-value.js";
import { DELIVERY_TOKEN_BYTES } from "../wire/sealed.js";
import { checkedToken } from "./requests.js";
import type { Ask, DeliveryTokenState } from "./types.js";

export class DeliveryToken {
  readonly #ask: Ask;

  constructor(ask: Ask) {
    this.#ask = ask;
  }

  /** 16 random bytes: what set() and rotate() take. */
  make(): Uint8Array {
    return crypto.getRandomValues(new Uint8Array(DELIVERY_TOKEN_BYTES));
  }

  status(): Promise<DeliveryTokenState> {
    return this.#ask({ method: "deliveryToken.status", isRepeatable: true }, readState);
  }

  /** From now on this token, and no other, lets sealed envelopes in. Rejects with `rateLimited`. */
  set(token: Uint8Array): Promise<DeliveryTokenState> {
    return this.#change("set", { token: checkedToken(token) });
  }

  /**
   * The same, but the token before is good for `overlapMs` more (a day without; a week at most), so that those who have
   * it can be told the new one. Rejects with `notFound` when there is none, and with `rateLimited`.
   */
  rotate(token: Uint8Array, options: { readonly overlapMs?: number } = {}): Promise<DeliveryTokenState> {
    const { overlapMs } = options;
    return this.#change("rotate", {
      token: checkedToken(token),
      ...(overlapMs !== undefined && { overlapMs }),
    });
  }

  /** No token lets anything in from now on, the one before a rotation neither. Rejects with `rateLimited`. */
  revoke(): Promise<DeliveryTokenState> {
    return this.#change("revoke", {});
  }

  #change(verb: "set" | "rotate" | "revoke", body: MsgpackMap): Promise<DeliveryTokenState> {
    return this.#ask({ method: `deliveryToken.${verb}`, body, isRepeatable: true }, readState);
  }
}

function readState(body: MsgpackMap): DeliveryTokenState {
  const fields = new Fields(body, badFrame);
  return { isSet: fields.bool("isSet"), previousForMs: fields.uint("previousForMs") };
}
