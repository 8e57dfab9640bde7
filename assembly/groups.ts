/**
 * Resident groups: group address → roster, so that a send names the group and the kernel finds its members.
 *
 * Rosters stand one behind the other in a ring of bytes, in the order in which they were loaded. When there is no room
 * for the next one, or there are as many groups as may be, the oldest give way; what is needed again is loaded again. A
 * new version of a roster is loaded like a new group, and the older one only takes its place until the ring comes round.
 * A group that does not exist is resident as a roster without members, so that it is not asked for with every send.
 * A roster may be loaded as held: until the host opens it, nobody but the node itself sends by it.
 *
 *   roster   ┌ bytes, version, members, resident u32 │ address 18, 2 × 0, held u32 ┬ member ┬ member ┬ … ┐
 *   member     account address 18, 2 × 0, u32 account + 1 where it was found last
 *
 * The account of a member is looked up once and remembered in its place: accounts come and go, so it is compared with
 * the address whenever it is used.
 */
import * as L from "./layout";
import { findAccount, hash, NONE, sameAccount } from "./accounts";
import { accountAt, control, groupIndex, groupIndexMask, groupsMax, rosters, rostersBytes } from "./memory";

let groupCount: u32 = 0;
/** Rosters in the ring, those included that a newer version has replaced. */
let rosterCount: u32 = 0;
let oldestAt: u32 = 0;
let writeAt: u32 = 0;
/** Where the last roster before the ring's end ends, while newer ones stand at its beginning. */
let wrapAt: u32 = 0;

// @ts-ignore: decorator
@inline
function entryAt(i: u32): usize {
  return groupIndex + (<usize>i << 2);
}

// @ts-ignore: decorator
@inline
export function memberAt(group: usize, i: u32): usize {
  return group + L.GROUP_HEADER_BYTES + <usize>i * L.MEMBER_BYTES;
}

/** The roster of the group at this 18-byte address; 0 when it is not resident. */
export function findGroup(address: usize): usize {
  let at = hash(address) & groupIndexMask;
  while (true) {
    const group: usize = load<u32>(entryAt(at));
    if (group == 0 || sameAccount(group + L.GROUP_ADDRESS, address)) return group;
    at = (at + 1) & groupIndexMask;
  }
}

function indexGroup(group: usize): void {
  let at = hash(group + L.GROUP_ADDRESS) & groupIndexMask;
  while (load<u32>(entryAt(at)) != 0) at = (at + 1) & groupIndexMask;
  store<u32>(entryAt(at), <u32>group);
  groupCount++;
}

/** Removes by shifting back what stands behind, like the index of accounts. */
function unindexGroup(group: usize): void {
  let hole = hash(group + L.GROUP_ADDRESS) & groupIndexMask;
  while (load<u32>(entryAt(hole)) != <u32>group) hole = (hole + 1) & groupIndexMask;
  let at = hole;
  for (;;) {
    at = (at + 1) & groupIndexMask;
    const other: usize = load<u32>(entryAt(at));
    if (other == 0) break;
    const home = hash(other + L.GROUP_ADDRESS) & groupIndexMask;
    if (((at - home) & groupIndexMask) >= ((at - hole) & groupIndexMask)) {
      store<u32>(entryAt(hole), <u32>other);
      hole = at;
    }
  }
  store<u32>(entryAt(hole), 0);
  store<u32>(group, 0, L.GROUP_RESIDENT);
  groupCount--;
}

function dropOldest(): void {
  const group = rosters + oldestAt;
  if (load<u32>(group, L.GROUP_RESIDENT) != 0) unindexGroup(group);
  oldestAt += load<u32>(group, L.GROUP_RECORD_BYTES);
  rosterCount--;
  if (rosterCount == 0) {
    oldestAt = 0;
    writeAt = 0;
  } else if (oldestAt == wrapAt && writeAt <= oldestAt) oldestAt = 0;
}

/** Makes room for so many bytes in one piece at the ring's end; they fit the ring. */
function makeRoom(bytes: u32): void {
  while (groupCount >= groupsMax) dropOldest();
  for (;;) {
    if (rosterCount == 0 || writeAt > oldestAt) {
      if (rostersBytes - writeAt >= bytes) return;
      wrapAt = writeAt;
      writeAt = 0;
    }
    if (oldestAt - writeAt >= bytes) return;
    dropOldest();
  }
}

/**
 * Makes room for the roster of the group whose address and version are in the scratch area, and for so many members,
 * whose addresses the caller then writes behind it. Returns where; 0 when the resident one is newer or the same, or
 * when the ring is too small.
 */
export function loadGroup(members: u32): u32 {
  const given = control + L.CONTROL_SCRATCH;
  const version = load<u32>(given, L.LOAD_VERSION);
  const bytes = L.GROUP_HEADER_BYTES + members * L.MEMBER_BYTES;
  if (bytes > rostersBytes) return 0;
  const known = findGroup(given);
  if (known != 0) {
    if (version <= load<u32>(known, L.GROUP_VERSION)) return 0;
    unindexGroup(known);
  }
  makeRoom(bytes);
  const group = rosters + writeAt;
  writeAt += bytes;
  rosterCount++;
  memory.fill(group, 0, bytes);
  store<u32>(group, bytes, L.GROUP_RECORD_BYTES);
  store<u32>(group, version, L.GROUP_VERSION);
  store<u32>(group, members, L.GROUP_MEMBERS);
  store<u32>(group, 1, L.GROUP_RESIDENT);
  store<u32>(group, load<u32>(given, L.LOAD_HELD), L.GROUP_HELD);
  memory.copy(group + L.GROUP_ADDRESS, given + L.LOAD_ADDRESS, 18);
  indexGroup(group);
  return <u32>memberAt(group, 0);
}

/** The version by which sends to the group whose address is in the scratch area are judged, 0 for none; NONE when it is not resident. */
export function groupVersion(): u32 {
  const group = findGroup(control + L.CONTROL_SCRATCH);
  return group == 0 ? NONE : load<u32>(group, L.GROUP_VERSION);
}

/** Lets everybody send to the group whose address is in the scratch area, if it is resident. */
export function openGroup(): void {
  const group = findGroup(control + L.CONTROL_SCRATCH);
  if (group != 0) store<u32>(group, 0, L.GROUP_HELD);
}

/** The resident account of a member, or NONE. */
export function memberAccount(member: usize): u32 {
  const cached = load<u32>(member, L.MEMBER_ACCOUNT);
  if (cached != 0 && sameAccount(accountAt(cached - 1) + L.ACCOUNT_ADDRESS, member)) return cached - 1;
  const account = findAccount(member);
  if (account != NONE) store<u32>(member, account + 1, L.MEMBER_ACCOUNT);
  return account;
}
