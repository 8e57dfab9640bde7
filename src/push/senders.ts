/** What is built in to wake devices: web push for every brand, and webhooks for those that have one. */
import { type Clock, systemClock } from "../base/clock.js";
import type { PushKind, PushOutcome, PushSender, PushTarget, WakeUp } from "../rules/push.js";
import { WEB_PUSH, WebPushSender, type WebPushSettings } from "./web-push.js";
import { WEBHOOK, WebhookSender, type WebhookSettings } from "./webhook.js";

export type { VapidSettings, WebPushSettings } from "./web-push.js";
export type { WebhookSettings } from "./webhook.js";

export interface PushSettings {
  readonly webPush?: WebPushSettings;
  readonly webhooks?: readonly WebhookSettings[];
}

export class BuiltInSender implements PushSender {
  readonly #webPush: WebPushSender | undefined;
  readonly #webhooks: WebhookSender;

  /** Throws CodedError `badConfiguration`. */
  constructor({ webPush, webhooks = [] }: PushSettings, clock: Clock = systemClock) {
    this.#webPush = webPush && new WebPushSender(webPush, clock);
    this.#webhooks = new WebhookSender(webhooks, clock);
  }

  kinds(brand: string): PushKind[] {
    return [
      ...(this.#webPush ? [{ kind: WEB_PUSH, publicKey: this.#webPush.publicKey(brand) }] : []),
      ...(this.#webhooks.serves(brand) ? [{ kind: WEBHOOK }] : []),
    ];
  }

  fault(_brand: string, { kind, target }: PushTarget): string | undefined {
    return kind === WEB_PUSH ? this.#webPush?.fault(target) : undefined;
  }

  async send(wakeUp: WakeUp, signal: AbortSignal): Promise<PushOutcome> {
    const { kind, brand, target } = wakeUp;
    if (kind === WEB_PUSH && this.#webPush) return this.#webPush.send(brand, target, signal);
    if (kind === WEBHOOK) return this.#webhooks.send(wakeUp, signal);
    return { result: "refused" };
  }

  close(): void {
    this.#webPush?.close();
    this.#webhooks.close();
  }
}
