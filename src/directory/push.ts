/** What a device may ask about its own wake-ups. */
import { type DeviceAddress, deviceParts } from "../base/address.js";
import { limits } from "../rules/limits.js";
import { isPushKind, type PushSender, type PushTarget } from "../rules/push.js";
import { CodedError } from "../wire/coded-error.js";
import { badRequest, type Methods } from "./requests.js";

/** What this service needs of the store. */
export interface PushTargetStore {
  register(device: DeviceAddress, target: PushTarget, nowMs: number): Promise<void>;
  unregister(device: DeviceAddress): Promise<void>;
}

export function pushMethods(
  store: PushTargetStore,
  sender: PushSender,
  options: { readonly brandName: (number: number) => string | undefined; readonly nowMs: () => number },
): Methods {
  const brandOf = (caller: DeviceAddress): string => options.brandName(deviceParts(caller).brand) ?? "";
  return {
    "push.describe": (caller) => ({
      kinds: sender
        .kinds(brandOf(caller))
        .map(({ kind, publicKey }) => ({ kind, ...(publicKey !== undefined && { publicKey }) })),
    }),
    "push.register": async (caller, body) => {
      const brand = brandOf(caller);
      const kind = body.str("kind");
      const target = body.bin("target", { min: 1, max: limits.pushTargetBytesMax });
      const isServed = isPushKind(kind) && sender.kinds(brand).some((known) => known.kind === kind);
      if (!isServed) throw new CodedError("notAllowed");
      const fault = sender.fault?.(brand, { kind, target });
      if (fault !== undefined) throw badRequest(fault);
      await store.register(caller, { kind, target }, options.nowMs());
      return {};
    },
    "push.unregister": async (caller) => {
      await store.unregister(caller);
      return {};
    },
  };
}
