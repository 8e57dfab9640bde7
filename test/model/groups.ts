/**
 * The model of resident groups: rosters in the order in which they were loaded, in a ring of so many bytes. A roster
 * lies in one piece, at the ring's beginning again when it does not fit before its end; the oldest give way until it
 * fits, and until there are fewer groups than may be.
 */
import { textOf } from "./dedup-window.js";

const HEADER_BYTES = 40;
const MEMBER_BYTES = 24;

export interface GroupRecord {
  readonly address: Uint8Array;
  readonly version: number;
  readonly members: readonly Uint8Array[];
  readonly isHeld?: boolean;
}

interface Roster extends GroupRecord {
  isHeld: boolean;
  readonly from: number;
  readonly to: number;
}

export class Groups {
  /** Oldest first; a replaced roster keeps its place. */
  private rosters: Roster[] = [];
  private readonly byAddress = new Map<string, Roster>();
  private readonly bytes: number;
  /** Where the next one begins, if it fits there. */
  private write = 0;

  constructor(
    private readonly groupsMax: number,
    membersMax: number,
  ) {
    this.bytes = groupsMax * HEADER_BYTES + membersMax * MEMBER_BYTES;
  }

  find(address: Uint8Array): GroupRecord | undefined {
    return this.byAddress.get(textOf(address));
  }

  open(address: Uint8Array): void {
    const roster = this.byAddress.get(textOf(address));
    if (roster !== undefined) roster.isHeld = false;
  }

  load(group: GroupRecord): void {
    const bytes = HEADER_BYTES + group.members.length * MEMBER_BYTES;
    const name = textOf(group.address);
    const known = this.byAddress.get(name);
    if (bytes > this.bytes || (known !== undefined && group.version <= known.version)) return;
    this.byAddress.delete(name);
    while (this.byAddress.size >= this.groupsMax) this.dropOldest();
    let from = this.write;
    while (!this.isFree(from, bytes)) {
      const isBeforeOldest = this.rosters.length > 0 && from <= (this.rosters[0] as Roster).from;
      if (!isBeforeOldest && from + bytes > this.bytes) from = 0;
      else this.dropOldest();
      if (this.rosters.length === 0) from = 0;
    }
    const roster = {
      ...group,
      isHeld: group.isHeld ?? false,
      members: group.members.map((member) => member.slice()),
      from,
      to: from + bytes,
    };
    this.rosters.push(roster);
    this.byAddress.set(name, roster);
    this.write = roster.to;
  }

  private isFree(from: number, bytes: number): boolean {
    if (from + bytes > this.bytes) return false;
    return this.rosters.every((roster) => roster.to <= from || roster.from >= from + bytes);
  }

  private dropOldest(): void {
    const oldest = this.rosters.shift() as Roster;
    const name = textOf(oldest.address);
    if (this.byAddress.get(name) === oldest) this.byAddress.delete(name);
    if (this.rosters.length === 0) this.write = 0;
  }
}
