/**
 * Protocol v1: every frame kind, drawn. docs/protocol.md says the same for
 * people who write clients in other languages; test/vectors/ holds literal bytes.
 *
 * A WebSocket message (binary, subprotocol `interline.v1`) is one or more
 * frames, one after the other. A frame is one msgpack array whose first element
 * is its kind. Frame kinds are never reused; 12, 43 and 47 are reserved, and have never been any frame's.
 *
 *   client → server
 *     [1, token str, resume uint, entries uint, bytes uint]            hello: first frame, alone in its message
 *     [2, id bin16, [[account bin18, version uint, [[device uint, payload bin] …]] …]]   send
 *     [3, sequence uint]                                               ack (cumulative)
 *     [4, [[account bin18, [[device uint, payload bin] …]] …]]         ephemeral (online only, never stored)
 *     [5, nonce uint]                                                  ping
 *     [6, request uint, account bin18]                                 roster query
 *     [7, request uint, method str, body map]                          request to a cold service
 *     [8, id bin16, shared bin, [[account bin18, version uint, [[device uint, block bin] …]] …]]   shared send
 *     [9, id bin16, group bin18, version uint, shared bin, [[account bin18, device uint, block bin] …]]   group send
 *     [10, id bin16, device uint, payload bin]                         own send: to one other device of the own account
 *     [11, id bin16, deliveryToken bin16, account bin18, version uint, [[device uint, payload bin] …]]   sealed send (of an unidentified connection)
 *     [13, id bin16, shared bin, [[account bin18, deliveryToken bin16, version uint, [[device uint, block bin] …]] …]]   sealed shared send (likewise)
 *     [14, group bin18, payload bin]                                   group ephemeral (like an ephemeral, to all members)
 *
 *   server → client
 *     [32, body map]                                                   welcome
 *     [33, sequence u64, sender bin20, id bin16, timeMs u64, payload bin]   deliver
 *     [34, position uint, durability uint]                             receipt (cumulative)
 *     [35, position uint, code uint, retryAfterMs uint, detail map]    refusal of one send
 *     [36, sequence uint, count uint, reason uint]                     gap: entries removed before delivery
 *     [37, sequence uint]                                              live: everything queued has been sent
 *     [38, sender bin20, payload bin]                                  signal (an ephemeral, delivered)
 *     [39, nonce uint, timeMs uint]                                    pong
 *     [40, request uint, account bin18, version uint, [device uint …]] roster
 *     [41, code uint, retryAfterMs uint, message str]                  error; the server then closes
 *     [42, request uint, code uint, retryAfterMs uint, body map]       answer to a request; code 0: done
 *     [44, sequence u64, sender bin20, id bin16, timeMs u64, block bin, shared bin]   shared deliver
 *     [45, sequence u64, sender bin20, id bin16, timeMs u64, group bin18, version u32, block bin, shared bin]   group deliver
 *     [46, sequence u64, sender bin20, id bin16, timeMs u64, payload bin]   own deliver: an own send, delivered
 *     [48, online bin, offline bin]                                    presence: accounts, 18 bytes each, one behind the other
 *     [49, sender bin20, group bin18, payload bin]                     group signal (a group ephemeral, delivered)
 *
 * A shared send says `shared` to every device it lists, and to each a `block` of its own; a group send says it to every
 * device of the group's members but the sending one, with blocks for those that it lists.
 *
 * `position` counts the sends of one connection: its first send has position 1.
 * receipt(n) says that every send up to n that was not refused before it is
 * accepted with the named durability.
 */
export const SUBPROTOCOL = "interline.v1";

export const kinds = {
  hello: 1,
  send: 2,
  ack: 3,
  ephemeral: 4,
  ping: 5,
  rosterQuery: 6,
  request: 7,
  sharedSend: 8,
  groupSend: 9,
  ownSend: 10,
  sealedSend: 11,
  sealedSharedSend: 13,
  groupEphemeral: 14,
  welcome: 32,
  deliver: 33,
  receipt: 34,
  refusal: 35,
  gap: 36,
  live: 37,
  signal: 38,
  pong: 39,
  roster: 40,
  error: 41,
  answer: 42,
  sharedDeliver: 44,
  groupDeliver: 45,
  ownDeliver: 46,
  presence: 48,
  groupSignal: 49,
} as const;

/** Of a frame that brings an entry, whatever its kind: what is not payload, shared part or block. */
export const DELIVERY_HEADER_BYTES_MAX = 128;
/** A whole `request` frame, and the method's name in it. */
export const REQUEST_BYTES_MAX = 256 * 1024;
export const METHOD_BYTES_MAX = 64;
/** Requests of one connection that have no answer. */
export const REQUESTS_UNDER_WAY_MAX = 16;
/** What a signal to a group carries, which is copied to everybody in it. */
export const GROUP_SIGNAL_BYTES_MAX = 4 * 1024;

export const durabilities = { memory: 1, disk: 2, quorum: 3 } as const;
export type Durability = keyof typeof durabilities;

export const gapReasons = { quota: 1, expired: 2, corrupt: 3 } as const;
export type GapReason = keyof typeof gapReasons;

/** The body of `welcome`, keys as on the wire. */
export interface WelcomeBody {
  /** This device's own address, 20 bytes. */
  readonly device: Uint8Array;
  readonly serverTimeMs: number;
  readonly durability: Durability;
  /** Everything up to this sequence counts as acked. */
  readonly position: number;
  /** A repeated send is recognised for at least this long … */
  readonly dedupWindowMs: number;
  /** … unless more than this many later sends were accepted by the node since. */
  readonly dedupWindowCount: number;
  readonly payloadBytesMax: number;
  readonly messageBytesMax: number;
  readonly accountsPerSendMax: number;
  /** Bounds on what is sent to this device and not yet acked, as granted. */
  readonly windowEntries: number;
  readonly windowBytes: number;
  /** The server closes a connection that shows no progress for this long; ping sooner. */
  readonly silenceMs: number;
}

/** One account of a stale send, as listed in a refusal's detail under `rosters`. */
export interface RosterDifference {
  readonly account: Uint8Array;
  readonly version: number;
  /** Device numbers the roster has and the send left out. */
  readonly missing: readonly number[];
  /** Device numbers the send has and the roster does not. */
  readonly surplus: readonly number[];
}
