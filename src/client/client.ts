/**
 * The client: one device's connection to a node, kept up.
 *
 *   import { createClient } from "interline/client";
 *   const client = createClient({ url, token: () => fetchToken() });
 *   client.on("envelope", async ({ sender, payload }) => { … });
 *   await client.connect();
 *   const receipt = await client.send({ to: [{ account, version, devices }] });
 *
 * What it promises. `send` resolves when the node has accepted the envelope,
 * with the durability it reached; until then the client repeats it, under the
 * same id and in order, over as many connections as it takes. Envelopes are
 * handed over in order and once per run; they are acked when the application's
 * listener is done with them, so that a crash in between brings them again.
 *
 * What it does not do. It neither encrypts nor decrypts, and writes nothing to
 * disk: keep `position` and `recentIds` beside what your listener stores, and
 * give them as `resume` to the next run.
 *
 * Close codes. The server ends a connection with 4000 + a code of the registry
 * (wire/codes.ts), the client with 1000, or with 4101 when it cannot read what
 * came. Codes with the advice `never` end the client (`closed` carries the
 * error); `tokenInvalid` and `tokenExpired` make it fetch a fresh token at
 * once, one time in a row; every other end leads to a new attempt after a
 * random pause that doubles its bound, and not before the server's own delay.
 *
 * Runs in browsers and in Node, imports nothing but src/base and src/wire.
 */
import type { MsgpackMap } from "../wire/msgpack-value.js";
import type { WelcomeBody } from "../wire/protocol.js";
import type { ServerFrame } from "../wire/server-frames.js";
import { Accounts } from "./accounts.js";
import { AckHold } from "./ack-hold.js";
import { Arrivals } from "./arrivals.js";
import { Contacts } from "./contacts.js";
import { DeliveryToken } from "./delivery-token.js";
import { Devices } from "./devices.js";
import { Emitter, type Listener } from "./emitter.js";
import { InterlineError } from "./errors.js";
import { Groups } from "./groups.js";
import { Keys } from "./keys.js";
import { Lifeline, type Tenant } from "./lifeline.js";
import { OpenRequests } from "./open-requests.js";
import { Outgoing } from "./outgoing.js";
import { PendingSends } from "./pending-sends.js";
import { Push } from "./push.js";
import { groupRenewalOf, type Renewal, renewalOf, sendRenewing } from "./renewal.js";
import {
  accountOfLike,
  badArgument,
  groupSendFrameOf,
  helloFrameOf,
  type MadeSend,
  ownSendFrameOf,
  sendFrameOf,
  sharedSendFrameOf,
  signalFrameOf,
} from "./requests.js";
import { RosterQueries } from "./roster-queries.js";
import { SealedClient } from "./sealed.js";
import type {
  AccountLike,
  Ask,
  ClientEvents,
  ClientOptions,
  ClientState,
  GroupSendRequest,
  GroupSignalRequest,
  OwnSendRequest,
  Receipt,
  Roster,
  SealedClientOptions,
  SendRequest,
  ServiceRequest,
  SharedSendRequest,
  SignalRequest,
} from "./types.js";

export type { KeyKind, KeyStock, PublicKey, SuiteName } from "../wire/keys.js";
export { InterlineError, type LocalCode } from "./errors.js";
export type { SealedClient, SealedClientEvents } from "./sealed.js";
export { type Transport, type TransportSocket, webSocketTransport } from "./transport.js";
export type * from "./types.js";

const QUEUE_COUNT_MAX = 10_000;
const QUEUE_BYTES_MAX = 16 * 1024 * 1024;
const IN_FLIGHT_MAX = 4096;
/** Few: what is sent too fast waits its turn here. */
const SEALED_IN_FLIGHT_MAX = 32;
const ATTEMPTS_MAX = 5;
const RECENT_IDS_MAX = 4096;
const ACK_HOLD_MS = 10;

export function createClient(options: ClientOptions): Client {
  return new Client(options);
}

/**
 * A client that speaks for nobody: it sends sealed envelopes to accounts that have shared their delivery tokens, and
 * receives nothing. `token` gives tokens of a brand that name nobody (docs/protocol.md).
 */
export function createSealedClient(options: SealedClientOptions): SealedClient {
  return Client.sealed(options);
}

export class Client {
  /** The account's own devices. */
  readonly devices: Devices;
  /** Other people's accounts. */
  readonly accounts: Accounts;
  /** The groups that the account is a member of. */
  readonly groups: Groups;
  /** Waking this device while it is away. */
  readonly push: Push;
  /** Who may send us signals and see whether we are here, and whom we may. */
  readonly contacts: Contacts;
  /** This device's public keys, and those of others. */
  readonly keys: Keys;
  /** With what others may send to the account without being named. */
  readonly deliveryToken: DeliveryToken;
  readonly #options: ClientOptions;
  readonly #emitter = new Emitter<ClientEvents>();
  readonly #sends: PendingSends;
  readonly #arrivals: Arrivals;
  readonly #rosters = new RosterQueries();
  readonly #requests = new OpenRequests();
  readonly #acks: AckHold;
  readonly #outgoing: Outgoing;
  readonly #life: Lifeline;

