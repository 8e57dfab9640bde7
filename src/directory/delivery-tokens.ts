/**
 * What a signed-in device may do about its account's delivery token: with it, somebody who is not named sends to the
 * account. The device makes the token and shares it, end to end, with those who may; the node keeps a digest.
 */
import { type AccountAddress, accountOf } from "../base/address.js";
import { equalBytes } from "../base/bytes.js";
import type { Clock } from "../base/clock.js";
import { type DeliveryTokens, noTokens, type TokenChange } from "../rules/sealed.js";
import type { Store } from "../store/store.js";
import type { MsgpackMap } from "../wire/msgpack-value.js";
import { DELIVERY_TOKEN_BYTES } from "../wire/sealed.js";
import { RateLimiter } from "./rate-limiter.js";
import type { Methods } from "./requests.js";

export interface DeliveryTokenParts {
  readonly store: Pick<Store, "deliveryTokens" | "changeDeliveryTokens">;
  readonly clock: Clock;
  readonly limits: {
    readonly deliveryTokenOverlapMs: number;
    readonly deliveryTokenOverlapMaxMs: number;
    readonly deliveryTokenChangesBurst: number;
    readonly deliveryTokenChangesPerSecond: number;
    readonly resolversCountedMax: number;
  };
}

export function deliveryTokenMethods({ store, clock, limits }: DeliveryTokenParts): Methods {
  const limiter = new RateLimiter({
    ...{ burst: limits.deliveryTokenChangesBurst, perSecond: limits.deliveryTokenChangesPerSecond },
    ...{ countedMax: limits.resolversCountedMax, clock },
  });

  const stateOf = ({ current, previousUntilMs }: DeliveryTokens): MsgpackMap => ({
    isSet: !equalBytes(current, noTokens.current),
    previousForMs: Math.max(0, Math.ceil(previousUntilMs - clock.monotonicMs())),
  });

  const change = async (account: AccountAddress, wanted: TokenChange): Promise<MsgpackMap> => {
    limiter.take(account);
    return stateOf((await store.changeDeliveryTokens(account, wanted)) ?? noTokens);
  };

  return {
    "deliveryToken.status": (caller) => stateOf(store.deliveryTokens(accountOf(caller))),
    "deliveryToken.set": (caller, body) =>
      change(accountOf(caller), { kind: "set", token: body.binOf("token", DELIVERY_TOKEN_BYTES) }),
    "deliveryToken.rotate": (caller, body) =>
      change(accountOf(caller), {
        kind: "rotate",
        token: body.binOf("token", DELIVERY_TOKEN_BYTES),
        overlapMs: body.has("overlapMs")
          ? body.uint("overlapMs", limits.deliveryTokenOverlapMaxMs)
          : limits.deliveryTokenOverlapMs,
      }),
    "deliveryToken.revoke": (caller) => change(accountOf(caller), { kind: "revoke" }),
  };
}
