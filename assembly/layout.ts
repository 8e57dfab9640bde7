/**
 * Every number that the kernels and their host (src/kernel) share: record sizes,
 * field offsets, flags, statuses. Plain constants only, because both compilers
 * read this file; where the regions lie is decided in memory.ts.
 *
 *   ┌ ladder, low to high; 64 bytes of canary after each region ───────────────┐
 *   │ control   fixed fields below: what a call takes and gives                │
 *   │ inbox     messages as they came: header, bytes, padding to 8             │
 *   │ brands    number → index (u8 × 65,536), then crossing (u8 × 64 × 64)     │
 *   │ accounts  records; index: open addressing, u32 account + 1               │
 *   │ slots     one record per resident device; a stack of the free ones       │
 *   │ groups    index: open addressing; a ring of rosters (groups.ts)          │
 *   │ columns   items, touched, sends, outcomes, attention, spans, spills,     │
 *   │           blocks, shared parts, needed accounts                          │
 *   │ lists     dirty acks, receipt log (ring), due receipts (ring)            │
 *   │ dedup     two generations of tags and keys; log of keys since the seal   │
 *   │ runs      ring of run descriptors; records: ring of record descriptors;  │
 *   │           ring of the places of shared parts                             │
 *   │ tail      ring of journal records, as they go to disk                    │
 *   │ scratch   frames composed from references, until the next composition    │
 *   └──────────────────────────────────────────────────────────────────────────┘
 *
 * Little endian, except inside frames (msgpack is big endian).
 */

// Control block.
export const CONTROL_BYTES: u32 = 4096;
/** In: sends are refused with diskLow while not 0. */
export const CONTROL_DISK_LOW: u32 = 0;
/** Out of tick: how many accounts must be loaded, or the address of the 18 bytes of the group. */
export const CONTROL_NEEDED: u32 = 4;
export const CONTROL_SENDS: u32 = 8;
export const CONTROL_OUTCOMES: u32 = 12;
export const CONTROL_ATTENTION: u32 = 16;
export const CONTROL_SPANS: u32 = 20;
export const CONTROL_SPILLS: u32 = 24;
/** Out of seal: absolute end of the receipt log it covers. */
export const CONTROL_RECEIPT_LOG_END: u32 = 28;
/** Out of seal: keys in the dedup log it covers. */
export const CONTROL_DEDUP_LOG_KEYS: u32 = 32;
/** Out of tick: whose send asks for them. */
export const CONTROL_NEEDED_BY: u32 = 36;
/** Out of tick: 1 when the accounts that must be loaded are a group's members. */
export const CONTROL_NEEDED_MEMBERS: u32 = 48;
/** Out of audience: how many members the group has. */
export const CONTROL_AUDIENCE_MEMBERS: u32 = 52;
/** Out of spillScan: number of the last record wholly scanned (f64), 0 when none. */
export const CONTROL_SPILL_RECORD: u32 = 40;
/** Counters since start, u64 each. */
export const CONTROL_COUNT_SENDS_ACCEPTED: u32 = 64;
export const CONTROL_COUNT_DUPLICATES: u32 = 72;
export const CONTROL_COUNT_REFUSED: u32 = 80;
export const CONTROL_COUNT_ENTRIES: u32 = 88;
export const CONTROL_COUNT_DELIVERED: u32 = 96;
export const CONTROL_COUNT_ACKS: u32 = 104;
export const CONTROL_COUNT_RECEIPTS_RIDDEN: u32 = 112;
export const CONTROL_COUNT_RECEIPTS_SENT: u32 = 120;
export const CONTROL_COUNT_EVICTED: u32 = 128;
/** In and out of account calls: account address 18, then fields. */
export const CONTROL_SCRATCH: u32 = 1024;

// A message in the inbox.
export const MESSAGE_SLOT: u32 = 0;
export const MESSAGE_CONNECTION: u32 = 4;
export const MESSAGE_BYTES: u32 = 8;
export const MESSAGE_HEADER_BYTES: u32 = 16;

// Account record.
export const ACCOUNT_BYTES: u32 = 128;
export const ACCOUNT_FLAGS: u32 = 0;
export const ACCOUNT_VERSION: u32 = 4;
export const ACCOUNT_ADDRESS: u32 = 8;
export const ACCOUNT_DEVICE_COUNT: u32 = 28;
export const ACCOUNT_NUMBERS: u32 = 32;
export const ACCOUNT_SLOTS: u32 = 64;
export const ACCOUNT_DEVICES_MAX: u32 = 16;
export const ACCOUNT_RESIDENT: u32 = 1;
export const ACCOUNT_RECENT: u32 = 2;

