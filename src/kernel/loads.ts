/** How an account or a group is handed to the kernel: its fields in the scratch area, its members right into the ring of rosters. */
import * as L from "../../assembly/layout.js";
import { assert } from "../base/assert.js";
import type { ResidentAccount, ResidentGroup } from "./shapes.js";

/** Writes what loadAccount of the kernel takes to the scratch area, which begins at `at`. */
export function writeAccount(
  bytes: Uint8Array,
  words: Uint32Array,
  at: number,
  account: ResidentAccount,
): void {
  assert(account.devices.length <= L.ACCOUNT_DEVICES_MAX, "more devices than an account may have");
  bytes.set(account.address, at + L.LOAD_ADDRESS);
  words[(at + L.LOAD_VERSION) >> 2] = account.version;
  words[(at + L.LOAD_DEVICE_COUNT) >> 2] = account.devices.length;
  account.devices.forEach((device, i) => {
    words[(at + L.LOAD_DEVICES + 8 * i) >> 2] = device.number;
    words[(at + L.LOAD_DEVICES + 8 * i + 4) >> 2] = device.ordinal;
  });
}

/** Writes what loadGroup of the kernel takes to the scratch area. */
export function writeGroup(bytes: Uint8Array, words: Uint32Array, at: number, group: ResidentGroup): void {
  assert(group.members.length <= L.GROUP_MEMBERS_MAX, "more members than a group may have");
  bytes.set(group.address, at + L.LOAD_ADDRESS);
  words[(at + L.LOAD_VERSION) >> 2] = group.version;
  words[(at + L.LOAD_HELD) >> 2] = group.isHeld ? 1 : 0;
}

/** Writes the members' addresses to where loadGroup made room for them. */
export function writeMembers(bytes: Uint8Array, at: number, members: ResidentGroup["members"]): void {
  let to = at + L.MEMBER_ADDRESS;
  for (const member of members) {
    bytes.set(member, to);
    to += L.MEMBER_BYTES;
  }
}
