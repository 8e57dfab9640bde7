/** What an open should find of a state, in the words of recovery-operations.ts. */
import { agreedIn, givenIn } from "./recovery-contact-model.js";
import { digestOfKeys } from "./recovery-model.js";
import {
  accountIn,
  type FoundState,
  type Key,
  type Kind,
  keyNumbers,
  REPEATS_KNOWN,
  worldDevices,
} from "./recovery-operations.js";
import type { State } from "./recovery-state.js";

type Fields = Readonly<Record<string, unknown>>;

/** Each with what should be in it and what was found. */
export function tablesOf(state: State, found: FoundState): readonly (readonly [string, Fields, Fields])[] {
  return [
    ["refused tokens", refusedIn(state), found.refused],
    ["names", state.names, found.names],
    ["delivery tokens", state.tokens, found.tokens],
    ["push targets", state.targets, found.targets],
    ["keys", keysIn(state), found.keys],
    ["groups", state.groups, found.groups],
    ["memberships", filled(state.memberships), found.memberships],
    ["groups to leave", filled(state.leaving), found.leaving],
    ["agreements", givenIn(state), found.contacts],
    ["what both have agreed to", agreedIn(state), found.agreed],
  ];
}

/**
 * Sends that were taken for repeats of nothing, and repeats that were taken for new ones, unless so many were accepted since
 * that they may be.
 */
export function wrongRepeats(state: State, found: FoundState): string[] {
  return Object.entries(found.repeats).flatMap(([send, isRepeat]) => {
    const at = state.sends.indexOf(send);
    if (isRepeat) return at < 0 ? [`a repeat of nothing: ${send}`] : [];
    const mayBeForgotten = at < 0 || state.sends.length - 1 - at > REPEATS_KNOWN;
    return mayBeForgotten ? [] : [`a repeat is taken anew: ${send}`];
  });
}

const filled = (table: State["memberships"]): State["memberships"] =>
  Object.fromEntries(Object.entries(table).filter(([, list]) => list.length > 0));

function refusedIn(state: State): Record<string, number> {
  const both = worldDevices.map((device): [string, number] => [
    device,
    Math.max(state.refused[device] ?? 0, state.refused[accountIn(device)] ?? 0),
  ]);
  return Object.fromEntries(both.filter(([, ms]) => ms > 0));
}

function keysIn(state: State): Record<string, [number, number, string]> {
  const found: Record<string, [number, number, string]> = {};
  for (const [device, { kinds, claimedThrough }] of Object.entries(state.keys)) {
    for (const kind of Object.keys(keyNumbers) as Kind[]) {
      const keys: readonly Key[] = kinds[kind] ?? [];
      const through = claimedThrough[kind] ?? 0;
      if (keys.length + through === 0) continue;
      found[`${device} ${kind}`] = [keys.length, through, digestOfKeys(device, kind, keys)];
    }
  }
  return found;
}