// An account handed in through CONTROL_SCRATCH.
export const LOAD_ADDRESS: u32 = 0;
export const LOAD_VERSION: u32 = 20;
export const LOAD_DEVICE_COUNT: u32 = 24;
/** Of a group, in the place of the count of devices. */
export const LOAD_HELD: u32 = 24;
/** Per device: u32 number, u32 ordinal. */
export const LOAD_DEVICES: u32 = 28;

// Slot record.
export const SLOT_BYTES: u32 = 128;
export const SLOT_FLAGS: u32 = 0;
export const SLOT_ACCOUNT: u32 = 4;
export const SLOT_ORDINAL: u32 = 8;
/** Number of the connection attached now; 0 when none. Never reused in this process. */
export const SLOT_CONNECTION: u32 = 12;
/** The last sequence given to an entry of this device. */
export const SLOT_LAST: u32 = 16;
/** The highest sequence the device has acked. */
export const SLOT_FLOOR: u32 = 24;
/** The last sequence handed to the present connection. */
export const SLOT_CURSOR: u32 = 32;
/** Sends taken from the present connection … */
export const SLOT_POSITION: u32 = 40;
/** … of which this many are decided and durable … */
export const SLOT_POSITION_DURABLE: u32 = 44;
/** … and this many the sender was told of. */
export const SLOT_POSITION_TOLD: u32 = 48;
/** Monotonic ms when the oldest untold receipt became due. */
export const SLOT_DUE_SINCE: u32 = 52;
/** The device's unreleased runs, oldest and newest: index in the run ring + 1; 0 when none. */
export const SLOT_RUN_HEAD: u32 = 56;
export const SLOT_RUN_TAIL: u32 = 60;
/** The block that the group send being judged has for the device: index in the blocks + 1; 0 outside of that. */
export const SLOT_BLOCK: u32 = 124;
/** What this tick's items add to their stored bytes when they become frames; 0 when none is a reference. */
export const SLOT_ITEM_EXTRA: u32 = 92;
/** This tick's items for the device: index + 1. */
export const SLOT_ITEM_HEAD: u32 = 64;
export const SLOT_ITEM_TAIL: u32 = 68;
export const SLOT_ITEM_COUNT: u32 = 72;
export const SLOT_ITEM_BYTES: u32 = 76;
export const SLOT_WINDOW_ENTRIES: u32 = 80;
export const SLOT_WINDOW_BYTES: u32 = 84;
/** Of what the kernel sent itself, in flight; an estimate once acks come in parts. */
export const SLOT_IN_FLIGHT_BYTES: u32 = 88;
/** The kernel has in flight what lies between this (or the floor, when higher) and the cursor. */
export const SLOT_LIVE_BASE: u32 = 96;
export const SLOT_ADDRESS: u32 = 104;

export const FLAG_RESIDENT: u32 = 1;
export const FLAG_CONNECTED: u32 = 2;
/** Caught up: the kernel may send to it in the tick. */
export const FLAG_LIVE: u32 = 4;
export const FLAG_DUE_LISTED: u32 = 8;
export const FLAG_ACK_DIRTY: u32 = 16;
export const FLAG_ATTENTION: u32 = 32;
/** The store may hold entries of this device. */
export const FLAG_QUEUED: u32 = 64;
export const FLAG_SENT_NOW: u32 = 128;

// Columns.
/** Item: one ciphertext, or one reference to a shared part and the block beside it, for one device in this tick. */
export const ITEM_BYTES: u32 = 32;
export const ITEM_SLOT: u32 = 0;
export const ITEM_PAYLOAD: u32 = 4;
export const ITEM_PAYLOAD_BYTES: u32 = 8;
export const ITEM_ID: u32 = 12;
export const ITEM_SENDER: u32 = 16;
export const ITEM_NEXT: u32 = 20;
/** Address of the row of the shared part; 0: the payload is the device's own. */
export const ITEM_SHARED: u32 = 24;
/** The first two bytes of its frame, when that is not of a shared part. */
export const ITEM_HEAD: u32 = 28;

/** Send: bytes to hand to one connection, as they lie, or to be composed from stored entries. */
export const SEND_BYTES: u32 = 20;
export const SEND_SLOT: u32 = 0;
export const SEND_OFFSET: u32 = 4;
export const SEND_LENGTH: u32 = 8;
/** Bytes of the entries at the offset from which the length is composed; 0: they are the frames. */
export const SEND_STORED: u32 = 12;
/** The receipt that goes before composed frames; 0: none. */
export const SEND_RECEIPT: u32 = 16;

/** Block: of a group send, for one device. */
export const BLOCK_BYTES: u32 = 16;
/** Address of the 18 bytes of its account, while the frame is read; then the device's slot. */
export const BLOCK_ACCOUNT: u32 = 0;
export const BLOCK_DEVICE: u32 = 4;
export const BLOCK_AT: u32 = 8;
export const BLOCK_LENGTH: u32 = 12;

