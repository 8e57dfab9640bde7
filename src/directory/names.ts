/**
 * Finding people by the names that their brands gave them. A name that nobody has, one of a brand that the asking device's
 * brand may not reach, and a brand that does not exist are one answer: the same code, after the same work, at the same
 * distance from the question, so that who is where cannot be read from trying.
 */
import { setTimeout as delay } from "node:timers/promises";
import {
  ACCOUNT_ID_BYTES,
  type AccountAddress,
  accountAddress,
  type DeviceAddress,
} from "../base/address.js";
import type { Clock } from "../base/clock.js";
import type { AccountRecord, Store } from "../store/store.js";
import { CodedError } from "../wire/coded-error.js";
import type { MsgpackMap } from "../wire/msgpack-value.js";
import { RateLimiter } from "./rate-limiter.js";
import { badRequest, type Methods } from "./requests.js";

export interface NameParts {
  readonly store: Pick<Store, "readAccount" | "readName">;
  readonly clock: Clock;
  readonly limits: {
    readonly nameBytesMax: number;
    readonly resolvesBurst: number;
    readonly resolvesPerSecond: number;
    readonly resolveAnswerMs: number;
    readonly resolversCountedMax: number;
  };
  /** Whether envelopes cross from one account's brand to the other's. */
  readonly mayReach: (from: DeviceAddress, to: AccountAddress) => boolean;
}

/** Whose roster is read when there is nobody: the work is the same. */
const NOBODY = new Uint8Array(ACCOUNT_ID_BYTES).fill(0xff);
const BRAND_MAX = 0xffff;

export function nameMethods({ store, clock, limits, mayReach }: NameParts): Methods {
  const limiter = new RateLimiter({
    ...{ burst: limits.resolvesBurst, perSecond: limits.resolvesPerSecond },
    ...{ countedMax: limits.resolversCountedMax, clock },
  });

  const find = (caller: DeviceAddress, brand: number, name: Uint8Array): AccountRecord | undefined => {
    const account = store.readName({ brand, name });
    const address = account ?? accountAddress(brand, NOBODY);
    const record = store.readAccount(address);
    const isReachable = mayReach(caller, address);
    return account !== undefined && record !== undefined && !record.isRemoved && isReachable
      ? record
      : undefined;
  };

  return {
    "accounts.resolve": async (caller, body): Promise<MsgpackMap> => {
      const brand = body.uint("brand", BRAND_MAX);
      if (brand === 0) throw badRequest("a brand is 1 to 65535");
      const name = body.bin("name", { min: 1, max: limits.nameBytesMax });
      limiter.take(caller);
      const beat = delay(limits.resolveAnswerMs);
      const record = find(caller, brand, name);
      await beat;
      if (record === undefined) throw new CodedError("notFound");
      const { address, version, devices } = record;
      return { account: address, version, devices: devices.map(({ number }) => number) };
    },
  };
}
