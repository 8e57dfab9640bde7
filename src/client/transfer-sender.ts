/**
 * The old device's side of a transfer: it accepts an invitation and sends the blob, chunk by chunk, never more of them
 * than a few ahead of what the new device has stored.
 *
 *   offering ──progress: from chunk n──▶ skipping n ──▶ sending … ──end──▶ waiting ──progress: complete──▶ done
 *        ▲ offered again, until it is answered           ▲ └─ progress: "send again from …"
 *                                                        └─── no progress for long: "how far are you?"
 *
 * It keeps nothing over its own death: whoever has the invitation and the blob accepts the invitation again. That is a
 * new run, with keys of its own; the new device says how far it is, and by what it says of the part that it has
 * (its digest) this side sees whether the blob is still the same, before it sends on.
 *
 * Invariants. At most WINDOW_CHUNKS are on the way, and kept here to be sent again. No nonce is used for two chunks.
 */
import { accountOf, type DeviceAddress } from "../base/address.js";
import { concatBytes, equalBytes } from "../base/bytes.js";
import { InterlineError } from "./errors.js";
import { badArgument } from "./requests.js";
import {
  chainDigest,
  EMPTY_DIGEST,
  type KeyPair,
  makeKeyPair,
  RunCipher,
  randomBytes,
} from "./transfer-cipher.js";
import {
  CHUNK_BYTES,
  endBody,
  type Invitation,
  type Message,
  numberedNonce,
  offerBody,
  type Progress,
  parseInvitation,
  RUN_BYTES,
  readProgress,
  TRANSFER_BYTES_MAX,
  tampered,
} from "./transfer-format.js";
import { type ProgressListener, type TransferClient, TransferSide } from "./transfer-side.js";

/** On their way, and in the new device's queue while it is away: 1 MiB. */
const WINDOW_CHUNKS = 16;
/** Without progress for so long the new device is asked how far it is; then after twice that, and so on. */
const ASK_MS = 15_000;
const ASK_MS_MAX = 15 * 60_000;
/** Offered again to a new device that answers an older run, at most so often. */
const OFFER_AGAIN_MS = 1_000;

export interface SendTransferOptions {
  /** What the new device showed. */
  readonly invitation: string;
  /**
   * The blob from its beginning; the same bytes each time the invitation is accepted. Pieces may have any size. It is
   * read no faster than the new device stores.
   */
  readonly source: Uint8Array | AsyncIterable<Uint8Array>;
  /** The blob is not larger than this; needed when the source does not say its size. */
  readonly bytesMax?: number;
  readonly onProgress?: ProgressListener;
}

export class OutgoingTransfer extends TransferSide {
  readonly #options: SendTransferOptions;
  readonly #bytesMax: number;
  readonly #invitation: Invitation;
  readonly #run = randomBytes(RUN_BYTES);
  #cipher: RunCipher | undefined;
  #offer: Uint8Array | undefined;
  #offeredMs = 0;
  /** Sealed and not known to be stored, by index. */
  readonly #onTheWay = new Map<number, Uint8Array>();
  /** The first index that was not sent. */
  #sent = 0;
  /** The newest that the new device said; undefined before it has answered the offer. */
  #progress: Progress | undefined;
  /** Goes on when there is progress, or the end. */
  #wake: () => void = () => {};
  #askTimer: ReturnType<typeof setTimeout> | undefined;
  #askMs = ASK_MS;
  #asks = 0;