/** Shared part of a send of this tick; its addresses are in the inbox. */
export const SHARED_BYTES: u32 = 48;
export const SHARED_NUMBER: u32 = 0;
export const SHARED_PAYLOAD: u32 = 8;
export const SHARED_PAYLOAD_BYTES: u32 = 12;
export const SHARED_ID: u32 = 16;
/** Address of the sender's slot. */
export const SHARED_SENDER: u32 = 20;
/** Address of the 18 bytes of the group; 0: the part of a multi-recipient send. */
export const SHARED_GROUP: u32 = 24;
export const SHARED_VERSION: u32 = 28;
/** Bytes of its frames without the blocks. */
export const SHARED_FRAME_BYTES: u32 = 32;

/** Outcome: a frame that the host must answer. */
export const OUTCOME_BYTES: u32 = 32;
export const OUTCOME_SLOT: u32 = 0;
export const OUTCOME_CODE: u32 = 4;
export const OUTCOME_FRAME: u32 = 8;
export const OUTCOME_FRAME_BYTES: u32 = 12;
export const OUTCOME_POSITION: u32 = 16;
/** Not a refusal: a control frame for the host. */
export const OUTCOME_CONTROL: u32 = 0;

/** Span: contiguous frames of one device in the tail. */
export const SPAN_BYTES: u32 = 24;
export const SPAN_OFFSET: u32 = 0;
export const SPAN_LENGTH: u32 = 4;
export const SPAN_ENTRIES: u32 = 8;
export const SPAN_LAST: u32 = 16;

/** Spill: a run (or its unacked rest) that must move to its device's queue. */
export const SPILL_BYTES: u32 = 40;
export const SPILL_SLOT: u32 = 0;
export const SPILL_OFFSET: u32 = 4;
export const SPILL_LENGTH: u32 = 8;
export const SPILL_ENTRIES: u32 = 12;
export const SPILL_FIRST: u32 = 16;
export const SPILL_LAST: u32 = 24;
export const SPILL_SHARED: u32 = 32;

/** Receipt log: who sent what up to where, until the commit that covers it. */
export const LOG_BYTES: u32 = 16;
export const LOG_SLOT: u32 = 0;
export const LOG_CONNECTION: u32 = 4;
export const LOG_POSITION: u32 = 8;

// Run descriptor; the run's bytes are in the tail.
export const RUN_BYTES: u32 = 32;
export const RUN_FRAMES: u32 = 0;
export const RUN_FRAMES_BYTES: u32 = 4;
export const RUN_ENTRIES: u32 = 8;
export const RUN_SLOT: u32 = 12;
export const RUN_FIRST: u32 = 16;
export const RUN_NEXT: u32 = 24;
/** Not 0 when entries of the run are references. */
export const RUN_SHARED: u32 = 28;

// Record descriptor; the record's bytes are in the tail.
export const RECORD_BYTES: u32 = 48;
export const RECORD_OFFSET: u32 = 0;
export const RECORD_LENGTH: u32 = 4;
export const RECORD_RUN_END: u32 = 8;
export const RECORD_SEALED_AT: u32 = 12;
export const RECORD_NUMBER: u32 = 16;

// Group: a record in the ring of rosters, behind it its members (groups.ts draws both).
export const GROUP_HEADER_BYTES: u32 = 40;
export const GROUP_RECORD_BYTES: u32 = 0;
export const GROUP_VERSION: u32 = 4;
export const GROUP_MEMBERS: u32 = 8;
export const GROUP_RESIDENT: u32 = 12;
export const GROUP_ADDRESS: u32 = 16;
/** Not 0 while only the node itself may send to the group. */
export const GROUP_HELD: u32 = 36;
export const MEMBER_BYTES: u32 = 24;
export const MEMBER_ADDRESS: u32 = 0;
/** Where its account was found last: index + 1, verified whenever it is used; 0 when never. */
export const MEMBER_ACCOUNT: u32 = 20;

