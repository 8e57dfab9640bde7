/** For tests of dialects: what a dialect tells the workload and writes, recorded, and reads cut anywhere. */
import type { DeviceEvents, Wire } from "../../bench/generator/dialect.js";
import type { ReadMemory, Scanner } from "../../bench/generator/reads.js";

export class Recording implements DeviceEvents, Wire {
  readonly told: unknown[] = [];
  readonly written: { readonly connection: number; readonly text: string }[] = [];
  readonly #memory: ReadMemory;
  readonly #payloadBytes: number;

  constructor(memory: ReadMemory, payloadBytes: number) {
    this.#memory = memory;
    this.#payloadBytes = payloadBytes;
  }

  ready(device: number): void {
    this.told.push(["ready", device]);
  }

  delivered(device: number, at: number): void {
    const payload = this.#memory.bytes.subarray(at, at + this.#payloadBytes);
    this.told.push(["delivered", device, Buffer.from(payload).toString("latin1")]);
  }

  receipted(device: number, position: number, durability: number): void {
    this.told.push(["receipted", device, position, durability]);
  }

  refused(device: number, position: number): void {
    this.told.push(["refused", device, position]);
  }

  broken(device: number, reason: string): void {
    this.told.push(["broken", device, reason]);
  }

  write(connection: number, bytes: Uint8Array): boolean {
    this.written.push({ connection, text: Buffer.from(bytes).toString("latin1") });
    return true;
  }

  /** Everything written to a connection, as one text. */
  writtenTo(connection: number): string {
    return this.written
      .filter((write) => write.connection === connection)
      .map(({ text }) => text)
      .join("");
  }
}

/** Gives a connection these bytes in as many reads as there are parts. */
export function receive(
  scanner: Scanner,
  connection: number,
  ...parts: readonly (string | Uint8Array)[]
): void {
  for (const part of parts) {
    const bytes = Buffer.from(part as string, "latin1");
    scanner.memory.readBuffer.set(bytes);
    scanner.scan(connection, bytes.length);
  }
}
