/**
 * Loopback addresses that no other process uses. A closed connection keeps its port for a minute (TIME_WAIT), and where
 * thousands do, the kernel takes up to a millisecond to find a free port of the same address: the next run would wait for that.
 */
import { pid } from "node:process";

/** `nth`: 0 to 200. */
export function sourceAddress(nth: number): string {
  return `127.${1 + ((pid >> 8) % 254)}.${pid & 0xff}.${2 + nth}`;
}