// A journal record, its runs and its shared parts, as they go to disk (src/store/journal-record.ts draws the same).
export const JOURNAL_MAGIC: u32 = 0x314a4c49;
export const JOURNAL_VERSION: u32 = 1;
export const JOURNAL_HEADER_BYTES: u32 = 64;
export const JOURNAL_RUN_HEADER_BYTES: u32 = 64;
/** Room for a receipt frame right before the run's frames, so that it rides in the same send. */
export const JOURNAL_RUN_RIDE: u32 = 56;
export const JOURNAL_ACK_BYTES: u32 = 32;
/** Array header, kind, sequence, sender, id, time, payload header: see gather.ts. */
export const DELIVER_HEADER_BYTES: u32 = 65;
/** Array header and kind, of both kinds of frames with that shape. */
export const DELIVER_HEAD: u32 = 0x2196;
export const OWN_DELIVER_HEAD: u32 = 0x2e96;
export const RECEIPT_BYTES: u32 = 8;
/** A reference in a run, without its block; begins with a byte that begins nothing in msgpack. */
export const REFERENCE_BYTES: u32 = 24;
export const REFERENCE_MARK: u32 = 0xc1;
/** Of a shared part in a record, before the middle of its frames. */
export const PART_HEADER_BYTES: u32 = 32;
/** The third word of a run, of one with references, and of a shared part. */
export const PIECE_PLAIN: u32 = 0;
export const PIECE_REFERENCES: u32 = 1;
export const PIECE_PART: u32 = 2;
/** What stands between sequence and block: sender, id, time; in a group's also group and version. */
export const MIDDLE_BYTES: u32 = 49;
export const MIDDLE_BYTES_GROUP: u32 = 74;

// Statuses of tick.
/** The inbox is empty and the columns are complete. */
export const STATUS_DONE: u32 = 0;
/** The accounts in the column of needed ones must be loaded; then call tick again. */
export const STATUS_ACCOUNTS: u32 = 1;
/** A column is full: take what it holds, then call tick again. */
export const STATUS_AGAIN: u32 = 2;
/** The group at CONTROL_NEEDED must be loaded; then call tick again. */
export const STATUS_GROUP: u32 = 3;

// Answers of audience that are no count of slots.
/** The group must be loaded first. */
export const AUDIENCE_UNKNOWN: u32 = 0xffffffff;
export const AUDIENCE_TOO_LARGE: u32 = 0xfffffffe;
/** The asking device is none of a member. */
export const AUDIENCE_STRANGER: u32 = 0xfffffffd;

// Answers of the registry (src/wire/codes.ts holds the same numbers; a test compares).
export const CODE_BAD_FRAME: u32 = 101;
export const CODE_PAYLOAD_TOO_LARGE: u32 = 103;
export const CODE_TOO_MANY_RECIPIENTS: u32 = 104;
export const CODE_ROSTER_STALE: u32 = 301;
export const CODE_BRANDS_CLOSED: u32 = 302;
export const CODE_REPEATED_RECIPIENT: u32 = 303;
export const CODE_GROUP_UNKNOWN: u32 = 310;
export const CODE_GROUP_STALE: u32 = 311;
export const CODE_BLOCK_SURPLUS: u32 = 312;
export const CODE_OVERLOADED: u32 = 401;
export const CODE_DISK_LOW: u32 = 402;
export const CODE_BRAND_QUOTA: u32 = 403;
export const CODE_POSITION_AHEAD: u32 = 602;
export const CODE_DEVICE_NOT_OWN: u32 = 640;

// Crossing between two brands.
export const CROSSING_CLOSED: u32 = 0;
export const CROSSING_OPEN: u32 = 1;
/** Open, but the recipient's brand has as much queued as it may. */
export const CROSSING_FULL: u32 = 2;
export const BRANDS_MAX: u32 = 64;

// Protocol limits the parser holds (src/rules/limits.ts has the same; a test compares).
export const PAYLOAD_BYTES_MAX: u32 = 98304;
export const ACCOUNTS_PER_SEND_MAX: u32 = 16;
/** Of a multi-recipient send. */
export const ACCOUNTS_PER_SHARED_SEND_MAX: u32 = 256;
export const BLOCK_BYTES_MAX: u32 = 4096;
export const GROUP_MEMBERS_MAX: u32 = 10000;

// Fixed sizes of columns.
export const ITEMS_MAX: u32 = 65536;
export const OUTCOMES_MAX: u32 = 4096;
export const SPANS_MAX: u32 = 64;
export const SPILLS_MAX: u32 = 4096;
/** As many as an array of a frame may have. */
export const BLOCKS_MAX: u32 = 65535;
export const PARTS_PER_BATCH_MAX: u32 = 4096;
export const NEEDED_MAX: u32 = 4096;
/** How often one send is read again for accounts that are not resident, before it is refused. */
export const ASKS_MAX: u32 = 8;
/**
 * Members of groups that the sends of one connection, as they stand in a row in the inbox, have looked at; beyond it they are
 * refused as overloaded. At 20 ns each (measured, groups of 10,000) that is 10 ms of a turn; a full group's are looked at in 50 sends.
 */
export const MEMBERS_LOOKED_MAX: u32 = 500000;
/** Frames composed at a time: the largest window, one frame beyond it, and a receipt before them. */
export const SCRATCH_BYTES: u32 = 1310720;
export const COMPOSED_BYTES_MAX: u32 = 1048576;
/** Bytes one gather may lay out. */
export const GATHER_BYTES_MAX: u32 = 8388608;
