/** The model of whom a signal to a group is for. */
import type { GroupRecord } from "./groups.js";
import type { ModelDevice, Residents } from "./residents.js";

const SLOTS_MAX = 4096;

export type ModelAudience =
  | "unknown"
  | "tooLarge"
  | "stranger"
  | { readonly members: number; readonly slots: readonly number[] };

interface Context {
  readonly membersMax: number;
  readonly residents: Residents;
  /** By the brands' numbers. */
  readonly isClosed: (from: number, to: number) => boolean;
}

/** Every connected device of every member whose brand may be reached, but not the asking one. */
export function audienceOf(
  group: GroupRecord | undefined,
  sender: ModelDevice,
  { membersMax, residents, isClosed }: Context,
): ModelAudience {
  if (group === undefined) return "unknown";
  if (group.members.length > membersMax) return "tooLarge";
  const accounts = group.members.map((address) => residents.account(address));
  if (!accounts.includes(sender.account)) return "stranger";
  const brandOf = (address: Uint8Array): number => ((address[0] as number) << 8) | (address[1] as number);
  const devices = accounts
    .filter((account) => account !== undefined)
    .filter(
      (account) => account === sender.account || !isClosed(brandOf(sender.address), brandOf(account.address)),
    )
    .flatMap((account) => account.devices)
    .filter((device) => device !== sender && device.connection !== 0);
  return { members: group.members.length, slots: devices.slice(0, SLOTS_MAX).map(({ slot }) => slot) };
}
