/** What an application gives to and gets from an EncryptedClient. */
import type { AccountAddress, DeviceAddress } from "../base/address.js";
import type { SuiteName } from "../wire/keys.js";
import type { Cipher } from "./cipher.js";
import type { Client } from "./client.js";
import type { SealedClient } from "./sealed.js";
import type {
  AccountLike,
  Envelope,
  GroupSendRequest,
  Receipt,
  SealedEnvelope,
  SealedSendRequest,
  SealedSharedSendRequest,
  SendRequest,
} from "./types.js";

export interface EncryptedClientOptions<Suite extends SuiteName> {
  readonly client: Client;
  readonly cipher: Cipher<Suite>;
  /** What sealed envelopes go out over. Its connecting and closing are the application's. */
  readonly sealed?: SealedClient;
  /** The next envelope is handed over when its promise has resolved. It rejects: see `handlerFailed` of the client. */
  readonly onMessage: (message: Message) => unknown;
  /** Somebody lets this account send to his sealed, or another device of this account has the account's token. The same holds for its promise. */
  readonly onDeliveryToken?: (shared: SharedDeliveryToken) => unknown;
  /** Something came that the cipher refuses; taken when the promise has resolved. Without it, `handlerFailed`. */
  readonly onUnreadable?: (unreadable: Unreadable) => unknown;
  /** Right before an envelope with a plaintext of the application is handed to the client, also when it was repaired. Of a sealed message the transcript too. */
  readonly onEncrypted?: (encrypted: Encrypted) => void;
  /** For a group the devices of its members are asked for again after this time (60 s). */
  readonly rosterAgeMs?: number;
  /** How long a group send waits for the group's keys to follow a change of the roster (10 s). */
  readonly groupWaitMs?: number;
  /** Keys that are handed out again and again are made anew at this age (2 days). */
  readonly keyAgeMs?: number;
  /** A key that was replaced still decrypts for this long (35 days: longer than a node keeps an envelope, by default 30). */
  readonly keyKeptMs?: number;
}

export interface Message {
  readonly plaintext: Uint8Array;
  /** Of a sealed envelope, the device that the ciphertext proves. */
  readonly sender: DeviceAddress;
  /** Undefined for what others have sent, and in groups. Else another device of this account has, to these accounts; none: to this account's devices alone. */
  readonly sentTo: readonly AccountAddress[] | undefined;
  /** Of what others have sent by sendSealedShared: the other accounts that it went to, as the sender says. Undefined for everything else. */
  readonly sharedWith: readonly AccountAddress[] | undefined;
  /** Whether it came without the node knowing the sender. */
  readonly isSealed: boolean;
  readonly envelope: Envelope | SealedEnvelope;
}

export interface SharedDeliveryToken {
  /** The account that it lets sealed envelopes in to. This account: it is its own. */
  readonly account: AccountAddress;
  readonly deliveryToken: Uint8Array;
}

export interface Unreadable {
  readonly envelope: Envelope | SealedEnvelope;
  /** Whom the node names; undefined when it was sealed. */
  readonly sender: DeviceAddress | undefined;
  /** RepeatedPayload when it was decrypted before. */
  readonly error: unknown;
}

export interface Encrypted {
  readonly plaintext: Uint8Array;
  readonly request: SendRequest | GroupSendRequest | SealedSendRequest | SealedSharedSendRequest;
}

export interface EncryptedSend {
  /** Accounts; the own one need not be named. */
  readonly to: readonly AccountLike[];
  readonly plaintext: Uint8Array;
}

export interface EncryptedSealedSend {
  readonly to: AccountLike;
  /** Which the account has shared: see onDeliveryToken. */
  readonly deliveryToken: Uint8Array;
  readonly plaintext: Uint8Array;
}

export interface EncryptedSealedSharedSend {
  /** At most 255 other accounts, each once, and perhaps the own one, with the tokens that they have shared. */
  readonly to: readonly { readonly account: AccountLike; readonly deliveryToken: Uint8Array }[];
  readonly plaintext: Uint8Array;
}

export interface DeliveryTokenSharing {
  readonly to: readonly AccountLike[];
  /** What `client.deliveryToken` was set or rotated to. */
  readonly deliveryToken: Uint8Array;
}

export interface EncryptedGroupSend {
  readonly group: AccountLike;
  readonly plaintext: Uint8Array;
}

/** Of what goes to many as one shared part. */
export interface GroupReceipt extends Receipt {
  /** Devices that cannot read it, because they have uploaded no keys or gave too many away of late. */
  readonly leftOut: readonly DeviceAddress[];
}
