/**
 * What becomes of a signal: an ephemeral for one device, or what the node tells of somebody's presence. It is delivered or
 * it is dropped, and whoever sent it is told nothing either way. It never comes before envelopes: a node or a connection that
 * is behind with those gets no signals until it has caught up.
 */

export type SignalFate = "delivered" | "tooMany" | "overloaded" | "notAgreed" | "notThere" | "behind";

/** For counting. */
export function noSignals(): Record<SignalFate, number> {
  return { delivered: 0, tooMany: 0, overloaded: 0, notAgreed: 0, notThere: 0, behind: 0 };
}

export interface SignalCase {
  /** Within what its sender's connection may send. */
  readonly isInRate: boolean;
  /** The node has more uncommitted work than signals may be delivered beside. */
  readonly isOverloaded: boolean;
  /** Of the same account, or both sides' agreements live and the brands are open. */
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
