/**
 * The turn in JavaScript, tuned: the opponent that counts. Typed arrays throughout, no object, closure or view made
 * per send, the rules in the kernel's order (judgeSend in assembly/tick.ts). Beside it stand a reader
 * (turn-frame-reader.ts), a table of accounts (turn-accounts.ts), the table of ids that the dedup benchmark has
 * (dedup-table.ts), and the layout (turn-layout.ts).
 */
import { assert } from "../../src/base/assert.js";
import type { ResidentAccount } from "../../src/kernel/kernel.js";
import { limits } from "../../src/rules/limits.js";
import { KEY_WORDS } from "./dedup-contestant.js";
import { OpenAddressing } from "./dedup-table.js";
import { AccountTable } from "./turn-accounts.js";
import {
  type Message,
  refusalCodes,
  type TurnContestant,
  type TurnResult,
  type TurnSizes,
} from "./turn-contestant.js";
import { FrameReader } from "./turn-frame-reader.js";
import { ITEM_DEVICE, ITEM_PAYLOAD, ITEM_PAYLOAD_BYTES, ITEM_WORDS, Layout } from "./turn-layout.js";

const ACCEPTED = 0;
const REPEATED = -1;
const NEVER_MS = 1e15;

/** Party: the address's offset, version, first item, end of the items, account. */
const PARTY_WORDS = 8;
const VERSION = 1;
const FIRST_ITEM = 2;
const END_ITEM = 3;
const ACCOUNT = 4;

/** Message: sender, offset, end. */
const MESSAGE_WORDS = 4;

export class TunedTurn implements TurnContestant {
  readonly system: string;
  readonly name: string;
  readonly memory = "buffers";
  readonly #looksAhead: boolean;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #reader: FrameReader;
  readonly #accounts: AccountTable;
  readonly #ids: OpenAddressing;
  readonly #layout: Layout;
  readonly #key = new Uint32Array(KEY_WORDS);
  readonly #parties = new Float64Array(limits.accountsPerSendMax * PARTY_WORDS);
  readonly #messages: Int32Array;
  #messageCount = 0;
  readonly #ordinals: Uint32Array;
  /** The account of each device. */
  readonly #accountOf: Int32Array;
  #accountCount = 0;
  #deviceCount = 0;
  #partyCount = 0;
  #itemEnd = 0;
  #idAt = 0;
  #accepted = 0;
  #repeats = 0;
  #refusals: { device: number; code: number }[] = [];

  /** Looking ahead, the accounts of a send are read all at once before each is looked for. */
  constructor(sizes: TurnSizes, looksAhead: boolean) {
    this.system = looksAhead ? "js-tuned-ahead" : "js-tuned";
    this.name = looksAhead ? "JavaScript, tuned, looking ahead" : "JavaScript, tuned";
    this.#looksAhead = looksAhead;
    const memory = new ArrayBuffer(sizes.inboxBytes + sizes.layoutBytes);
    this.#bytes = new Uint8Array(memory);
    this.#view = new DataView(memory);
    this.#reader = new FrameReader(this.#bytes, this.#view);
    this.#accounts = new AccountTable(sizes.accounts, sizes.devices);
    this.#ids = new OpenAddressing({ generationKeys: sizes.dedupKeys, generationMs: NEVER_MS }, false);
    this.#layout = new Layout(this.#bytes, this.#view, sizes);
    this.#messages = new Int32Array(Math.ceil(sizes.inboxBytes / 16) * MESSAGE_WORDS);
    this.#ordinals = new Uint32Array(sizes.devices);
    this.#accountOf = new Int32Array(sizes.devices);
  }

  load(account: ResidentAccount): void {
    const { address, devices } = account;
    this.#accounts.add(account);
    for (const { number, ordinal } of devices) {
      const device = this.#deviceCount++;
      this.#ordinals[device] = ordinal;
      this.#accountOf[device] = this.#accountCount;
      this.#layout.addDevice(device, Uint8Array.of(...address, number >> 8, number & 0xff));
    }
    this.#accountCount++;
  }

  take(messages: readonly Message[]): void {
    let to = 0;
    this.#messageCount = 0;
    for (const { sender, bytes } of messages) {
      this.#messages.set([sender, to, to + bytes.length], this.#messageCount++ * MESSAGE_WORDS);
      this.#bytes.set(bytes, to);
      to += bytes.length;
    }
    this.#layout.clear();
    this.#accepted = 0;
    this.#repeats = 0;
    this.#refusals = [];
  }

  turn(nowMs: number): void {
    const messages = this.#messages;
    this.#ids.rotateIfDue(nowMs);
    for (let i = 0; i < this.#messageCount; i++) {
      const message = i * MESSAGE_WORDS;
      const sender = messages[message]!;
      this.#reader.begin(messages[message + 1]!, messages[message + 2]!);
      const code = this.#judge(sender, nowMs);
      if (code === ACCEPTED) this.#accepted++;
      else if (code === REPEATED) this.#repeats++;
      else this.#refusals.push({ device: sender, code });
    }
    this.#layout.gather(nowMs);
  }

  result(): TurnResult {
    return {
      sends: this.#layout.sends(),
      refusals: this.#refusals,
      accepted: this.#accepted,
      repeats: this.#repeats,
    };
  }

