/**
 * A client that sends sealed envelopes: over a connection of its own, which speaks for nobody, signed in with a token of
 * its brand that names nobody. The node learns the recipient, the size and the time, and the source address for as long as the
 * socket is open; it keeps nothing of the sender. Say who you are inside the ciphertext.
 *
 * Do not use one socket address for it that gives you away where that matters, and no token that was made for you alone.
 */
import type { WelcomeBody } from "../wire/protocol.js";
import type { Client } from "./client.js";
import type { Listener } from "./emitter.js";
import type { ClientEvents, ClientState, Receipt, SealedSendRequest } from "./types.js";

/** Of the events of a client, those that such a connection has. */
export type SealedClientEvents = Pick<ClientEvents, "state" | "refused" | "disconnected" | "closed">;

export class SealedClient {
  readonly #client: Client;
  readonly #send: (request: SealedSendRequest) => Promise<Receipt>;

  /** Made by createSealedClient. */
  constructor(client: Client, send: (request: SealedSendRequest) => Promise<Receipt>) {
    this.#client = client;
    this.#send = send;
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
    return this.#send(request);
  }

  close(): Promise<void> {
    return this.#client.close();
  }
}
