/**
 * Agreements about signals and presence: what signed-in devices give, take back and list for their account, and whether
 * they want to be told of others' presence. Nothing that is answered here says anything about the other account: not
 * whether it exists, has agreed, or is here.
 */
import {
  ACCOUNT_ADDRESS_BYTES,
  type AccountAddress,
  accountOf,
  brandOf,
  type DeviceAddress,
} from "../base/address.js";
import type { Clock } from "../base/clock.js";
import { isCoverage, judgeAllow } from "../rules/contacts.js";
import type { Store } from "../store/store.js";
import { CodedError } from "../wire/coded-error.js";
import { agreementsBody } from "../wire/contacts.js";
import type { Fields } from "../wire/fields.js";
import type { Presence } from "./presence.js";
import { RateLimiter } from "./rate-limiter.js";
import { badRequest, type Methods } from "./requests.js";

export interface ContactParts {
  readonly store: Pick<Store, "contacts">;
  readonly presence: Pick<Presence, "watch" | "unwatch">;
  readonly clock: Clock;
  readonly limits: {
    readonly contactChangesBurst: number;
    readonly contactChangesPerSecond: number;
    readonly contactChangersCountedMax: number;
  };
  /** Whether envelopes pass from the one brand to the other, by their numbers. */
  readonly mayMeet: (from: number, to: number) => boolean;
}

export function contactMethods({ store, presence, clock, limits, mayMeet }: ContactParts): Methods {
  const limiter = new RateLimiter({
    ...{ burst: limits.contactChangesBurst, perSecond: limits.contactChangesPerSecond },
    ...{ countedMax: limits.contactChangersCountedMax, clock },
  });
  const changer = (caller: DeviceAddress): AccountAddress => {
    const account = accountOf(caller);
    limiter.take(account);
    return account;
  };
  return {
    "contacts.allow": async (caller, body) => {
      const { other, covers } = namedIn(body);
      const by = accountOf(caller);
      const [from, to] = [brandOf(by), brandOf(other)];
      const code = judgeAllow({ by, other, covers, mayMeet: mayMeet(from, to) && mayMeet(to, from) });
      if (code !== undefined) throw new CodedError(code);
      await store.contacts.allow(changer(caller), other, covers);
      return {};
    },
    "contacts.withdraw": async (caller, body) => {
      const { other, covers } = namedIn(body);
      await store.contacts.withdraw(changer(caller), other, covers);
      return {};
    },
    "contacts.list": (caller) => agreementsBody(store.contacts.list(accountOf(caller))),
    "presence.watch": (caller) => {
      presence.watch(caller);
      return {};
    },
    "presence.unwatch": (caller) => {
      presence.unwatch(caller);
      return {};
    },
  };
}

function namedIn(body: Fields): { readonly other: AccountAddress; readonly covers: number } {
  const other: AccountAddress = body.binOf("account", ACCOUNT_ADDRESS_BYTES);
  const covers = body.uint("covers");
  if (!isCoverage(covers)) throw badRequest("covers is 1 (signals), 2 (presence) or 3 (both)");
  return { other, covers };
}
