/**
 * A brand's own gateway: the node tells it whom to wake, and the brand does it in its own way.
 *
 *   POST url
 *   content-type: application/json
 *   interline-signature: t=<seconds since 1970>,v1=<HMAC-SHA256 of "<t>.<body>" under the secret, hex>
 *
 *   {"target":"<what the device registered, base64url>","urgency":"high"}
 */
import { createHmac } from "node:crypto";
import type { Clock } from "../base/clock.js";
import { outcomeOf, type PushOutcome, retryAfterMsOf, type WakeUp, webhookFault } from "../rules/push.js";
import { CodedError } from "../wire/coded-error.js";
import { HttpPost } from "./http-post.js";

export interface WebhookSettings {
  readonly brand: string;
  /** https; http only to this machine itself. */
  readonly url: string;
  /** At least 16 characters. */
  readonly secret: string;
}

export const WEBHOOK = "webhook";
const TARGET_GONE = [410];

export class WebhookSender {
  readonly #byBrand: ReadonlyMap<string, WebhookSettings>;
  readonly #clock: Clock;
  // Where it goes is configured, and may well be on the brand's own network.
  readonly #post = new HttpPost({ guardsAddresses: false });

  /** Throws CodedError `badConfiguration`. */
  constructor(webhooks: readonly WebhookSettings[], clock: Clock) {
    this.#byBrand = new Map(webhooks.map((webhook) => [webhook.brand, webhook]));
    this.#clock = clock;
    for (const { brand, url, secret } of webhooks) {
      const fault = webhookFault(url, secret);
      if (fault === undefined) continue;
      throw new CodedError("badConfiguration", { detail: `the webhook of ${brand}: ${fault}`, fatal: true });
    }
  }

  serves(brand: string): boolean {
    return this.#byBrand.has(brand);
  }

  async send({ brand, target, urgency }: WakeUp, signal: AbortSignal): Promise<PushOutcome> {
    const webhook = this.#byBrand.get(brand);
    if (webhook === undefined) return { result: "refused" };
    const nowMs = this.#clock.wallMs();
    const body = JSON.stringify({ target: Buffer.from(target).toString("base64url"), urgency });
    const time = Math.floor(nowMs / 1000);
    const mac = createHmac("sha256", webhook.secret).update(`${time}.${body}`).digest("hex");
    const headers = { "content-type": "application/json", "interline-signature": `t=${time},v1=${mac}` };
    const { status, retryAfter } = await this.#post.send(webhook.url, { headers, body, signal });
    return {
      result: outcomeOf(status, TARGET_GONE),
      status,
      retryAfterMs: retryAfterMsOf(retryAfter, nowMs),
    };
  }

  close(): void {
    this.#post.close();
  }
}
