/** Numbers that exist twice, because two compilers or two layers need them, must agree. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import * as L from "../../assembly/layout.js";
import { limits } from "../../src/rules/limits.js";
import { FRAME_HEADER_BYTES } from "../../src/store/frames.js";
import {
  ACK_BYTES,
  RECORD_HEADER_BYTES,
  RECORD_MAGIC,
  RECORD_VERSION,
  RUN_HEADER_BYTES,
  readRecords,
} from "../../src/store/journal-record.js";
import { codes } from "../../src/wire/codes.js";
import { durabilities, kinds } from "../../src/wire/protocol.js";
import { encodeServerFrame } from "../../src/wire/server-frame-writer.js";
import { decodeServerMessage } from "../../src/wire/server-frames.js";
import { Stage } from "./stage.js";

const layout = Object.entries(L) as [string, number][];

/** PAYLOAD_TOO_LARGE is payloadTooLarge. */
function camelCase(name: string): string {
  return name.toLowerCase().replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
}

function constants(prefix: string): Record<string, number> {
  const found = layout.filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(found.map(([name, value]) => [camelCase(name.slice(prefix.length)), value]));
}

describe("the layout of the kernels", () => {
  it("has the registry's codes", () => {
    const own = constants("CODE_");
    expect(Object.keys(own).length).toBeGreaterThan(5);
    for (const [name, code] of Object.entries(own)) {
      expect(codes[name as keyof typeof codes]?.code, name).toBe(code);
    }
  });

  it("has the engine's limits", () => {
    expect(L.ACCOUNTS_PER_SHARED_SEND_MAX).toBe(limits.accountsPerSharedSendMax);
    expect(L.BLOCK_BYTES_MAX).toBe(limits.blockBytesMax);
    expect(L.GROUP_MEMBERS_MAX).toBe(limits.groupMembersMax);
    expect(L.PAYLOAD_BYTES_MAX).toBe(limits.payloadBytesMax);
    expect(L.ACCOUNTS_PER_SEND_MAX).toBe(limits.accountsPerSendMax);
    expect(L.ACCOUNT_DEVICES_MAX).toBe(limits.devicesPerAccountMax);
    expect(L.ITEMS_MAX).toBe(limits.groupSendDevicesMax);
    // One row and one column of the crossings are for brands that nobody configured, and one for the node itself.
    expect(L.BRANDS_MAX).toBe(limits.brandsMax + 2);
  });

  it("has columns that the limits fit", () => {
    const itemsPerSend = L.ACCOUNTS_PER_SHARED_SEND_MAX * L.ACCOUNT_DEVICES_MAX;
    expect(L.ITEMS_MAX).toBeGreaterThan(itemsPerSend);
    // A window of composed frames, and one frame of any size, go through the scratch region.
    const frameMax = 100 + limits.payloadBytesMax + limits.blockBytesMax;
    expect(L.COMPOSED_BYTES_MAX).toBeGreaterThanOrEqual(limits.windowBytesMax);
    expect(L.COMPOSED_BYTES_MAX + frameMax + L.RECEIPT_BYTES).toBeLessThan(L.SCRATCH_BYTES);
    expect(L.GATHER_BYTES_MAX + 2 * limits.messageBytesMax).toBeLessThan(limits.uncommittedBytesMax);
    expect(L.ACCOUNT_NUMBERS + 2 * L.ACCOUNT_DEVICES_MAX).toBeLessThanOrEqual(L.ACCOUNT_SLOTS);
    expect(L.ACCOUNT_SLOTS + 4 * L.ACCOUNT_DEVICES_MAX).toBeLessThanOrEqual(L.ACCOUNT_BYTES);
    expect(L.SLOT_ADDRESS + 20).toBeLessThanOrEqual(L.SLOT_BYTES);
    expect(L.JOURNAL_RUN_RIDE + L.RECEIPT_BYTES).toBe(L.JOURNAL_RUN_HEADER_BYTES);
    const loadEnd = L.CONTROL_SCRATCH + L.LOAD_DEVICES + 8 * L.ACCOUNT_DEVICES_MAX;
    expect(loadEnd).toBeLessThanOrEqual(L.CONTROL_BYTES / 2);
  });

  it.each([
    "CONTROL_",
    "ACCOUNT_",
    "SLOT_",
    "ITEM_",
    "SEND_",
    "SHARED_",
    "MEMBER_",
    "OUTCOME_",
    "SPAN_",
    "SPILL_",
    "LOG_",
    "RUN_",
    "RECORD_",
  ])("gives no two fields of %s* the same place, and all of them one inside the record", (prefix) => {
    const others = new Set(["bytes", "devicesMax", "resident", "recent", "control"]);
    const { bytes, ...rest } = constants(prefix);
    const fields = Object.entries(rest).filter(([name]) => !others.has(name));
    expect(new Set(fields.map(([, at]) => at)).size).toBe(fields.length);
    for (const [name, at] of fields) expect(at + 4, name).toBeLessThanOrEqual(bytes as number);
  });

  it("has flags that are single bits, each of its own", () => {
    const flags = Object.values(constants("FLAG_"));
    expect(flags.reduce((all, flag) => all | flag, 0)).toBe(2 ** flags.length - 1);
    for (const flag of flags) expect(Math.log2(flag) % 1).toBe(0);
  });
});

