/**
 * Wake-ups of devices that are away: when one is due, what an answer means, how long to wait before the next attempt,
 * and where a wake-up may be sent. Pure; src/push carries it out.
 *
 * A wake-up says "connect" and nothing else: never what waits, how much of it, or from whom.
 */
import { BlockList, isIP } from "node:net";
import { limits } from "./limits.js";
import { keyUrlFault } from "./sign-in.js";

/** Of every wake-up: envelopes are for people, and in v1 a sender cannot say that one may wait. */
export const WAKE_URGENCY = "high" as const;

/** Where a device wants to be woken; what the bytes mean is between its kind's sender and the device. */
export interface PushTarget {
  readonly kind: string;
  readonly target: Uint8Array;
}

export interface WakeUp extends PushTarget {
  /** The device's brand, by name. */
  readonly brand: string;
  readonly urgency: typeof WAKE_URGENCY;
}

export interface PushOutcome {
  /**
   * sent      the wake-up is with who delivers it
   * gone      the target is dead: it is forgotten
   * refused   it will not be taken as things are configured; not tried again
   * failed    not now: tried again
   */
  readonly result: "sent" | "gone" | "refused" | "failed";
  /** The answer's status, for the log. */
  readonly status?: number;
  /** The least time before another attempt. */
  readonly retryAfterMs?: number;
}

/** A kind of targets that a brand's devices may register. */
export interface PushKind {
  /** Printable ASCII, at most pushKindCharsMax of it: others cannot be registered. */
  readonly kind: string;
  /** What a device needs to make such a target (web push: the application server key, base64url). */
  readonly publicKey?: string;
}

/** Who sends wake-ups: what is built in (src/push), or the embedder's own. */
export interface PushSender {
  kinds(brand: string): readonly PushKind[];
  /** Why a target of one of those kinds cannot be used; undefined when it can. */
  fault?(brand: string, target: PushTarget): string | undefined;
  /** A throw counts as `failed`. `signal` ends it when it takes too long, or the node stops. */
  send(wakeUp: WakeUp, signal: AbortSignal): Promise<PushOutcome>;
  /** The node stops: nothing is sent any more. */
  close?(): void;
}

/** Whether a kind's name can be one. */
export function isPushKind(kind: string): boolean {
  return kind.length <= limits.pushKindCharsMax && /^[!-~]+$/.test(kind);
}

// --- when ---

/** What a device's row says of its last wake-up. */
export interface WakeHistory {
  /** Wall clock: when the last wake-up was done with, or the device came after it; 0 for never. */
  readonly settledMs: number;
  /** The device has connected since that wake-up. */
  readonly hasConnected: boolean;
}

/** Something was stored for the device, or it went away with something left. */
export type Occasion = "stored" | "left";

/**
 * How long until the device is woken; undefined when the last wake-up covers this occasion too. One that left may have been gone for a
 * while, so it is woken although it had connected; but not more often than once an interval, lest it comes only to leave.
 */
export function wakeDelayMs(
  { settledMs, hasConnected }: WakeHistory,
  { occasion, nowMs, intervalMs }: { occasion: Occasion; nowMs: number; intervalMs: number },
): number | undefined {
  // The clock may have been set back: how long ago it was is not known then, and nobody waits until the clock gets there.
  const restMs = Math.min(intervalMs, settledMs + intervalMs - nowMs);
  if (occasion === "stored" && (hasConnected || settledMs > nowMs)) return 0;
  if (restMs <= 0) return 0;
  return occasion === "left" ? restMs : undefined;
}

// --- what then ---

export type NextStep =
  | { readonly step: "settle" | "giveUp" | "forget" }
  | { readonly step: "retry"; readonly delayMs: number };

export interface RetryBounds {
  readonly pushAttemptsMax: number;
  readonly pushRetryBaseMs: number;
  readonly pushRetryCapMs: number;
}

