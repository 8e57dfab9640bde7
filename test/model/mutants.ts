/**
 * Kernels that are wrong on purpose: the sources of assembly/ with one thing changed, compiled in memory. They show
 * what the comparison with the model would catch. A text that is no longer in the sources fails loudly: then the
 * change must be written anew.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import asc from "assemblyscript/asc";

const root = resolve(import.meta.dirname, "../..");

export interface Change {
  /** In assembly/. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** Compiles the kernels with these changes; `use` gets the file, which is gone afterwards. */
export async function withKernel<T>(changes: readonly Change[], use: (wasm: URL) => T): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "interline-kernel-"));
  try {
    const file = join(folder, "changed.wasm");
    writeFileSync(file, await compile(changes));
    return use(pathToFileURL(file));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function compile(changes: readonly Change[]): Promise<Uint8Array> {
  const sources = new Map<string, string>();
  for (const { file, from, to } of changes) {
    const name = `assembly/${file}`;
    const source = sources.get(name) ?? readFileSync(join(root, name), "utf8");
    if (source.split(from).length !== 2) throw new Error(`not exactly once in ${name}: ${from}`);
    sources.set(name, source.replace(from, to));
  }
  let binary: Uint8Array | undefined;
  const options = ["--target", "debug", "--optimizeLevel", "0", "--outFile", "changed.wasm"];
  const { error, stderr } = await asc.main(["assembly/index.ts", ...options], {
    readFile: (name) => sources.get(name) ?? read(name),
    writeFile: (_name, contents) => {
      if (typeof contents !== "string") binary = contents;
    },
    listFiles: () => [],
  });
  if (error !== null || binary === undefined) throw new Error(`does not compile: ${stderr}`);
  return binary;
}

function read(name: string): string | null {
  try {
    return readFileSync(join(root, name), "utf8");
  } catch {
    return null;
  }
}

const NEAR_THE_END = "0xffffff80";

/** A kernel that is right, and whose counters, which never go back, soon begin anew at 0. */
export const lateCounters: readonly Change[] = [
  ...["runStart", "runEnd", "runScanned", "recordStart", "recordScanned", "recordCommitted", "recordEnd"],
  "receiptsSealed",
]
  .map((name) => ({
    file: "journal.ts",
    from: `let ${name}: u32 = 0;`,
    to: `let ${name}: u32 = ${NEAR_THE_END};`,
  }))
  .concat(
    ["receiptLogStart", "receiptLogEnd"].map((name) => ({
      file: "receipt-log.ts",
      from: `let ${name}: u32 = 0;`,
      to: `let ${name}: u32 = ${NEAR_THE_END};`,
    })),
    ["dueStart", "dueEnd"].map((name) => ({
      file: "receipts.ts",
      from: `let ${name}: u32 = 0;`,
      to: `let ${name}: u32 = ${NEAR_THE_END};`,
    })),
  );

/** What each kernel does wrong, and how. */
export const mutants: readonly (readonly [string, readonly Change[]])[] = [
  [
    "looks an envelope id up without the sending device",
    [
      { file: "dedup.ts", from: "if (load<u32>(key) == ordinal && load", to: "if (load" },
      { file: "dedup.ts", from: "x = (x + ordinal) *", to: "x = x *" },
    ],
  ],
  [
    "forgets ids by the wall clock",
    [{ file: "tick.ts", from: "rotateIfDue(monotonicMs);", to: "rotateIfDue(nowMs);" }],
  ],
  ["forgets a generation of ids too early", [{ file: "dedup.ts", from: "  newest ^= 1;\n", to: "" }]],
  [
    "gives the first run after the ring's beginning a wrong sequence",
    [
      {
        file: "gather.ts",
        from: "const first = last - entries + 1;",
        to: "const first = last - entries + (writeAt < tail + 100 && runEnd > 0 ? 2 : 1);",
      },
      { file: "gather.ts", from: "slotAt, touched }", to: "slotAt, tail, touched }" },
    ],
  ],
  [
    "spills entries that are acked",
    [{ file: "journal.ts", from: "for (; first <= floor; first++) {", to: "for (; false; first++) {" }],
  ],
  [
    "credits receipts without comparing the connection",
    [
      {
        file: "receipts.ts",
        from: "if (load<u32>(slot, L.SLOT_CONNECTION) != load<u32>(row, L.LOG_CONNECTION)) continue;",
        to: "",
      },
    ],
  ],
  [
    "makes receipts due before the flush that covers them",
    [
      { file: "receipts.ts", from: "i != logEnd; i++", to: "i != receiptLogEnd; i++" },
      {
        file: "receipts.ts",
        from: "import { receiptLogStart,",
        to: "import { receiptLogEnd, receiptLogStart,",
      },
      { file: "receipts.ts", from: "takeReceiptLog(logEnd);", to: "takeReceiptLog(receiptLogEnd);" },
    ],
  ],
  [
    "tells a receipt twice that rode along",
    [
      {
        file: "receipts.ts",
        from: "    store<u32>(slot, durable, L.SLOT_POSITION_TOLD);\n    ridden++;",
        to: "    ridden++;",
      },
    ],
  ],
  [
    "leaves the receipts of duplicates to a commit that may never come",
    [
      {
        file: "journal.ts",
        from: "const isNeeded = dirtyAckCount > 0 || receiptLogEnd != receiptsSealed;",
        to: "const isNeeded = dirtyAckCount > 0;",
      },
    ],
  ],
  [
    "leaves the sender's other devices out",
    [
      {
        file: "send.ts",
        from: "let ownListed = load<u32>(accountAt(own), L.ACCOUNT_DEVICE_COUNT) <= 1;",
        to: "let ownListed = true;",
      },
    ],
  ],
  [
    "takes a send for an older roster",
    [
      {
        file: "send.ts",
        from: "load<u32>(party, 4) == load<u32>(account, L.ACCOUNT_VERSION) ? ACCEPTED",
        to: "load<u32>(party, 4) <= load<u32>(account, L.ACCOUNT_VERSION) ? ACCEPTED",
      },
    ],
  ],
  [
    "spills what a removed device has not acked",
    [{ file: "accounts.ts", from: "  store<u64>(slot, last, L.SLOT_FLOOR);\n", to: "" }],
  ],
  [
    "gives a new device the sequences of a removed one with its number",
    [
      {
        file: "accounts.ts",
        from: "  sequenceBase = max<u64>(sequenceBase, last);\n",
        to: "",
      },
    ],
  ],
  [
    "frees the slot of a removed device that has entries in the tail",
    [
      {
        file: "accounts.ts",
        from: "if (isSlotIdle(slot)) freeSlot(index);",
        to: "if (true) freeSlot(index);",
      },
    ],
  ],
  [
    "goes on reading what a removed device had sent",
    [
      {
        file: "accounts.ts",
        from: "  store<u32>(slot, 0, L.SLOT_CONNECTION);\n  clearFlag",
        to: "  clearFlag",
      },
    ],
  ],
  [
    "keeps a device under its number that was removed and registered anew",
    [
      {
        file: "accounts.ts",
        from: "return load<u32>(device, 4) == load<u32>(slot, L.SLOT_ORDINAL);",
        to: "return true;",
      },
    ],
  ],
  [
    "takes from anybody what only the node may leave out",
    [{ file: "send.ts", from: "if (isNode(sender)) return ACCEPTED;", to: "return ACCEPTED;" }],
  ],
  [
    "takes what the node leaves out for a stale roster",
    [{ file: "send.ts", from: "if (isNode(sender)) return ACCEPTED;", to: "" }],
  ],
  [
    "gives the payload of a device that is gone to the one after it",
    [
      {
        file: "send.ts",
        from: "if (i != itemCount) memory.copy(items + <usize>itemCount * L.ITEM_BYTES, item, L.ITEM_BYTES);",
        to: "if (i != itemCount) store<u32>(items + <usize>itemCount * L.ITEM_BYTES, load<u32>(item));",
      },
    ],
  ],
  [
    "takes a device that is named twice",
    [{ file: "send.ts", from: "if (seen & (1 << position) || slotAt", to: "if (slotAt" }],
  ],
  [
    "takes an ack beyond what was sent",
    [{ file: "tick.ts", from: "if (sequence > cursor) return", to: "if (sequence > cursor + 1) return" }],
  ],
  [
    "goes on reading a message after its connection has ended",
    [
      {
        file: "tick.ts",
        from: "  at = end;\n  outcome(index, code);\n  disconnect",
        to: "  outcome(index, code);\n  disconnect",
      },
    ],
  ],
  [
    "writes over the oldest record",
    [
      {
        file: "journal.ts",
        from: "if (writeAt < read) return need < read - writeAt;",
        to: "if (writeAt < read) return true;",
      },
    ],
  ],
  [
    "promises room at the ring's beginning that is not free",
    [{ file: "journal.ts", from: "|| need < read - tail;", to: "|| need < tailBytes;" }],
  ],
  [
    "gives up a device that has entries in the tail",
    [{ file: "accounts.ts", from: "&& load<u32>(slot, L.SLOT_RUN_HEAD) == 0", to: "" }],
  ],
  [
    "gives a device that comes back sequences it has had",
    [{ file: "accounts.ts", from: "if (last > sequenceBase) sequenceBase = last;", to: "" }],
  ],
  [
    "takes an account's older record for the newer one",
    [
      {
        file: "accounts.ts",
        from: "if (index != NONE && version < load<u32>(accountAt(index), L.ACCOUNT_VERSION)) return index;",
        to: "",
      },
    ],
  ],
  [
    "gives up the slot of a connection that has just ended",
    [{ file: "tick.ts", from: "  disconnect(slot);\n  callAttention(index);", to: "  disconnect(slot);" }],
  ],
  [
    "takes an unknown device that is named twice for a stale roster",
    [{ file: "send.ts", from: "if (isUnknownListed(party, i, number)) return", to: "if (false) return" }],
  ],
  [
    "counts what the host has sent as its own",
    [{ file: "connections.ts", from: "  store<u64>(slot, <u64>sequence, L.SLOT_LIVE_BASE);\n", to: "" }],
  ],
  [
    "takes bytes that the host has taken over for its own",
    [
      {
        file: "connections.ts",
        from: "L.SLOT_LIVE_BASE);\n  store<u32>(slot, 0, L.SLOT_IN_FLIGHT_BYTES);",
        to: "L.SLOT_LIVE_BASE);",
      },
    ],
  ],
  [
    "takes an ack of what the host has sent for one of its own",
    [{ file: "tick.ts", from: "const from = floor > base ? floor : base;", to: "const from = floor;" }],
  ],
  [
    "sends beyond the device's window",
    [{ file: "gather.ts", from: "inFlight + entries <=", to: "entries <=" }],
  ],
  [
    "goes live while entries wait in the tail",
    [
      {
        file: "connections.ts",
        from: "if (head != 0 && load<u64>(slot, L.SLOT_LAST) > cursor) return 0;",
        to: "",
      },
    ],
  ],
  [
    "keeps the last bytes of an older entry as padding",
    [{ file: "gather.ts", from: "  store<u64>(run + runBytes - 8, 0);\n", to: "" }],
  ],
  [
    "copies a payload without its last bytes",
    [
      {
        file: "memory.ts",
        from: "for (; i < bytes; i++) store<u8>",
        to: "for (; i + 1 < bytes; i++) store<u8>",
      },
    ],
  ],
  [
    "leaves a device out of a group that has a block",
    [
      {
        file: "group-send.ts",
        from: "if (mark == 0) continue;",
        to: "if (mark == 0 || --end == 0) continue;",
      },
    ],
  ],
  [
    "sends a group's envelope back to the device that sent it",
    [{ file: "group-send.ts", from: "if (slotAt(index) == slot) continue;", to: "" }],
  ],
  [
    "lets anybody send to a group",
    [{ file: "group-send.ts", from: "if (!isMember) return L.CODE_GROUP_UNKNOWN;", to: "" }],
  ],
  [
    "lets members send to a group that is held",
    [{ file: "group-send.ts", from: "load<u32>(group, L.GROUP_HELD) != 0 && !isNotice", to: "false" }],
  ],
  [
    "holds a group against the node itself",
    [
      {
        file: "group-send.ts",
        from: "load<u32>(group, L.GROUP_HELD) != 0 && !isNotice",
        to: "load<u32>(group, L.GROUP_HELD) != 0",
      },
    ],
  ],
  [
    "lets anybody signal to a group",
    [{ file: "audience.ts", from: "return isMember ? count : L.AUDIENCE_STRANGER;", to: "return count;" }],
  ],
  [
    "gives a signal back to the device that sent it",
    [{ file: "audience.ts", from: "if (other == index || !flag", to: "if (!flag" }],
  ],
  [
    "looks for the members of a group that is too large for signals",
    [{ file: "audience.ts", from: "if (members > membersMax) return L.AUDIENCE_TOO_LARGE;", to: "" }],
  ],
  [
    "signals to brands that are closed",
    [{ file: "audience.ts", from: " == L.CROSSING_CLOSED && account != own", to: " == 77" }],
  ],
  [
    "signals to devices that are gone",
    [{ file: "audience.ts", from: "|| !flag(slotAt(other), L.FLAG_CONNECTED)", to: "" }],
  ],
  [
    "never opens a group that was held",
    [{ file: "groups.ts", from: "if (group != 0) store<u32>(group, 0, L.GROUP_HELD);", to: "" }],
  ],
  [
    "takes the node itself for a stranger to every group",
    [{ file: "group-send.ts", from: "let isMember = isNotice;", to: "let isMember = false;" }],
  ],
  [
    "takes a group send for an older version of the roster",
    [
      {
        file: "group-send.ts",
        from: "if (groupVersion != load<u32>(group, L.GROUP_VERSION))",
        to: "if (groupVersion > load<u32>(group, L.GROUP_VERSION))",
      },
    ],
  ],
  [
    "takes a member's account for the one that has its place by now",
    [
      {
        file: "groups.ts",
        from: "if (cached != 0 && sameAccount(accountAt(cached - 1) + L.ACCOUNT_ADDRESS, member))",
        to: "if (cached != 0 && load<u32>(accountAt(cached - 1), L.ACCOUNT_FLAGS) != 0)",
      },
    ],
  ],
  [
    "passes over a member's brand that is closed",
    [
      {
        file: "group-send.ts",
        from: "if (state == L.CROSSING_CLOSED) brands = L.CODE_BRANDS_CLOSED;",
        to: "if (state == L.CROSSING_CLOSED) brands = ACCEPTED;",
      },
    ],
  ],
  [
    "drops blocks that are for nobody",
    [{ file: "group-send.ts", from: "if (taken != blockCount) return L.CODE_BLOCK_SURPLUS;", to: "" }],
  ],
  [
    "keeps the marks of a group send's blocks",
    [
      {
        file: "group-send.ts",
        from: "  clearMarks();\n  return",
        to: "  return",
      },
    ],
  ],
  [
    "takes a roster again that it has, and gives up others for it",
    [{ file: "groups.ts", from: "if (version <= load<u32>(known", to: "if (version < load<u32>(known" }],
  ],
  [
    "keeps a group's older roster beside the newer one",
    [{ file: "groups.ts", from: "    unindexGroup(known);\n", to: "" }],
  ],
  [
    "composes a frame from another send's shared part",
    [
      {
        file: "shared.ts",
        from: "const part = partAt(<u32>(word >> 16));",
        to: "const part = partAt(<u32>(word >> 16) & ~1);",
      },
    ],
  ],
  [
    "sends the frame composed last, with a block that was another device's",
    [
      {
        file: "shared.ts",
        from: "const isBare = stored == L.REFERENCE_BYTES && isReference(entry);",
        to: "const isBare = isReference(entry);",
      },
    ],
  ],
  [
    "counts references as what they take in the tail when a window is looked at",
    [
      {
        file: "gather.ts",
        from: "const framesBytes = storedBytes + extra;",
        to: "const framesBytes = storedBytes;",
      },
    ],
  ],
  [
    "leaves the receipt out that rides with composed frames",
    [{ file: "shared.ts", from: "if (receipt == 0) return <u32>frames;", to: "return <u32>frames;" }],
  ],
  [
    "lets the shared part's last bytes be those of an older entry",
    [{ file: "shared.ts", from: "  store<u64>(part + bytes - 8, 0);\n", to: "" }],
  ],
  [
    "reads a reference's length as a frame's when a spill begins in the middle of a run",
    [
      {
        file: "journal.ts",
        from: "    frames += entryBytes(frames);\n    entries--;",
        to: "    frames += frameBytes(frames);\n    entries--;",
      },
    ],
  ],
  [
    "lets a device send to itself alone",
    [
      {
        file: "send.ts",
        from: "position < 0 || slotAt(slotOf(account, position)) == slot",
        to: "position < 0",
      },
    ],
  ],
  [
    "delivers a send to one own device like one that all devices have",
    [
      {
        file: "send.ts",
        from: "accept(slot, false, L.OWN_DELIVER_HEAD, monotonicMs)",
        to: "accept(slot, false, L.DELIVER_HEAD, monotonicMs)",
      },
    ],
  ],
  [
    "takes a send to one own device twice",
    [
      {
        file: "send.ts",
        from: "  const shape = readEntry(L.PAYLOAD_BYTES_MAX);\n  if (shape != ACCEPTED) return shape;\n  const early = judgeAny(slot);\n  if (early != IS_NEW) return early;\n",
        to: "  const shape = readEntry(L.PAYLOAD_BYTES_MAX);\n  if (shape != ACCEPTED) return shape;\n",
      },
    ],
  ],
  [
    "forgets to count the room for a shared part",
    [{ file: "gather.ts", from: "  gatherBytes += partBytes(payloadBytes);\n", to: "" }],
  ],
];
