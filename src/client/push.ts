/**
 * Waking this device while it is away: where to, in words that the brand's way of waking understands. With web push in a
 * browser or a service worker:
 *
 *   const [kind] = (await client.push.describe()).filter(({ kind }) => kind === "webPush");
 *   const subscription = await registration.pushManager.subscribe({
 *     userVisibleOnly: true,
 *     applicationServerKey: kind.publicKey,
 *   });
 *   await client.push.register({ kind: "webPush", target: subscription.endpoint });
 */
import { Fields } from "../wire/fields.js";
import { badFrame } from "../wire/msgpack.js";
import type { MsgpackMap } from "../wire/msgpack-value.js";
import type { Ask, PushKind, PushTarget } from "./types.js";

const KINDS_MAX = 64;

export class Push {
  readonly #ask: Ask;

  constructor(ask: Ask) {
    this.#ask = ask;
  }

  /** The kinds of targets that the node takes from this brand's devices. Rejects with `requestUnknown` where there is no push. */
  describe(): Promise<readonly PushKind[]> {
    return this.#ask({ method: "push.describe", isRepeatable: true }, readKinds);
  }

  /** In the place of an earlier target. Rejects with `notAllowed` (no such kind) or `badRequest` (the node cannot use the target). */
  register({ kind, target }: PushTarget): Promise<void> {
    const bytes = typeof target === "string" ? new TextEncoder().encode(target) : target;
    return this.#ask(
      { method: "push.register", body: { kind, target: bytes }, isRepeatable: true },
      () => undefined,
    );
  }

  /** No more wake-ups. Resolves also when there was no target. */
  unregister(): Promise<void> {
    return this.#ask({ method: "push.unregister", isRepeatable: true }, () => undefined);
  }
}

function readKinds(body: MsgpackMap): readonly PushKind[] {
  return new Fields(body, badFrame).maps("kinds", KINDS_MAX).map((fields) => ({
    kind: fields.str("kind"),
    ...(fields.has("publicKey") && { publicKey: fields.str("publicKey") }),
  }));
}