  constructor(client: TransferClient, options: SendTransferOptions) {
    const invitation = parseInvitation(options.invitation);
    super(client, invitation.transfer, options.onProgress);
    const { source } = options;
    this.#options = options;
    this.#invitation = invitation;
    this.#bytesMax = options.bytesMax ?? (source instanceof Uint8Array ? source.length : Number.NaN);
    if (!(this.#bytesMax >= 0 && this.#bytesMax <= TRANSFER_BYTES_MAX)) {
      throw badArgument("bytesMax is a number of bytes");
    }
    const ended = () => {
      clearTimeout(this.#askTimer);
      this.#onTheWay.clear();
      this.#wake();
    };
    this.done.then(ended, ended);
    this.#begin().catch((error) => this.giveUp(error));
  }

  protected override get cipher(): RunCipher | undefined {
    return this.#cipher;
  }

  protected override get peer(): DeviceAddress {
    return this.#invitation.device;
  }

  protected override cancelNonce(): Uint8Array {
    return numberedNonce("cancel", 0);
  }

  async #begin(): Promise<void> {
    const self = (await this.client.connect()).device.slice();
    const { device } = this.#invitation;
    if (!equalBytes(accountOf(device), accountOf(self)) || equalBytes(device, self)) {
      throw new InterlineError("invitationBad");
    }
    const { privateKey, publicKey }: KeyPair = await makeKeyPair();
    const cipher = await RunCipher.derive({
      invitation: this.#invitation,
      run: this.#run,
      self,
      peer: device,
      privateKey,
      peerPublicKey: this.#invitation.publicKey,
      oldPublicKey: publicKey,
    });
    const nonce = numberedNonce("offer", 0);
    this.#offer = await cipher.seal("offer", offerBody(this.#bytesMax), { nonce, publicKey });
    if (this.hasEnded) return;
    this.#cipher = cipher;
    this.listen();
    this.#offerNow();
    this.#askLater();
    await this.#pump(cipher);
  }

  #offerNow(): void {
    this.#offeredMs = performance.now();
    void this.send(this.#offer as Uint8Array);
  }

  /** Soon, but not at once for everything that a lying node repeats. */
  #offerAgain(): void {
    if (performance.now() - this.#offeredMs > OFFER_AGAIN_MS) this.#offerNow();
    else {
      this.#askMs = OFFER_AGAIN_MS;
      this.#askLater();
    }
  }

  protected override async take(message: Message, sender: DeviceAddress): Promise<void> {
    const cipher = this.#cipher;
    if (cipher === undefined || !equalBytes(sender, this.peer)) return;
    if (!equalBytes(message.run, this.#run)) {
      // It has restarted, and may have passed over the offer before it did.
      if (this.#progress === undefined) this.#offerAgain();
      return;
    }
    if (message.type === "cancel") return this.cancelled(cipher, message);
    if (message.type !== "progress") throw tampered("it is none that the new device sends");
    await this.#progressed(readProgress(await cipher.open(message)));
  }

  async #progressed(progress: Progress): Promise<void> {
    const { next, wantsRepeat, bytes } = progress;
    const before = this.#progress;
    // An older one that comes again.
    if (before !== undefined && next < before.next) return;
    if (before !== undefined && next > this.#sent) throw tampered("it has more than was sent");
    if (before === undefined) this.#sent = next;
    this.#progress = progress;
    for (const index of this.#onTheWay.keys()) if (index < next) this.#onTheWay.delete(index);
    if (before === undefined || next > before.next) {
      this.#askMs = ASK_MS;
      this.report({ bytes, bytesMax: this.#bytesMax });
    }
    this.#askLater();
    if (wantsRepeat) for (const chunk of this.#onTheWay.values()) void this.send(chunk);
    this.#wake();
  }

  #askLater(): void {
    clearTimeout(this.#askTimer);
    if (this.hasEnded) return;
    this.#askTimer = setTimeout(() => {
      this.#askMs = Math.min(2 * this.#askMs, ASK_MS_MAX);
      this.#askLater();
      if (this.#progress === undefined) this.#offerNow();
      else void this.#ask(this.#cipher as RunCipher);
    }, this.#askMs);
  }

  async #ask(cipher: RunCipher): Promise<void> {
    this.#asks += 1;
    void this.send(await cipher.seal("ask", new Uint8Array(0), { nonce: numberedNonce("ask", this.#asks) }));
  }

  /** Reads the source and sends it, from where the new device wants it, as fast as that stores. */
  async #pump(cipher: RunCipher): Promise<void> {
    const first = await this.#until(() => this.#progress);
    if (first === undefined) return;
    const skip = first.isComplete ? first.next - 1 : first.next;
    let bytes = 0;
    let index = 0;
    let digest: Uint8Array = EMPTY_DIGEST;
    // What the new device has stored must be the beginning of this blob.
    const compare = () => {
      if (index !== skip) return;
      if (bytes !== first.bytes || !equalBytes(digest, first.digest))
        throw new InterlineError("transferChanged");
    };
    compare();
    for await (const chunk of chunksOf(this.#options.source)) {
      bytes += chunk.length;
      if (bytes > this.#bytesMax) throw new InterlineError("transferTooLarge");
      digest = await chainDigest(digest, chunk);
      if (index < skip) {
        index += 1;
        compare();
        continue;
      }
      if (first.isComplete) throw new InterlineError("transferChanged");
      if (!(await this.#hasRoom())) return;
      await this.#sendNext(cipher, "chunk", index, chunk);
      index += 1;
    }
    if (index < skip) throw new InterlineError("transferChanged");
    if (!first.isComplete) {
      if (!(await this.#hasRoom())) return;
      await this.#sendNext(cipher, "end", index, endBody({ bytes, digest }));
    }
    const last = await this.#until(() => (this.#progress?.isComplete ? this.#progress : undefined));
    if (last === undefined) return;
    if (last.next !== index + 1 || last.bytes !== bytes || !equalBytes(last.digest, digest)) {
      throw tampered("what came is not what was sent");
    }
    this.succeed({ bytes, digest });
    this.stopListening();
  }

  async #sendNext(cipher: RunCipher, type: "chunk" | "end", index: number, body: Uint8Array): Promise<void> {
    const message = await cipher.seal(type, body, { nonce: numberedNonce(type, index) });
    if (this.hasEnded) return;
    this.#onTheWay.set(index, message);
    this.#sent = index + 1;
    void this.send(message);
  }

  async #hasRoom(): Promise<boolean> {
    const room = await this.#until(() => (this.#onTheWay.size < WINDOW_CHUNKS ? true : undefined));
    return room === true;
  }

  /** Waits for a value; undefined when the transfer has ended. */
  async #until<T>(find: () => T | undefined): Promise<T | undefined> {
    while (!this.hasEnded) {
      const found = find();
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return undefined;
  }
}

/** The source in chunks that are full, but for the last. */
async function* chunksOf(source: SendTransferOptions["source"]): AsyncGenerator<Uint8Array, void> {
  const pieces = source instanceof Uint8Array ? [source] : source;
  let parts: Uint8Array[] = [];
  let held = 0;
  for await (const piece of pieces) {
    let at = 0;
    while (held + piece.length - at >= CHUNK_BYTES) {
      const end = at + CHUNK_BYTES - held;
      yield concatBytes([...parts, piece.subarray(at, end)]);
      parts = [];
      held = 0;
      at = end;
    }
    if (at < piece.length) {
      // A copy: whoever made the piece may use its memory again.
      parts.push(piece.slice(at));
      held += piece.length - at;
    }
  }
  if (held > 0) yield concatBytes(parts);
}

/**
 * On the old device: accepts an invitation and sends the blob. Throws `invitationBad` or `badArgument` at once; the rest
 * is told by `done`. When this process dies, or `done` rejects with `clientClosed`, call it again with the same
 * invitation and the same bytes: it goes on where the new device is.
 */
export function sendTransfer(client: TransferClient, options: SendTransferOptions): OutgoingTransfer {
  return new OutgoingTransfer(client, options);
}
