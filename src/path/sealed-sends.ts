/** Sealed sends that are under way, and what their recipients have left of theirs; sealed.ts changes it. */
import type { SendBounds } from "../wire/recipients.js";
import type { Attachment } from "./attachment.js";
import { BudgetTable } from "./budgets.js";
import type { PathLimits } from "./shapes.js";
import type { OpenSend } from "./unidentified-table.js";

export class SealedSends {
  /** The device that sealed envelopes come from; undefined until the first. */
  device: Attachment | undefined;
  /** Sends of the device so far. */
  position = 0;
  /** What the kernel has, by the device's positions, oldest first. */
  readonly inKernel = new Map<number, OpenSend>();
  readonly recipients: BudgetTable;
  /** A send to more accounts than a connection may ever send to at once is refused by its shape. */
  readonly bounds: SendBounds;

  constructor(limits: PathLimits) {
    const { accountsPerSharedSendMax, sealedConnectionMessages } = limits;
    this.recipients = new BudgetTable(limits.sealedRecipientsMax);
    this.bounds = {
      ...limits,
      accountsPerSharedSendMax: Math.min(accountsPerSharedSendMax, sealedConnectionMessages),
    };
  }
}
