/**
 * The new device's side of a transfer: it makes the invitation, takes chunks in order, gives each to the application to
 * store together with what is needed to go on after a crash, and says how far it is.
 *
 *   inviting ──offer──▶ receiving ──chunk, chunk …──▶ ──end──▶ complete
 *                            ▲ └── a hole: "send again from …"
 *                            └──── another offer: the old device has begun anew, and goes on where this one is
 *
 * Invariants. The application gets every byte of the blob at its offset, in order, and a byte again only at the same
 * offset, when it had not stored the state that came with it. Progress is told only of what is stored. Of the old
 * device's runs only the newest counts, and an offer counts once: what a lying node repeats is passed over.
 */
import { accountOf, DEVICE_ADDRESS_BYTES, type DeviceAddress } from "../base/address.js";
import { equalBytes, toHex } from "../base/bytes.js";
import { InterlineError } from "./errors.js";
import {
  chainDigest,
  EMPTY_DIGEST,
  exportPrivateKey,
  importPrivateKey,
  makeInvitation,
  RunCipher,
} from "./transfer-cipher.js";
import {
  CHUNK_BYTES,
  formatInvitation,
  type Message,
  numberOf,
  progressBody,
  readEnd,
  readOffer,
  type Standing,
  tampered,
} from "./transfer-format.js";
import { type ProgressListener, type TransferClient, TransferSide } from "./transfer-side.js";
import { decodeState, encodeState, type ReceiverState } from "./transfer-state.js";

/** Progress is told every so many chunks: a quarter of what the old device has in flight. */
const PROGRESS_CHUNKS = 4;
/** So often in a row chunks may be asked for again without one that comes. */
const REPEATS_MAX = 5;
/** Runs of the old device that are remembered, so that an old offer is not taken for a new one. */
const RUNS_MAX = 64;

export interface TransferPart {
  /** Where in the blob the bytes belong. */
  readonly offset: number;
  /** May be empty, when only the state has changed. Yours to keep. */
  readonly bytes: Uint8Array;
  /** What resumeTransfer() needs after a crash: some hundred bytes. It holds a private key. */
  readonly state: Uint8Array;
}

export interface ReceiveOptions {
  /** More than this is not taken. */
  readonly bytesMax: number;
  /**
   * Stores the bytes and then the state, or both in one transaction; resolves when they would survive a crash. What it
   * throws ends the transfer here; it can be resumed from the last state that was stored.
   */
  readonly store: (part: TransferPart) => void | Promise<void>;
  readonly onProgress?: ProgressListener;
}

export class IncomingTransfer extends TransferSide {
  /** To be shown to the old device, as a QR code for instance, and to nobody else. */
  readonly invitation: string;
  readonly #options: ReceiveOptions;
  #state: ReceiverState;
  readonly #privateKey: CryptoKey;
  #cipher: RunCipher | undefined;
  /** The highest index seen since a chunk was asked for again. */
  #seen = 0;
  #repeats = 0;
  #wantsRepeat = false;

  private constructor(
    client: TransferClient,
    state: ReceiverState,
    privateKey: CryptoKey,
    options: ReceiveOptions,
  ) {
    super(client, state.invitation.transfer, options.onProgress);
    this.invitation = formatInvitation(state.invitation);
    this.#options = options;
    this.#state = state;
    this.#privateKey = privateKey;
  }

