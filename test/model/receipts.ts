/**
 * The model of receipts. A send that was taken is expected to be receipted once the commit that covers it is flushed:
 * then the sender's durable position rises, and it is told in the next run that goes to it or when it has waited.
 */
import type { ModelDevice } from "./residents.js";
import { receiptFrame } from "./tail.js";

const ROWS_MAX = 262_143;

interface Row {
  readonly device: ModelDevice;
  readonly connection: number;
  readonly position: number;
}

export class Receipts {
  ridden = 0;
  sent = 0;
  /** Not settled yet, oldest first. */
  private rows: Row[] = [];
  private settledEnd = 0;
  sealedEnd = 0;
  private senders: ModelDevice[] = [];
  /** Devices that may have something to be told. */
  private listed: ModelDevice[] = [];

  private get end(): number {
    return this.settledEnd + this.rows.length;
  }

  get hasUnsealed(): boolean {
    return this.end > this.sealedEnd;
  }

  get dueCount(): number {
    return this.listed.length;
  }

  hasRoomFor(device: ModelDevice): boolean {
    return device.sentInBatch || this.rows.length + this.senders.length < ROWS_MAX;
  }

  expect(device: ModelDevice): void {
    if (!device.sentInBatch) this.senders.push(device);
    device.sentInBatch = true;
  }

  /** One row for each connection that is still there. */
  endBatch(): void {
    for (const device of this.senders) {
      device.sentInBatch = false;
      const { connection, position } = device;
      if (connection !== 0) this.rows.push({ device, connection, position });
    }
    this.senders = [];
  }

  seal(): void {
    this.sealedEnd = this.end;
  }

  settle(end: number, monotonicMs: number): void {
    for (const { device, connection, position } of this.rows.splice(0, end - this.settledEnd)) {
      if (device.connection !== connection) continue;
      if (device.positionDurable === device.positionTold) device.dueSince = monotonicMs;
      device.positionDurable = position;
      if (!device.isReceiptListed) this.listed.push(device);
      device.isReceiptListed = true;
    }
    this.settledEnd = end;
  }

  /** The receipt that goes right before the device's next frames, if it has one due. */
  ride(device: ModelDevice): Uint8Array | undefined {
    if (device.positionDurable === device.positionTold) return undefined;
    device.positionTold = device.positionDurable;
    this.ridden++;
    return receiptFrame(device.positionTold);
  }

  /** Looks at each listed device once, until `max` are told. */
  collect(monotonicMs: number, holdMs: number, max: number): { slot: number; bytes: Uint8Array }[] {
    const sends: { slot: number; bytes: Uint8Array }[] = [];
    for (let looks = this.listed.length; looks > 0 && sends.length < max; looks--) {
      const device = this.listed.shift() as ModelDevice;
      const isUntold = device.connection !== 0 && device.positionDurable !== device.positionTold;
      if (isUntold && monotonicMs - device.dueSince < holdMs) {
        this.listed.push(device);
        continue;
      }
      device.isReceiptListed = false;
      if (!isUntold) continue;
      device.positionTold = device.positionDurable;
      sends.push({ slot: device.slot, bytes: receiptFrame(device.positionTold) });
    }
    this.sent += sends.length;
    return sends;
  }
}
