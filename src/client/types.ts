/** What an application gives to and gets from the client. */
import type { DeviceAddress, EnvelopeId } from "../base/address.js";
import type { Coverage } from "../wire/contacts.js";
import type { GroupEvent, Member } from "../wire/groups.js";
import type { KeyKind, KeyStock, PublicKey, SuiteName } from "../wire/keys.js";
import type { MsgpackMap } from "../wire/msgpack-value.js";
import type { NoticeBody } from "../wire/notices.js";
import type { Durability, GapReason, RosterDifference, WelcomeBody } from "../wire/protocol.js";
import type { InterlineError } from "./errors.js";
import type { Transport } from "./transport.js";

export type { GroupEvent, Member, Role } from "../wire/groups.js";

/**
 * Where a client stands:
 *
 *   idle        connect() has not been called
 *   connecting  fetching a token, opening the socket, or waiting for the server's welcome
 *   catchingUp  signed in; what was queued is coming in
 *   live        signed in; everything that was queued has come
 *   waiting     the connection was lost or refused; the next attempt comes after a back-off
 *   closed      for good: close() was called, or the server gave a code with which
 *               trying again cannot help (`never`, among them `replaced`; see `closed`)
 */
export type ClientState = "idle" | "connecting" | "catchingUp" | "live" | "waiting" | "closed";

export interface ClientOptions {
  /** `ws://…` or `wss://…`. */
  readonly url: string;
  /**
   * Called before every connection attempt; give a token that is valid now.
   * After `tokenInvalid` or `tokenExpired` it is called once more at once, then
   * with growing pauses.
   */
  readonly token: () => string | Promise<string>;
  /** What an earlier client of this device had taken: see Client.position and Client.recentIds. */
  readonly resume?: { readonly position: number; readonly recentIds?: readonly string[] };
  /**
   * `auto` acks an envelope when every listener's promise has resolved; `manual` leaves it to envelope.ack(). With `none`
   * this client takes nothing: no envelope, gap or notice is handed over, and all of them come to the device's next client.
   */
  readonly acks?: "auto" | "manual" | "none";
  /** An ack waits this long for a send to ride with (10 ms); it leaves at once when a quarter of the window waits. */
  readonly ackHoldMs?: number;
  /** Wanted bounds on what is sent to us and not yet acked; the server's defaults without. */
  readonly windowEntries?: number;
  readonly windowBytes?: number;
  /** Sends without a receipt, sent or not: beyond either bound send() rejects with `queueFull` (10,000 and 16 MiB). */
  readonly queueCountMax?: number;
  readonly queueBytesMax?: number;
  /** How often a send is tried that is refused with the advice `now` or `later` (5). Reconnects do not count. */
  readonly attemptsMax?: number;
  /** Ids of taken envelopes remembered to recognise a repeat under a new sequence (4,096). */
  readonly recentIdsMax?: number;
  /** Back-off between attempts: a random time up to min(capMs, baseMs × 2^n), after the server's delay if it gave one. */
  readonly backOff?: { readonly baseMs?: number; readonly capMs?: number };
  /** An attempt whose socket is not open within this time is given up (10 s). */
  readonly connectTimeoutMs?: number;
  /** An open socket is given up that is not welcomed within this time (25 s): a node lets in one by one those who come at once. */
  readonly welcomeTimeoutMs?: number;
  /** The platform's WebSocket without. */
  readonly transport?: Transport;
}

/** The ciphertext for one device. */
export interface Payload {
  readonly device: number;
  readonly payload: Uint8Array;
}

/** An account as 18 bytes, or as text: `brand/account-id-in-hex`. */
export type AccountLike = Uint8Array | string;

export interface SendRequest {
  /**
   * Every account the envelope is for, with one payload for each device that the
   * named version of its roster lists. The sender's own account belongs to it
   * when it has other devices: all but the sending one.
   */
  readonly to: readonly {
    readonly account: AccountLike;
    readonly version: number;
    readonly devices: readonly Payload[];
  }[];
  /** 16 bytes; random without. The same id again within the server's dedup window is not delivered twice. */
  readonly id?: Uint8Array;
  readonly attemptsMax?: number;
  /**
   * Called when a roster has changed, with what is missing and surplus: gives the whole `to` as it is to be now, and the
   * client sends again, under the same id and behind what was sent meanwhile. Without it the send rejects with `rosterStale`.
   */
  readonly renew?: (stale: readonly RosterDifference[]) => SendRequest["to"] | Promise<SendRequest["to"]>;
}

