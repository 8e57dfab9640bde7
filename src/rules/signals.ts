/**
 * What becomes of a signal: an ephemeral for one device or for a group, or what the node tells of somebody's presence. It is
 * delivered or it is dropped, and whoever sent it is told nothing either way. It never comes before envelopes: a node or a
 * connection that is behind with those gets no signals until it has caught up.
 *
 * Between two accounts both must have agreed. In a group being a member is the agreement: whoever may write to all of it may
 * show them that he does, and learns nothing of them by it.
 */

export type SignalFate =
  | "delivered"
  | "tooMany"
  | "overloaded"
  | "groupChanging"
  | "groupTooLarge"
  | "notAgreed"
  | "notThere"
  | "behind";

/** For counting. */
export function noSignals(): Record<SignalFate, number> {
  return {
    delivered: 0,
    tooMany: 0,
    overloaded: 0,
    groupChanging: 0,
    groupTooLarge: 0,
    notAgreed: 0,
    notThere: 0,
    behind: 0,
  };
}

export interface SignalCase {
  /** Within what its sender's connection may send. */
  readonly isInRate: boolean;
  /** The node has more uncommitted work than signals may be delivered beside, or has written enough of them in this turn. */
  readonly isOverloaded: boolean;
  /** Of the same account, or both sides' agreements live and the brands are open; of one group. */
  readonly isAgreed: boolean;
  /** The device is connected. */
  readonly isThere: boolean;
  /** Its connection takes what is sent, within its window and the bytes of signals that one turn may bring it. */
  readonly keepsUp: boolean;
}

/** One line per rule, in order of precedence: that somebody is there has no part in it before the agreement. */
export function judgeSignal(signal: SignalCase): SignalFate {
  if (!signal.isInRate) return "tooMany";
  if (signal.isOverloaded) return "overloaded";
  if (!signal.isAgreed) return "notAgreed";
  if (!signal.isThere) return "notThere";
  if (!signal.keepsUp) return "behind";
  return "delivered";
}

export interface GroupSignalCase {
  readonly isInRate: boolean;
  readonly isOverloaded: boolean;
  /** The roster is another one than the members were told of, or is about to be. */
  readonly isChanging: boolean;
  /** By the resident roster: for whom it is. Nobody looks for them when one of the above decides; or there is no room for the roster. */
  readonly audience: "unknown" | "tooLarge" | "stranger" | "members";
}

/**
 * Of one for a group, as a whole: undefined when each of those for whom it is must be judged. While a change of the group
 * is under way signals go nowhere, so that nobody who was removed sends or gets one once the removal is answered.
 */
export function judgeGroupSignal(signal: GroupSignalCase): SignalFate | undefined {
  if (!signal.isInRate) return "tooMany";
  if (signal.isOverloaded) return "overloaded";
  if (signal.isChanging) return "groupChanging";
  if (signal.audience === "unknown") return "overloaded";
  if (signal.audience === "tooLarge") return "groupTooLarge";
  if (signal.audience === "stranger") return "notAgreed";
  return undefined;
}