  /** The rules of a send, in order of precedence; nothing takes effect unless all hold. */
  #judge(sender: number, nowMs: number): number {
    const shape = this.#readParties();
    if (shape !== ACCEPTED) return shape;
    const key = this.#key;
    const view = this.#view;
    const idAt = this.#idAt;
    key[0] = this.#ordinals[sender]!;
    key[1] = view.getUint32(idAt, true);
    key[2] = view.getUint32(idAt + 4, true);
    key[3] = view.getUint32(idAt + 8, true);
    key[4] = view.getUint32(idAt + 12, true);
    if (this.#ids.isDuplicate(key, 0)) return REPEATED;
    const rosters = this.#judgeRosters(sender);
    if (rosters !== ACCEPTED) return rosters;
    this.#ids.remember(key, 0, nowMs);
    for (const end = this.#itemEnd; this.#layout.itemCount < end; ) this.#layout.addItem(sender, idAt);
    return ACCEPTED;
  }

  #readParties(): number {
    const reader = this.#reader;
    if (reader.array() !== 3 || reader.uint() !== 2 || reader.bin() !== 16 || reader.failed) {
      return refusalCodes.badFrame;
    }
    this.#idAt = reader.binAt;
    const count = reader.array();
    this.#partyCount = count;
    this.#itemEnd = this.#layout.itemCount;
    if (reader.failed || count === 0) return refusalCodes.badFrame;
    if (count > limits.accountsPerSendMax) return refusalCodes.tooManyRecipients;
    for (let i = 0; i < count; i++) {
      const code = this.#readParty(i * PARTY_WORDS);
      if (code !== ACCEPTED) return code;
    }
    return ACCEPTED;
  }

  #readParty(party: number): number {
    const reader = this.#reader;
    const parties = this.#parties;
    if (reader.array() !== 3 || reader.bin() !== 18 || reader.failed) return refusalCodes.badFrame;
    parties[party] = reader.binAt;
    const version = reader.uint();
    parties[party + VERSION] = version;
    const devices = reader.array();
    if (reader.failed || version > 0xffff_ffff) return refusalCodes.badFrame;
    if (devices > limits.devicesPerAccountMax) return refusalCodes.tooManyRecipients;
    parties[party + FIRST_ITEM] = this.#itemEnd;
    const { items } = this.#layout;
    for (let i = 0; i < devices; i++) {
      const fields = reader.array();
      const number = reader.uint();
      const bytes = reader.bin();
      if (reader.failed || fields !== 2 || number === 0 || number > 0xffff) return refusalCodes.badFrame;
      if (bytes > limits.payloadBytesMax) return refusalCodes.payloadTooLarge;
      const item = this.#itemEnd++ * ITEM_WORDS;
      items[item + ITEM_DEVICE] = number;
      items[item + ITEM_PAYLOAD] = reader.binAt;
      items[item + ITEM_PAYLOAD_BYTES] = bytes;
    }
    parties[party + END_ITEM] = this.#itemEnd;
    return ACCEPTED;
  }

  /** Every listed account is covered exactly, and the sender's own other devices are not left out. */
  #judgeRosters(sender: number): number {
    const parties = this.#parties;
    const own = this.#accountOf[sender]!;
    let isOwnListed = this.#accounts.deviceCount(own) <= 1;
    let code = ACCEPTED;
    if (this.#looksAhead) this.#accounts.lookAhead(this.#view, parties, PARTY_WORDS, this.#partyCount);
    for (let i = 0; i < this.#partyCount; i++) {
      const party = i * PARTY_WORDS;
      const account = this.#accounts.find(this.#view, parties[party]!);
      assert(account >= 0, "the account is resident");
      for (let j = 0; j < party; j += PARTY_WORDS) {
        if (parties[j + ACCOUNT] === account) return refusalCodes.repeatedRecipient;
      }
      parties[party + ACCOUNT] = account;
      if (account === own) isOwnListed = true;
      const coverage = this.#judgeCoverage(party, account, sender);
      if (coverage === refusalCodes.repeatedRecipient) return coverage;
      if (coverage !== ACCEPTED) code = coverage;
    }
    return isOwnListed ? code : refusalCodes.rosterStale;
  }

  /** Puts the party's devices into its items, where their numbers stood. */
  #judgeCoverage(party: number, account: number, sender: number): number {
    const accounts = this.#accounts;
    const { items } = this.#layout;
    const first = accounts.firstDevice(account);
    const end = this.#parties[party + END_ITEM]!;
    let code: number =
      this.#parties[party + VERSION] === accounts.version(account) ? ACCEPTED : refusalCodes.rosterStale;
    let seen = 0;
    let seenCount = 0;
    for (let i = this.#parties[party + FIRST_ITEM]!; i < end; i++) {
      const item = i * ITEM_WORDS + ITEM_DEVICE;
      const number = items[item]!;
      const position = accounts.devicePosition(account, number);
      if (position < 0) {
        if (this.#isUnknownListed(party, i, number)) return refusalCodes.repeatedRecipient;
        items[item] = ~number;
        code = refusalCodes.rosterStale;
        continue;
      }
      if (seen & (1 << position) || first + position === sender) return refusalCodes.repeatedRecipient;
      seen |= 1 << position;
      seenCount++;
      items[item] = first + position;
    }
    const due = accounts.deviceCount(account) - (account === this.#accountOf[sender] ? 1 : 0);
    return seenCount === due ? code : refusalCodes.rosterStale;
  }

  /** Whether the party's items before `before` name this number, which its roster has not. */
  #isUnknownListed(party: number, before: number, number: number): boolean {
    for (let i = this.#parties[party + FIRST_ITEM]!; i < before; i++) {
      if (this.#layout.items[i * ITEM_WORDS + ITEM_DEVICE] === ~number) return true;
    }
    return false;
  }
}