/** What one device gets of its own beside a shared part. */
export interface Block {
  readonly device: number;
  readonly block: Uint8Array;
}

export interface SharedSendRequest {
  /** What every device gets. */
  readonly shared: Uint8Array;
  /** As for a send, with a block (it may be empty) in the place of each payload. */
  readonly to: readonly {
    readonly account: AccountLike;
    readonly version: number;
    readonly devices: readonly Block[];
  }[];
  readonly id?: Uint8Array;
  readonly attemptsMax?: number;
  /** As for a send. */
  readonly renew?: (
    stale: readonly RosterDifference[],
  ) => SharedSendRequest["to"] | Promise<SharedSendRequest["to"]>;
}

export interface GroupSendRequest {
  /** The group's address, like an account's. */
  readonly group: AccountLike;
  /** Of the group's roster that `shared` was encrypted for. */
  readonly version: number;
  /** What every device of every member gets, except this one. */
  readonly shared: Uint8Array;
  /** What some of them get of their own beside it. */
  readonly blocks?: readonly (Block & { readonly account: AccountLike })[];
  readonly id?: Uint8Array;
  readonly attemptsMax?: number;
  /**
   * Called when the group's roster has changed, with the roster as it is now, which the client has asked for: encrypts for
   * it, and the client sends again, under the same id and behind what was sent meanwhile. Without it the send rejects with
   * `groupStale`.
   */
  readonly renew?: (roster: GroupRoster) => RenewedGroupSend | Promise<RenewedGroupSend>;
}

/** What of a group send depends on the roster. */
export type RenewedGroupSend = Pick<GroupSendRequest, "shared" | "blocks">;
export interface OwnSendRequest extends Payload {
  readonly id?: Uint8Array;
  readonly attemptsMax?: number;
}

export interface SealedSendRequest {
  readonly account: AccountLike;
  /** What one of the account's devices has shared with the sender, 16 bytes. */
  readonly deliveryToken: Uint8Array;
  /** Of the account's roster, as a refusal told it; 0 while it is not known. */
  readonly version: number;
  /** One payload for each device that this version lists. */
  readonly devices: readonly Payload[];
  /**
   * 16 bytes; random without, and never to be told to anybody. The same id again within the server's dedup window is not
   * delivered twice. Devices see another id, which is made of this one: put one of your own into the ciphertext.
   */
  readonly id?: Uint8Array;
  readonly attemptsMax?: number;
}

export interface SealedSharedSendRequest {
  /** What every device gets. */
  readonly shared: Uint8Array;
  /**
   * Every account, with what opens it and a block (it may be empty) for each device that the named version of its roster
   * lists. At most 256 accounts; a larger group is several envelopes, each with an id of its own.
   */
  readonly to: readonly {
    readonly account: AccountLike;
    readonly deliveryToken: Uint8Array;
    readonly version: number;
    readonly devices: readonly Block[];
  }[];
  /** As for a sealed send. Devices of all accounts see the same other id. */
  readonly id?: Uint8Array;
  readonly attemptsMax?: number;
  /** As for a send. */
  readonly renew?: (
    stale: readonly RosterDifference[],
  ) => SealedSharedSendRequest["to"] | Promise<SealedSharedSendRequest["to"]>;
}

/** Whose keys somebody who is not named asks for. */
export interface SealedKeyClaim<Suite extends SuiteName> {
  readonly device: DeviceLike;
  readonly suite: Suite;
  /** Of the device's account, 16 bytes. */
  readonly deliveryToken: Uint8Array;
}

/** Of createSealedClient; `token` gives tokens that name nobody. */
export type SealedClientOptions = Pick<
  ClientOptions,
  | "url"
  | "token"
  | "queueCountMax"
  | "queueBytesMax"
  | "attemptsMax"
  | "backOff"
  | "connectTimeoutMs"
  | "welcomeTimeoutMs"
  | "transport"