describe("the kernels' sources", () => {
  it("have the protocol's kinds", () => {
    const source = readFileSync(new URL("../../assembly/tick.ts", import.meta.url), "utf8");
    const own = [...source.matchAll(/const KIND_(\w+): u32 = (\d+);/g)];
    expect(own.length).toBe(9);
    for (const [, name, value] of own) {
      const kind = kinds[camelCase(name as string) as keyof typeof kinds];
      expect(kind, name).toBe(Number(value));
    }
  });
});

describe("what the kernel lays out", () => {
  const stage = new Stage();
  const sender = stage.connect(stage.account(1, [1]));
  const receiver = stage.connect(stage.account(2, [0x1234]), 0x1234);
  const payload = new Uint8Array([1, 2, 3, 4, 5]);
  const id = stage.newId();
  stage.say(sender, stage.frame(sender, [receiver.account], payload, id));
  const delivered = stage.turn().sends[0]?.bytes as Uint8Array;
  const sequence = stage.pair.kernel.last(receiver.slot);
  stage.say(receiver, { kind: "ack", sequence });
  stage.turn();
  const sealed = stage.pair.seal(1_700_000_000_123, 5);
  const record = sealed?.kernel.records[0] as { number: number; bytes: Uint8Array };

  it("is the deliver frame of the protocol", () => {
    const expected = encodeServerFrame({
      kind: "deliver",
      sequence,
      sender: sender.address,
      id,
      timeMs: 1_700_000_000_000,
      payload,
    });
    expect(Buffer.compare(delivered, expected)).toBe(0);
    expect(L.DELIVER_HEADER_BYTES).toBe(expected.length - payload.length);
    expect(L.DELIVER_HEADER_BYTES).toBe(FRAME_HEADER_BYTES);
  });

  it("is the journal record that the store reads", () => {
    expect(L.JOURNAL_MAGIC).toBe(RECORD_MAGIC);
    expect(L.JOURNAL_VERSION).toBe(RECORD_VERSION);
    expect(L.JOURNAL_HEADER_BYTES).toBe(RECORD_HEADER_BYTES);
    expect(L.JOURNAL_RUN_HEADER_BYTES).toBe(RUN_HEADER_BYTES);
    expect(L.JOURNAL_ACK_BYTES).toBe(ACK_BYTES);
    expect(readRecords(record.bytes.slice())).toEqual([
      {
        number: 2 ** 32 + 1,
        timeMs: 1_700_000_000_123,
        runs: [
          {
            device: receiver.address,
            firstSequence: sequence,
            lastSequence: sequence,
            entryCount: 1,
            frames: new Uint8Array(delivered),
            hasReferences: false,
          },
        ],
        parts: new Map(),
        acks: [{ device: receiver.address, floor: sequence }],
      },
    ]);
  });

  it("is the receipt frame of the protocol", () => {
    stage.pair.committed(sealed as NonNullable<typeof sealed>, 6);
    const receipt = stage.pair.collectReceipts(10, 0, 256)[0]?.bytes as Uint8Array;
    expect(receipt).toHaveLength(L.RECEIPT_BYTES);
    expect([...decodeServerMessage(receipt)]).toEqual([
      { kind: "receipt", position: 1, durability: durabilities.disk },
    ]);
  });
});
