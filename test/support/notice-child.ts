/**
 * A program that changes a roster and dies in the very moment between the change and its notice:
 *
 *   node <compiled> <data directory> <account address in hex> <changes>
 *
 * It adds so many devices to the account, and kills itself when the transaction of the last one is on disk.
 */

import { fromHex } from "../../src/base/bytes.js";
import { systemClock } from "../../src/base/clock.js";
import { openStore } from "../../src/store/store.js";

const [directory = "", accountText = "", changesText = "1"] = process.argv.slice(2);
const account = fromHex(accountText) as Uint8Array;
let changesLeft = Number(changesText);

const store = await openStore({
  directory,
  clock: systemClock,
  onNotices: () => {
    changesLeft--;
    if (changesLeft === 0) process.kill(process.pid, "SIGKILL");
  },
});
const known = store.readAccount(account)?.devices.length ?? 0;
for (let number = known + 1; ; number++) await store.registerDevice(account, number);
