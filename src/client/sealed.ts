/**
 * A client that sends sealed envelopes: over a connection of its own, which speaks for nobody, signed in with a token of
 * its brand that names nobody. The node learns the recipients, the size and the time, and the source address for as long as the
 * socket is open; it keeps nothing of the sender. Say who you are inside the ciphertext.
 *
 * Do not use one socket address for it that gives you away where that matters, and no token that was made for you alone.
 */
import type { SuiteName } from "../wire/keys.js";
import type { WelcomeBody } from "../wire/protocol.js";
import type { Listener } from "./emitter.js";
import { readBundle } from "./keys.js";
import { type Renewal, renewalOf } from "./renewal.js";
import { checkedToken, deviceOfLike, type MadeSend, sealedFrameOf, sealedSharedFrameOf } from "./requests.js";
import type {
  Ask,
  ClientEvents,
  ClientState,
  KeyBundles,
  Receipt,
  SealedKeyClaim,
  SealedSendRequest,
  SealedSharedSendRequest,
} from "./types.js";

/** Of the events of a client, those that such a connection has. */
export type SealedClientEvents = Pick<ClientEvents, "state" | "refused" | "disconnected" | "closed">;

/** The client that keeps its connection up. */
interface Underlying {
  readonly state: ClientState;
  readonly unreceiptedCount: number;
  on<Name extends keyof SealedClientEvents>(
    name: Name,
    listener: Listener<SealedClientEvents[Name]>,
  ): () => void;
  connect(): Promise<WelcomeBody>;
  close(): Promise<void>;
}

/** How it does what it does: with that client's own means. */
interface Means {
  readonly send: Send;
  readonly ask: Ask;
}

type Send = <R extends { readonly attemptsMax?: number }>(
  request: R,
  frameOf: (request: R) => MadeSend,
  renew?: Renewal<R>,
) => Promise<Receipt>;

export class SealedClient {
  readonly #client: Underlying;
  readonly #means: Means;

  /** Made by createSealedClient. */
  constructor(client: Underlying, means: Means) {
    this.#client = client;
    this.#means = means;
  }

  get state(): ClientState {
    return this.#client.state;
  }

  /** Sends that have no receipt yet. */
  get unreceiptedCount(): number {
    return this.#client.unreceiptedCount;
  }

  on<Name extends keyof SealedClientEvents>(
    name: Name,
    listener: Listener<SealedClientEvents[Name]>,
  ): () => void {
    return this.#client.on(name, listener);
  }

  /** Connects, and from then on stays connected. */
  connect(): Promise<WelcomeBody> {
    return this.#client.connect();
  }

  /**
   * Sends to every device of an account that has shared its delivery token. Resolves when the node has accepted it, and
   * until then repeats it as Client.send does. Rejects with InterlineError: `deliveryTokenRefused` (no such account, no
   * sealed sends to it, or another token), `rosterStale` (its `detail.rosters` lists the devices; begin with version 0 and none to
   * be told), `rateLimited` and `sealedTooFast` when trying again did not help, or as Client.send does.
   */
  send(request: SealedSendRequest): Promise<Receipt> {
    return this.#means.send(request, sealedFrameOf);
  }

  /**
   * The same to several accounts, as one shared part, which travels once, and a block for each device: a group message whose
   * sender the node cannot name. It goes to all of the accounts or to none. Rejects like `send`; of `deliveryTokenRefused`,
   * `rateLimited`, `brandsClosed` and `brandQuota` the error's `detail.accounts` are those that the code is about, so
   * that the rest can be sent to without them, under the same id. In order with sends.
   *
   * List your own account among the others, with its own token and all its devices: a node that knows who talks
   * with whom could tell the sender by the one account that is left out. This device gets the envelope too then: give it a block as
   * long as the others', or that tells which one it is, and list accounts in an order that does not depend on who sends.
   */
  sendShared(request: SealedSharedSendRequest): Promise<Receipt> {
    return this.#means.send(request, sealedSharedFrameOf, renewalOf(request));
  }

  /**
   * A bundle of keys to begin a conversation with a device of an account that has shared its delivery token, without saying
   * who begins it; with one-time keys that nobody else is ever given. Waits for a connection. Rejects with InterlineError:
   * `deliveryTokenRefused` as for `send`, `notFound` (the account has no such device), `keysMissing`, `brandsClosed`, or `rateLimited`
   * (by default 64 claims of a connection, then one a second).
   *
   * Of all such claims of a device only so many get one-time keys; see `isLastResort`. Nobody is told of a later change of
   * the device's identity on account of one: compare identities when the first answer comes.
   */
  async claimKeys<Suite extends SuiteName>(request: SealedKeyClaim<Suite>): Promise<KeyBundles[Suite]> {
    const { suite } = request;
    const device = deviceOfLike(request.device);
    const body = { device, suite, deliveryToken: checkedToken(request.deliveryToken) };
    return this.#means.ask({ method: "keys.claim", body, isRepeatable: true }, (answer) =>
      readBundle(suite, answer),
    );
  }

  close(): Promise<void> {
    return this.#client.close();
  }
}
