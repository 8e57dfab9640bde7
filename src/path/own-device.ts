/**
 * Devices of the node's own: through one it says what it has to say itself (notices.ts), through another it sends what
 * nobody is named for (sealed.ts). Each is a device like any other to the kernel, which counts, receipts and refuses its
 * sends; its connection ends here.
 */
import { type AccountAddress, numberedDevice } from "../base/address.js";
import { assert } from "../base/assert.js";
import { type Attachment, newAttachment } from "./attachment.js";
import type { Connection } from "./shapes.js";
import type { PathState } from "./state.js";

export interface OwnDevice {
  /** Of a brand 0 account that has nothing but this device, with the number 0. */
  readonly account: AccountAddress;
  readonly ordinal: number;
}

/** It takes nothing in but receipts and refusals. */
const WINDOW = { floor: 0, windowEntries: 1, windowBytes: 1 };

/** Attaches it, for good; undefined when the kernel's tables are full. `told` gets what the kernel answers. */
export function attachOwn(
  state: PathState,
  { account, ordinal }: OwnDevice,
  told: (bytes: Uint8Array) => void,
): Attachment | undefined {
  const { kernel } = state;
  if (!kernel.loadAccount({ address: account, version: 1, devices: [{ number: 0, ordinal }] }))
    return undefined;
  const slot = kernel.findDevice(numberedDevice(account, 0));
  assert(slot !== undefined, "a device is resident right after its account was loaded");
  const number = ++state.lastConnectionNumber;
  kernel.attach(slot, number, WINDOW);
  const connection: Connection = {
    send: (bytes) => {
      told(bytes);
      return 1;
    },
    end: (code) => assert(false, `the node ended its own connection: ${code}`),
  };
  const { windowEntries, windowBytes } = WINDOW;
  const attachment = newAttachment({ slot, number, connection, isOwn: true, windowEntries, windowBytes });
  state.connections[slot] = attachment;
  return attachment;
}