  constructor(options: ClientOptions, inFlightMax = IN_FLIGHT_MAX) {
    this.#options = options;
    const ask: Ask = (request, read) => this.#ask(request, read);
    this.devices = new Devices(ask);
    this.accounts = new Accounts(ask);
    this.groups = new Groups(ask);
    this.contacts = new Contacts(ask, this.#emitter);
    this.keys = new Keys(ask);
    this.push = new Push(ask);
    this.deliveryToken = new DeliveryToken(ask);
    this.#sends = new PendingSends({
      countMax: options.queueCountMax ?? QUEUE_COUNT_MAX,
      bytesMax: options.queueBytesMax ?? QUEUE_BYTES_MAX,
      inFlightMax,
      onReady: () => this.#life.requestFlush(),
      onRefused: (id, error, willRetry) => this.#emitter.emit("refused", { id, error, willRetry }),
    });
    this.#arrivals = new Arrivals({
      emitter: this.#emitter,
      manualAcks: options.acks === "manual",
      recentIdsMax: options.recentIdsMax ?? RECENT_IDS_MAX,
      position: options.resume?.position ?? 0,
      recentIds: options.resume?.recentIds ?? [],
      onAckable: (sequence, entries, bytes) => this.#acks.rose(sequence, entries, bytes),
    });
    this.#acks = new AckHold(options.ackHoldMs ?? ACK_HOLD_MS, () => this.#life.requestFlush());
    this.#outgoing = new Outgoing(this.#acks, this.#sends);
    this.#life = new Lifeline(options, this.#emitter, this.#tenant());
  }

  get state(): ClientState {
    return this.#life.state;
  }

  /** What the server said at sign-in; undefined while there is no connection. */
  get welcome(): WelcomeBody | undefined {
    return this.#life.welcome;
  }

  /** Every entry up to this sequence is taken. Persist it, and give it as `resume.position`. */
  get position(): number {
    return this.#arrivals.position;
  }

  /** Taken envelopes by sending device and id (36 bytes in hex), oldest first, for `resume.recentIds`. */
  get recentIds(): readonly string[] {
    return this.#arrivals.recentIds;
  }

  /** Sends that have no receipt yet. */
  get unreceiptedCount(): number {
    return this.#sends.count;
  }

  /** Adds a listener and returns the function that removes it. */
  on<Name extends keyof ClientEvents>(name: Name, listener: Listener<ClientEvents[Name]>): () => void {
    const remove = this.#emitter.on(name, listener);
    if (name === "envelope" || name === "sealed") queueMicrotask(() => this.#arrivals.handOver());
    return remove;
  }

  /** The next event of this name; never settles when none comes, also when the client has closed. */
  once<Name extends keyof ClientEvents>(name: Name): Promise<ClientEvents[Name]> {
    return new Promise((resolve) => {
      const remove = this.on(name, (event) => {
        remove();
        resolve(event);
      });
    });
  }

  /**
   * Connects, and from then on stays connected. Resolves with the (next)
   * welcome; rejects with InterlineError when the client ends before.
   */
  connect(): Promise<WelcomeBody> {
    return this.#life.connect();
  }

  /**
   * Sends an envelope. Resolves when the node has accepted it; rejects with
   * InterlineError: `rosterStale` (its `detail.rosters` lists what was missing and surplus; not with `renew`),
   * another refusal, `queueFull`, `badArgument` or `clientClosed`. In any state but closed. Payloads are copied.
   */
  send(request: SendRequest): Promise<Receipt> {
    return this.#send(request, sendFrameOf, renewalOf(request));
  }

  /**
   * The same for an envelope that says one thing to all its devices, which travels once, and something of its own to
   * each. In order with sends.
   */
  sendShared(request: SharedSendRequest): Promise<Receipt> {
    return this.#send(request, sharedSendFrameOf, renewalOf(request));
  }

  /**
   * Sends to every device of every member of a group, except this one. Rejects, besides, with `groupStale` (its
   * `detail.group` has the version now; not with `renew`), `groupUnknown` and `blockSurplus`. In order with sends.
   */
  sendToGroup(request: GroupSendRequest): Promise<Receipt> {
    return this.#send(request, groupSendFrameOf, groupRenewalOf(request, this.groups));
  }

  /**
   * Sends to one other device of the own account and to nobody else: not for messages, which every device is to have.
   * Rejects with `deviceNotOwn` when the account has no such other device. In order with sends.
   */
  sendToOwn(request: OwnSendRequest): Promise<Receipt> {
    return this.#send(request, ownSendFrameOf);
  }

  /** See createSealedClient. */
  static sealed(options: SealedClientOptions): SealedClient {
    const client = new Client(options, SEALED_IN_FLIGHT_MAX);
    return new SealedClient(client, {
      send: (request, frameOf, renew) => client.#send(request, frameOf, renew),
      ask: (request, read) => client.#ask(request, read),
    });
  }

  #send<R extends { readonly attemptsMax?: number }>(
    request: R,
    frameOf: (request: R) => MadeSend,
    renew?: Renewal<R>,
  ): Promise<Receipt> {
    const attemptsMax = request.attemptsMax ?? this.#options.attemptsMax ?? ATTEMPTS_MAX;
    return sendRenewing(request, { attemptsMax, renew }, (now, isRenewable) => {
      if (this.#life.isOver) throw new InterlineError("clientClosed");
      const { id, frame } = frameOf(now);
      return { id, sent: this.#sends.add(id, frame, { attemptsMax, isRenewable }) };
    });
  }

  /**
   * Sends to devices that are connected now, of this account or of those with an agreement, or of a group's members: never
   * stored, never receipted. False when it was dropped here, because there is no connection or it is congested; whether the node dropped it is not told.
   */
  signal(request: SignalRequest | GroupSignalRequest): boolean {
    const frame = signalFrameOf(request);
    const { welcome, isOver, hasRoom } = this.#life;
    if (isOver || welcome === undefined || !hasRoom) return false;
    if (frame.length > welcome.messageBytesMax) throw badArgument("the signal is larger than a message");
    this.#write(frame);
    return true;
  }

  /** The devices of an account. Waits for a connection; rejects when the client ends before the answer. */
  roster(account: AccountLike): Promise<Roster> {
    if (this.#life.isOver) return Promise.reject(new InterlineError("clientClosed"));
    try {
      const answered = this.#rosters.ask(accountOfLike(account));
      this.#askWhatIsDue();
      return answered;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Asks one of the node's services. Waits for a connection; resolves with the answer's body, rejects with
   * InterlineError: the answer's code, `connectionLost` (whether it was done is not known), `badArgument`,
   * `queueFull` or `clientClosed`.
   */
  request(request: ServiceRequest): Promise<MsgpackMap> {
    return this.#ask(request, (body) => body);
  }

  #ask<T>(request: ServiceRequest, read: (body: MsgpackMap) => T): Promise<T> {
    if (this.#life.isOver) return Promise.reject(new InterlineError("clientClosed"));
    const { method, body = {}, isRepeatable = false } = request;
    const answered = this.#requests.ask({ method, body, isRepeatable }, read);
    this.#askWhatIsDue();
    return answered;
  }

  /** What there is to ask of the node, as far as the answers to what it was asked before have come. */
  #askWhatIsDue(): void {
    if (this.#life.welcome === undefined) return;
    for (const frame of [...this.#rosters.due(), ...this.#requests.due()]) this.#write(frame);
  }

  /**
   * Ends the client: acks what was taken, closes the socket, rejects with
   * `clientClosed` every send that has no receipt. Resolves when all is done.
   */
  close(): Promise<void> {
    return this.#life.close();
  }

  /** What happens here when something happens to the connection. */
  #tenant(): Tenant {
    return {
      hello: (token) => helloFrameOf(token, this.#arrivals.position, this.#options),
      welcomed: (welcome) => {
        this.#arrivals.connected(welcome.position);
        this.#acks.start(welcome);
        this.#askWhatIsDue();
        this.contacts.welcomed();
      },
      frame: (frame) => this.#frame(frame),
      messageEnded: () => this.#arrivals.handOver(),
      collect: (bytesMax) => this.#outgoing.collect(bytesMax),
      cut: () => {
        this.#outgoing.clear();
        this.#acks.stop();
        this.#sends.disconnected();
      },
      pausing: () => {
        this.#rosters.disconnected();
        this.#requests.disconnected();
      },
      closing: () => {
        this.#acks.hurry();
        this.#arrivals.stop();
      },
      ended: (reason) => {
        this.#acks.stop();
        this.#arrivals.stop();
        this.#sends.rejectAll(reason);
        this.#rosters.rejectAll(reason);
        this.#requests.rejectAll(reason);
      },
    };
  }

  #frame(frame: ServerFrame): void {
    switch (frame.kind) {
      case "live":
        this.#life.live();
        this.#arrivals.accept(frame);
        return;
      case "deliver":
      case "ownDeliver":
      case "sharedDeliver":
      case "groupDeliver":
      case "gap":
        if (this.#options.acks !== "none") this.#arrivals.accept(frame);
        return;
      case "receipt":
        this.#sends.receipt(frame.position, frame.durability);
        return;
      case "refusal":
        this.#sends.refusal(frame);
        return;
      case "signal":
      case "groupSignal": {
        const group = frame.kind === "groupSignal" ? frame.group : undefined;
        this.#emitter.emit("signal", { sender: frame.sender, group, payload: frame.payload });
        return;
      }
      case "presence":
        this.contacts.told(frame);
        return;
      case "roster":
        this.#rosters.answer(frame);
        this.#askWhatIsDue();
        return;
      case "answer":
        this.#requests.answer(frame);
        this.#askWhatIsDue();
        return;
    }
  }

  #write(frame: Uint8Array): void {
    this.#outgoing.add(frame);
    this.#life.requestFlush();
  }
}
