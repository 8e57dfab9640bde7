/**
 * What both sides of a transfer have in common: they hear the own envelopes of their client, pass over what is not
 * theirs, and end once, with a result or an error.
 */
import type { DeviceAddress } from "../base/address.js";
import { deviceNumber } from "../base/address.js";
import { equalBytes } from "../base/bytes.js";
import { codes } from "../wire/codes.js";
import type { Client } from "./client.js";
import { throwOutside } from "./emitter.js";
import { errorOfNumber, InterlineError } from "./errors.js";
import type { RunCipher } from "./transfer-cipher.js";
import { cancelBody, type Message, readCancel, readMessage } from "./transfer-format.js";

/** What a transfer needs of a client. */
export type TransferClient = Pick<Client, "connect" | "on" | "once" | "sendToOwn" | "state">;

export interface TransferProgress {
  /** Of the blob, that the new device has stored. */
  readonly bytes: number;
  /** What the old device has stated as the most. */
  readonly bytesMax: number;
}

export type ProgressListener = (progress: TransferProgress) => void;

export interface TransferResult {
  readonly bytes: number;
  /** The chained digest of the blob (docs/transfer.md): the same on both sides. */
  readonly digest: Uint8Array;
}

export abstract class TransferSide {
  /** Resolves when the new device has all of the blob; rejects with InterlineError, or what the application threw. */
  readonly done: Promise<TransferResult>;
  protected readonly client: TransferClient;
  protected readonly transfer: Uint8Array;
  #hasEnded = false;
  #resolve: (result: TransferResult) => void = () => {};
  #reject: (error: unknown) => void = () => {};
  readonly #listening: (() => void)[] = [];

  readonly #onProgress: ProgressListener | undefined;

  constructor(client: TransferClient, transfer: Uint8Array, onProgress: ProgressListener | undefined) {
    this.client = client;
    this.transfer = transfer;
    this.#onProgress = onProgress;
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Whoever does not wait for it is told by progress that does not come.
    this.done.catch(() => undefined);
  }

  /** Gives the transfer up, here and on the other device; resolves when the node has taken that. */
  async cancel(): Promise<void> {
    await this.giveUp(new InterlineError("transferCancelled"));
  }

  protected get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Hears from now on. */
  protected listen(): void {
    this.#listening.push(
      this.client.on("ownEnvelope", ({ sender, payload }) => {
        const message = readMessage(payload);
        if (message === undefined || !equalBytes(message.transfer, this.transfer)) return undefined;
        return this.take(message, sender).catch((error) => this.giveUp(error));
      }),
      this.client.on("closed", ({ error }) => this.fail(error ?? new InterlineError("clientClosed"))),
    );
  }

  /** A message of this transfer, one at a time. What it throws ends the transfer on both devices. */
  protected abstract take(message: Message, sender: DeviceAddress): Promise<void>;

  /** What there is to seal a cancellation with, if the other device is known. */
  protected abstract get cipher(): RunCipher | undefined;
  protected abstract get peer(): DeviceAddress;
  protected abstract cancelNonce(): Uint8Array | undefined;

  protected report(progress: TransferProgress): void {
    try {
      this.#onProgress?.(progress);
    } catch (error) {
      throwOutside(error);
    }
  }

  /** Resolves when the node has it, or the transfer has failed for want of that. */
  protected async send(payload: Uint8Array): Promise<void> {
    const sent = this.client.sendToOwn({
      device: deviceNumber(this.peer),
      payload,
      attemptsMax: Number.MAX_SAFE_INTEGER,
    });
    await sent.catch((error) => {
      if (!this.#hasEnded) this.fail(error);
    });
  }

  protected succeed(result: TransferResult): void {
    this.#hasEnded = true;
    this.#resolve(result);
  }

  /** Ends here alone: what was stored is enough to go on later. */
  protected fail(error: unknown): void {
    this.#hasEnded = true;
    this.stopListening();
    this.#reject(error);
  }

  /**
   * Ends here and on the other device. `done` says so only when the node has that: whoever then ends the client must not
   * take it away from the other device, which would wait for ever.
   */
  protected async giveUp(error: unknown): Promise<void> {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.stopListening();
    if (this.cipher !== undefined) await this.#sendCancel(this.cipher, error);
    this.#reject(error);
  }

  async #sendCancel(cipher: RunCipher, error: unknown): Promise<void> {
    const number = error instanceof InterlineError ? error.number : 0;
    const code = number >= 640 && number < 650 ? number : codes.transferCancelled.code;
    const nonce = this.cancelNonce();
    const message = await cipher.seal("cancel", cancelBody(code), nonce === undefined ? {} : { nonce });
    await this.send(message);
  }

  protected stopListening(): void {
    for (const remove of this.#listening.splice(0)) remove();
  }

  /** The other device has given up, for this reason. */
  protected async cancelled(cipher: RunCipher, message: Message): Promise<void> {
    this.fail(errorOfNumber(readCancel(await cipher.open(message))));
  }
}
