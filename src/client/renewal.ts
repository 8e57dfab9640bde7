/**
 * Sends that are made anew when a roster has changed meanwhile: the request's `renew` gives what is different for the rosters
 * of now, and it goes out under the same id, as often as the send may be tried.
 */
import type { EnvelopeId } from "../base/address.js";
import type { RefusalDetail } from "../wire/bodies.js";
import type { Groups } from "./groups.js";
import { isStale } from "./pending-sends.js";
import type {
  GroupSendRequest,
  Receipt,
  SealedSharedSendRequest,
  SendRequest,
  SharedSendRequest,
} from "./types.js";

/** Gives what of the request is different by now. */
export type Renewal<R> = (stale: RefusalDetail) => Promise<Partial<R>>;

export function renewalOf<R extends SendRequest | SharedSendRequest | SealedSharedSendRequest>({
  renew,
}: R): Renewal<R> | undefined {
  return renew && (async ({ rosters = [] }) => ({ to: await renew(rosters) }) as Partial<R>);
}

export function groupRenewalOf(
  { group, renew }: GroupSendRequest,
  groups: Groups,
): Renewal<GroupSendRequest> | undefined {
  if (renew === undefined) return undefined;
  return async () => {
    const roster = await groups.get(group);
    return { blocks: [], ...(await renew(roster)), version: roster.version };
  };
}

/** `send` may throw; `isRenewable` says that a refusal as stale is not the end. */
export async function sendRenewing<R>(
  request: R,
  { attemptsMax, renew }: { readonly attemptsMax: number; readonly renew: Renewal<R> | undefined },
  send: (now: R, isRenewable: boolean) => { readonly id: EnvelopeId; readonly sent: Promise<Receipt> },
): Promise<Receipt> {
  for (let now = request, attempt = 1; ; attempt++) {
    const isRenewable = renew !== undefined && attempt < attemptsMax;
    const { id, sent } = send(now, isRenewable);
    try {
      return await sent;
    } catch (error) {
      if (!isRenewable || !isStale(error)) throw error;
      now = { ...now, ...(await renew(error.detail)), id };
    }
  }
}