/** After the `attempt`-th attempt, counted from 1; `random` is from 0 to 1. */
export function nextStep(
  { result, retryAfterMs = 0 }: PushOutcome,
  attempt: number,
  bounds: RetryBounds,
  random: number,
): NextStep {
  if (result === "sent") return { step: "settle" };
  if (result === "gone") return { step: "forget" };
  if (result === "refused" || attempt >= bounds.pushAttemptsMax) return { step: "giveUp" };
  const backOffMs = Math.min(bounds.pushRetryCapMs, bounds.pushRetryBaseMs * 2 ** (attempt - 1));
  // Half of it is random: targets that failed together do not come back together.
  const delayMs = backOffMs * (0.5 + random / 2);
  return { step: "retry", delayMs: Math.max(delayMs, Math.min(retryAfterMs, bounds.pushRetryCapMs)) };
}

/**
 * What an HTTP answer says. 404 means that a web push subscription is gone (RFC 8030, 7.3); of a brand's gateway it may as well mean that
 * its address is wrong, so there only 410 does, or one mistake in a configuration would forget all targets.
 */
export function outcomeOf(status: number, deadStatuses: readonly number[]): PushOutcome["result"] {
  if (status >= 200 && status < 300) return "sent";
  if (deadStatuses.includes(status)) return "gone";
  if (status === 408 || status === 425 || status === 429 || status >= 500) return "failed";
  return "refused";
}

/** Of a header `Retry-After`: seconds, or a date. */
export function retryAfterMsOf(header: string | undefined, nowMs: number): number {
  if (header === undefined) return 0;
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000;
  const dateMs = Date.parse(header);
  return Number.isNaN(dateMs) ? 0 : Math.max(0, dateMs - nowMs);
}

// --- where to ---

/** The push services that browsers use. `*.` stands for any name before it. */
export const pushServiceHosts = [
  "fcm.googleapis.com",
  "updates.push.services.mozilla.com",
  "*.push.services.mozilla.com",
  "web.push.apple.com",
  "*.push.apple.com",
  "*.notify.windows.com",
] as const;

export interface EndpointRules {
  readonly hosts: readonly string[];
  /** For tests: plain http, and addresses that are not public. */
  readonly allowsPrivate: boolean;
}

/** Why a device's endpoint is not one that the node sends to; undefined when it is. */
export function endpointFault(text: string, { hosts, allowsPrivate }: EndpointRules): string | undefined {
  if (!URL.canParse(text)) return "the endpoint is no URL";
  const url = new URL(text);
  if (url.protocol !== "https:" && !(allowsPrivate && url.protocol === "http:"))
    return "the endpoint is not https";
  if (url.username !== "" || url.password !== "") return "the endpoint holds a user name or password";
  if (!hosts.some((pattern) => isHostOf(url.hostname, pattern)))
    return "the endpoint is of no push service that the node sends to";
  if (url.port !== "" && !allowsPrivate) return "the endpoint names a port";
  if (isIP(url.hostname.replace(/^\[|\]$/g, "")) !== 0 && !allowsPrivate)
    return "the endpoint is a bare address";
  return undefined;
}

const WEBHOOK_SECRET_CHARS_MIN = 16;

/** Why a brand's gateway cannot be used as configured; undefined when it can. */
export function webhookFault(url: string, secret: string): string | undefined {
  if (secret.length < WEBHOOK_SECRET_CHARS_MIN)
    return `its secret has less than ${WEBHOOK_SECRET_CHARS_MIN} characters`;
  const fault = keyUrlFault(url);
  return fault && `its url ${fault}`;
}

function isHostOf(host: string, pattern: string): boolean {
  return pattern.startsWith("*.") ? host.endsWith(pattern.slice(1)) : host === pattern;
}

const notPublic = new BlockList();
for (const [network, bits] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 3],
] as const)
  notPublic.addSubnet(network, bits, "ipv4");
const globalUnicast = new BlockList();
globalUnicast.addSubnet("2000::", 3, "ipv6");
for (const [network, bits] of [
  ["2001::", 23],
  ["2001:db8::", 32],
  // 6to4 wraps an IPv4 address, whatever that is.
  ["2002::", 16],
  ["3fff::", 20],
] as const)
  notPublic.addSubnet(network, bits, "ipv6");

/** Whether an address is anybody's on the Internet, and not of this machine, its network or a special use. */
export function isPublicAddress(address: string): boolean {
  if (isIP(address) === 4) return !notPublic.check(address, "ipv4");
  return isIP(address) === 6 && globalUnicast.check(address, "ipv6") && !notPublic.check(address, "ipv6");
}