>;

export interface DeliveryTokenState {
  /** Whether the account takes sealed envelopes. */
  readonly isSet: boolean;
  /** For how long the token before the last rotation is still good; 0: it is not. */
  readonly previousForMs: number;
}

export interface SignalRequest {
  readonly to: readonly { readonly account: AccountLike; readonly devices: readonly Payload[] }[];
}

/** To the devices of a group's members, as far as they are connected; at most 4 KiB. */
export interface GroupSignalRequest {
  readonly group: AccountLike;
  readonly payload: Uint8Array;
}

export interface Receipt {
  readonly id: EnvelopeId;
  /** How safe the envelope is now; `unknown` is a degree this client has no name for. */
  readonly durability: Durability | "unknown";
}

export interface Roster {
  /** 18 bytes. */
  readonly account: Uint8Array;
  /** 0 when nobody has ever signed in. */
  readonly version: number;
  readonly devices: readonly number[];
}

/** Something that one of the node's services is asked to do. */
export interface ServiceRequest {
  /** `noun.verb`; docs/protocol.md lists them. */
  readonly method: string;
  readonly body?: MsgpackMap;
  /**
   * Asked again on the next connection when this one is lost before the answer. Without it such a request rejects
   * with `connectionLost`, and whether it was done is not known.
   */
  readonly isRepeatable?: boolean;
}

/** How the typed wrappers ask: `read` takes from the answer what they promise. */
export type Ask = <T>(request: ServiceRequest, read: (body: MsgpackMap) => T) => Promise<T>;

/** The devices of the client's own account. */
export interface OwnDevices {
  readonly version: number;
  readonly devices: readonly number[];
}

/** A device as 20 bytes, or as text: `brand/account-id-in-hex/device`. */
export type DeviceLike = Uint8Array | string;

/** Keys by kind (wire/keys.ts); at most 100 of each one-time kind, by rising ids, and one of the others. */
export type KeyUpload = { readonly [Kind in KeyKind]?: readonly PublicKey[] };

export type KeyStocks = { readonly [Kind in KeyKind]: KeyStock };

export interface KeyDigests {
  /** This device, 20 bytes. */
  readonly device: DeviceAddress;
  /** SHA-256 over the keys that are stored; docs/protocol.md says over which bytes. */
  readonly kinds: { readonly [Kind in KeyKind]: KeyStock & { readonly digest: Uint8Array } };
}

/** What a claim brings, by suite. */
export interface KeyBundles {
  readonly signal: SignalBundle;
  readonly mls: MlsBundle;
}

export interface SignalBundle {
  readonly identity: PublicKey;
  readonly signedPreKey: PublicKey;
  /** Absent when the device has none left, or too many were claimed of late. */
  readonly preKey?: PublicKey;
  /** Absent when the device has never stored any. */
  readonly kyberPreKey?: PublicKey;
  /** Whether `kyberPreKey` is the one that is handed out again and again. */
  readonly isLastResort: boolean;
}

export interface MlsBundle {
  readonly keyPackage: PublicKey;
  /** Whether `keyPackage` is the one that is handed out again and again. */
  readonly isLastResort: boolean;
}

export interface GroupVersion {
  /** The group's address, 18 bytes. */
  readonly group: Uint8Array;
  /** Of its roster. */
  readonly version: number;
}

export interface GroupRoster extends GroupVersion {
  /** In the order in which they joined. */
  readonly members: readonly Member[];
}

export interface GroupChangeRequest {
  readonly group: AccountLike;
  /** The roster's version that the change was made for. */
  readonly version: number;
  /** At most 512. */
  readonly accounts: readonly AccountLike[];
}

/** A kind of push targets, and what is needed to make one: for `webPush` the application server key, base64url. */
export interface PushKind {
  readonly kind: string;
  readonly publicKey?: string;
}

export interface PushTarget {
  readonly kind: string;
  /** For `webPush` the subscription's endpoint; for `webhook` whatever the brand's gateway understands. A text goes as UTF-8. */
  readonly target: Uint8Array | string;
}

/** What an agreement is about. */
export type AgreementScope = Coverage;