  static async begin(
    client: TransferClient,
    state: ReceiverState,
    options: ReceiveOptions,
  ): Promise<IncomingTransfer> {
    const privateKey = await importPrivateKey(state.privateKey);
    const transfer = new IncomingTransfer(client, state, privateKey, options);
    if (state.old !== undefined) transfer.#cipher = await transfer.#derive(state.old);
    transfer.listen();
    if (state.isComplete) transfer.succeed({ bytes: state.bytes, digest: state.digest });
    // What is in the queue comes first: asking before would bring all of it twice.
    if (client.state === "live") void transfer.#tell(true);
    else void client.once("live").then(() => transfer.#tell(true));
    return transfer;
  }

  /** What resumeTransfer() would need now; the store got the same. */
  get state(): Uint8Array {
    return encodeState(this.#state);
  }

  /** Hears no more. Until then a complete transfer tells so to an old device that asks again. */
  close(): void {
    if (this.hasEnded) this.stopListening();
    else this.fail(new InterlineError("transferCancelled", { text: "closed" }));
  }

  protected override get cipher(): RunCipher | undefined {
    return this.#cipher;
  }

  protected override get peer(): DeviceAddress {
    return this.#state.old?.device ?? new Uint8Array(DEVICE_ADDRESS_BYTES);
  }

  protected override cancelNonce(): undefined {
    return undefined;
  }

  protected override async take(message: Message, sender: DeviceAddress): Promise<void> {
    const { type } = message;
    const number = numberOf(message);
    if (type === "offer") return this.#offer(message, sender);
    const { old } = this.#state;
    // Of another run, which is over; or not of the device that this one is with.
    if (old === undefined || this.#cipher === undefined || !equalBytes(message.run, old.run)) return;
    if (number === undefined || type === "progress") throw tampered("it is none that the old device sends");
    if (type === "cancel") return this.cancelled(this.#cipher, message);
    const body = await this.#cipher.open(message);
    if (type === "ask") await this.#tell(true);
    else if (number === this.#state.next) {
      this.#repeats = 0;
      this.#wantsRepeat = false;
      await (type === "chunk" ? this.#chunk(body) : this.#end(body));
    } else if (number > this.#state.next) await this.#missing(number);
  }

  async #offer(message: Message, sender: DeviceAddress): Promise<void> {
    const { invitation, runs } = this.#state;
    const run = toHex(message.run);
    if (runs.includes(run)) {
      if (run === runs.at(-1)) await this.#tell(false);
      return;
    }
    if (!equalBytes(accountOf(sender), accountOf(invitation.device)))
      throw tampered("another account sent it");
    const old = { device: sender.slice(), run: message.run.slice(), publicKey: message.publicKey.slice() };
    const cipher = await this.#derive(old);
    const bytesMax = readOffer(await cipher.open(message));
    await this.#store(
      { ...this.#state, old, bytesMax, runs: [...runs.slice(1 - RUNS_MAX), run] },
      new Uint8Array(0),
    );
    this.#cipher = cipher;
    this.#wantsRepeat = false;
    if (bytesMax > this.#options.bytesMax) throw new InterlineError("transferTooLarge");
    await this.#tell(false);
  }

  #derive(old: NonNullable<ReceiverState["old"]>): Promise<RunCipher> {
    const { invitation } = this.#state;
    return RunCipher.derive({
      invitation,
      run: old.run,
      self: invitation.device,
      peer: old.device,
      privateKey: this.#privateKey,
      peerPublicKey: old.publicKey,
      oldPublicKey: old.publicKey,
    });
  }

  async #chunk(chunk: Uint8Array): Promise<void> {
    const { next, bytes, digest, bytesMax } = this.#state;
    // Behind a chunk that is not full there is only the end.
    const isInPlace = bytes === next * CHUNK_BYTES && chunk.length > 0 && chunk.length <= CHUNK_BYTES;
    if (!isInPlace) throw tampered("a chunk is too long, or stands behind the last one");
    if (bytes + chunk.length > bytesMax) throw new InterlineError("transferTooLarge");
    const standing = {
      next: next + 1,
      bytes: bytes + chunk.length,
      digest: await chainDigest(digest, chunk),
    };
    await this.#store({ ...this.#state, ...standing }, chunk);
    this.report({ bytes: standing.bytes, bytesMax });
    if (standing.next % PROGRESS_CHUNKS === 0) await this.#tell(false);
  }

  async #end(body: Uint8Array): Promise<void> {
    const { next, bytes, digest } = this.#state;
    const end = readEnd(body);
    if (end.bytes !== bytes || !equalBytes(end.digest, digest))
      throw tampered("what came is not what was sent");
    await this.#store({ ...this.#state, next: next + 1, isComplete: true }, new Uint8Array(0));
    await this.#tell(false);
    this.succeed({ bytes, digest });
  }

  /** Something before this was lost. What is still on its way behind it says nothing new, but what comes again does. */
  async #missing(number: number): Promise<void> {
    const isStillOnItsWay = this.#wantsRepeat && number > this.#seen;
    this.#seen = number;
    if (isStillOnItsWay) return;
    if (this.#repeats === REPEATS_MAX) throw new InterlineError("transferBroken");
    this.#repeats += 1;
    this.#wantsRepeat = true;
    await this.#tell(true);
  }

  async #store(state: ReceiverState, bytes: Uint8Array): Promise<void> {
    const part = { offset: this.#state.bytes, bytes, state: encodeState(state) };
    try {
      await this.#options.store(part);
    } catch (error) {
      // The old device waits: the application may mend what failed and resume. When all had come, it offers again.
      if (!this.hasEnded) this.fail(error);
      throw error;
    }
    this.#state = state;
  }

  async #tell(wantsRepeat: boolean): Promise<void> {
    if (this.#cipher === undefined) return;
    const standing: Standing = this.#state;
    const progress = { ...standing, wantsRepeat, isComplete: this.#state.isComplete };
    const message = await this.#cipher.seal("progress", progressBody(progress));
    const told = this.send(message);
    // Whoever ends the client when all has come must not take this away from the old device.
    if (this.#state.isComplete) await told;
  }
}

/**
 * On the new device: makes an invitation and waits for the old device to accept it. Resolves when the state is stored,
 * so that the invitation may be shown; waits for a connection. Rejects with what connect() or `store` rejects with.
 */
export async function inviteTransfer(
  client: TransferClient,
  options: ReceiveOptions,
): Promise<IncomingTransfer> {
  const { device } = await client.connect();
  const { invitation, privateKey } = await makeInvitation(device.slice());
  const state: ReceiverState = {
    invitation,
    privateKey: await exportPrivateKey(privateKey),
    old: undefined,
    runs: [],
    bytesMax: 0,
    next: 0,
    bytes: 0,
    digest: EMPTY_DIGEST,
    isComplete: false,
  };
  await options.store({ offset: 0, bytes: new Uint8Array(0), state: encodeState(state) });
  return IncomingTransfer.begin(client, state, options);
}

/**
 * On the new device, after a restart: goes on from a state that was stored. Begin it before connect(), so that nothing
 * of what waits in the queue has to be sent again. Rejects with `badArgument` for bytes that are no state.
 */
export function resumeTransfer(
  client: TransferClient,
  state: Uint8Array,
  options: ReceiveOptions,
): Promise<IncomingTransfer> {
  return IncomingTransfer.begin(client, decodeState(state), options);
}
