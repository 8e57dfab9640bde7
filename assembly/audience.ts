/**
 * Who a signal to a group is for: the connected devices of the members by the resident roster, save the asking one. Not
 * those of brands to which nothing passes from the asking one's. Whether the group is held is the host's to know: a
 * signal that comes too early is dropped, and needs no answer.
 */
import * as L from "./layout";
import { NONE, slotOf } from "./accounts";
import { findGroup, memberAccount, memberAt } from "./groups";
import { accountAt, control, crossing, flag, needed, slotAt } from "./memory";
import { brandOf } from "./send";

/**
 * Puts into the column of needed accounts the slots that the device in slot `index` may signal to in the group whose address
 * is in the scratch area, as many as the column takes, and returns how many; or says why not (layout.ts). That the group is
 * too large comes first, so that nobody makes the kernel look through thousands of members.
 */
export function audience(index: u32, membersMax: u32): u32 {
  const group = findGroup(control + L.CONTROL_SCRATCH);
  if (group == 0) return L.AUDIENCE_UNKNOWN;
  const members = load<u32>(group, L.GROUP_MEMBERS);
  if (members > membersMax) return L.AUDIENCE_TOO_LARGE;
  const own = load<u32>(slotAt(index), L.SLOT_ACCOUNT);
  const row = crossing + <usize>brandOf(slotAt(index) + L.SLOT_ADDRESS) * L.BRANDS_MAX;
  let isMember = false;
  let count: u32 = 0;
  for (let i: u32 = 0; i < members; i++) {
    const account = memberAccount(memberAt(group, i));
    if (account == NONE) continue;
    if (account == own) isMember = true;
    if (load<u8>(row + brandOf(memberAt(group, i))) == L.CROSSING_CLOSED && account != own) continue;
    const devices = load<u32>(accountAt(account), L.ACCOUNT_DEVICE_COUNT);
    for (let j: u32 = 0; j < devices && count < L.NEEDED_MAX; j++) {
      const other = slotOf(accountAt(account), j);
      if (other == index || !flag(slotAt(other), L.FLAG_CONNECTED)) continue;
      store<u32>(needed + <usize>(count++) * 4, other);
    }
  }
  store<u32>(control, members, L.CONTROL_AUDIENCE_MEMBERS);
  return isMember ? count : L.AUDIENCE_STRANGER;
}