/** What this account has agreed to with another. */
export interface Agreement {
  /** 18 bytes. */
  readonly account: Uint8Array;
  readonly signals: boolean;
  readonly presence: boolean;
}

/** What the node itself tells this device. */
export interface Notice {
  readonly sequence: number;
  readonly timeMs: number;
  /** `notice` names the kind, the rest is the kind's own. Byte strings are views of the message they came in. */
  readonly body: NoticeBody;
}

export interface Envelope {
  readonly sequence: number;
  /** The sending device, 20 bytes. */
  readonly sender: DeviceAddress;
  readonly id: EnvelopeId;
  /** When the node accepted it. */
  readonly timeMs: number;
  /**
   * The ciphertext; of a shared or group send the shared part. A view of the message it came in: copy it (`slice`) to
   * keep it for long.
   */
  readonly payload: Uint8Array;
  /** Of a shared or group send: what this device got of its own, empty if nothing; undefined otherwise. */
  readonly block: Uint8Array | undefined;
  /** Of a group send: where it was sent, and the version of the roster that its sender named. */
  readonly group: { readonly address: Uint8Array; readonly version: number } | undefined;
  /** Says that the envelope is taken. In `auto` mode needed only after a listener failed. */
  ack(): void;
}

/** An envelope whose sender the node does not know: the ciphertext says who it is. */
export type SealedEnvelope = Omit<Envelope, "sender">;

export interface Gap {
  /** The last of the removed entries. */
  readonly sequence: number;
  readonly count: number;
  readonly reason: GapReason | "unknown";
}

/** What on() listens to. */
export interface ClientEvents {
  state: ClientState;
  welcome: WelcomeBody;
  /**
   * An envelope, in order. The next one is handed over when the promises that
   * listeners returned have resolved (in `manual` mode at once). Until there is
   * a listener envelopes wait.
   */
  envelope: Envelope;
  /** The same from somebody whom the node does not name. In order with envelopes, and waits for a listener like them. */
  sealed: SealedEnvelope;
  /**
   * An envelope of another device of the own account to this one alone, in order with the others. It counts as taken when
   * the listeners' promises have resolved, in `manual` mode too; without a listener it is dropped. Transfers (interline/transfer) listen here, and pass over what is not theirs.
   */
  ownEnvelope: Envelope;
  /** Entries were removed before we could take them. In order with envelopes. */
  gap: Gap;
  /** The node says something, such as `roster`: the account's devices have changed. In order with envelopes. */
  notice: Notice;
  /**
   * A group's roster has another version: all envelopes to the group that were sent for earlier ones have been handed
   * over, those for this one follow. A `notice` comes right before, too.
   */
  group: GroupEvent & { readonly sequence: number; readonly timeMs: number };
  /** Everything that was queued has been handed over. In order with envelopes. */
  live: { readonly sequence: number };
  /**
   * From a device of this account, or of one with which both sides have agreed to signals; with `group`, from a device of a
   * member of that group to all of it. Views, like an envelope's.
   */
  signal: {
    readonly sender: DeviceAddress;
    readonly group: Uint8Array | undefined;
    readonly payload: Uint8Array;
  };
  /**
   * An account is here: at least one of its devices is connected; or it is not, as far as this one may know. Only after
   * contacts.watchPresence(). While there is no connection what was said last says nothing.
   */
  presence: { readonly account: Uint8Array; readonly isOnline: boolean };
  /** A send was refused; with `willRetry` the client repeats it, or has it renewed, else send() rejects with the same error. */
  refused: { readonly id: EnvelopeId; readonly error: InterlineError; readonly willRetry: boolean };
  /**
   * A listener for `envelope`, `ownEnvelope` or `sealed` threw or rejected. The envelope is not acked, and
   * the position does not pass it until envelope.ack() is called; it comes
   * again in the next run. Without a listener for this the error is thrown.
   */
  handlerFailed: { readonly envelope: Envelope; readonly error: unknown };
  /** A connection ended or an attempt failed; the next attempt comes after `retryInMs`. */
  disconnected: { readonly error: InterlineError; readonly retryInMs: number };
  /** The end. `error` is absent when close() was called. */
  closed: { readonly error?: InterlineError };
}
