/**
 * Web push (RFC 8030): the target is the subscription's endpoint, as UTF-8; the wake-up is a message without a body, so
 * that there is nothing to encrypt and nothing to be seen. The application server is known to the push service by its
 * VAPID key (RFC 8292). One topic for all wake-ups: of those that a push service could not hand over yet only the last stays.
 */
import webPush from "web-push";
import { assert } from "../base/assert.js";
import type { Clock } from "../base/clock.js";
import { limits } from "../rules/limits.js";
import {
  endpointFault,
  outcomeOf,
  type PushOutcome,
  pushServiceHosts,
  retryAfterMsOf,
} from "../rules/push.js";
import { CodedError } from "../wire/coded-error.js";
import { HttpPost } from "./http-post.js";

/** A pair of keys as `npx web-push generate-vapid-keys` prints them, and whom a push service may write to. */
export interface VapidSettings {
  /** `mailto:` or `https:`. */
  readonly subject: string;
  /** base64url, 65 bytes. */
  readonly publicKey: string;
  /** base64url, 32 bytes. */
  readonly privateKey: string;
}

export interface WebPushSettings extends VapidSettings {
  /** Brands with keys of their own. */
  readonly brands?: readonly (VapidSettings & { readonly brand: string })[];
  /** Push services that the node sends to; `*.` stands for any name before it. Those of the known browsers without. */
  readonly hosts?: readonly string[];
  /** For tests: plain http, ports, and addresses that are not public. */
  readonly allowPrivateEndpoints?: boolean;
}

export const WEB_PUSH = "webPush";
const TOPIC = "interline";
const SUBSCRIPTION_GONE = [404, 410];

interface SignedOrigin {
  readonly authorization: string;
  readonly signedMs: number;
}

export class WebPushSender {
  readonly #settings: WebPushSettings;
  readonly #clock: Clock;
  readonly #post: HttpPost;
  readonly #rules: { readonly hosts: readonly string[]; readonly allowsPrivate: boolean };
  /** By public key and origin: signing takes longer than sending. */
  readonly #signed = new Map<string, SignedOrigin>();

  /** Throws CodedError `badConfiguration` when a key or subject cannot be used; no value is in the message. */
  constructor(settings: WebPushSettings, clock: Clock) {
    this.#settings = settings;
    this.#clock = clock;
    const allowsPrivate = settings.allowPrivateEndpoints ?? false;
    this.#rules = { hosts: settings.hosts ?? pushServiceHosts, allowsPrivate };
    this.#post = new HttpPost({ guardsAddresses: !allowsPrivate });
    for (const vapid of [settings, ...(settings.brands ?? [])]) requireUsable(vapid);
  }

  publicKey(brand: string): string {
    return this.#vapid(brand).publicKey;
  }

  fault(target: Uint8Array): string | undefined {
    return endpointFault(endpointOf(target), this.#rules);
  }

  async send(brand: string, target: Uint8Array, signal: AbortSignal): Promise<PushOutcome> {
    const endpoint = endpointOf(target);
    // The configuration may have changed since it was registered.
    if (endpointFault(endpoint, this.#rules) !== undefined) return { result: "refused" };
    const { status, retryAfter } = await this.#post.send(endpoint, {
      headers: {
        authorization: this.#authorization(brand, new URL(endpoint).origin),
        ttl: String(limits.pushTtlMs / 1000),
        urgency: "high",
        topic: TOPIC,
      },
      body: "",
      signal,
    });
    const retryAfterMs = retryAfterMsOf(retryAfter, this.#clock.wallMs());
    return { result: outcomeOf(status, SUBSCRIPTION_GONE), status, retryAfterMs };
  }

  close(): void {
    this.#post.close();
  }

  #vapid(brand: string): VapidSettings {
    return this.#settings.brands?.find((own) => own.brand === brand) ?? this.#settings;
  }

  #authorization(brand: string, origin: string): string {
    const vapid = this.#vapid(brand);
    const name = `${vapid.publicKey} ${origin}`;
    const nowMs = this.#clock.wallMs();
    const known = this.#signed.get(name);
    if (known !== undefined && Math.abs(nowMs - known.signedMs) < limits.pushSignatureReuseMs)
      return known.authorization;
    const authorization = sign(origin, vapid, Math.floor((nowMs + limits.pushSignatureMs) / 1000));
    const [oldest] = this.#signed.keys();
    if (oldest !== undefined && this.#signed.size >= limits.pushSignaturesMax) this.#signed.delete(oldest);
    this.#signed.set(name, { authorization, signedMs: nowMs });
    return authorization;
  }
}

function sign(origin: string, { subject, publicKey, privateKey }: VapidSettings, expiresS?: number): string {
  return webPush.getVapidHeaders(origin, subject, publicKey, privateKey, "aes128gcm", expiresS).Authorization;
}

function requireUsable(vapid: VapidSettings): void {
  try {
    assert(sign("https://push.invalid", vapid).startsWith("vapid "), "a signature was made");
  } catch {
    // Its message may quote what was set.
    const detail =
      "push.webPush: its keys or subject cannot be used (see `npx web-push generate-vapid-keys`)";
    throw new CodedError("badConfiguration", { detail, fatal: true });
  }
}

function endpointOf(target: Uint8Array): string {
  return new TextDecoder().decode(target);
}
