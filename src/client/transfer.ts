/**
 * Transfers: a new device gets what an old one of the same account has, such as history, through the node, which reads
 * nothing of it. An entry of its own, so that only who uses it loads it.
 *
 *   // new device
 *   const incoming = await inviteTransfer(client, { bytesMax, store: ({ offset, bytes, state }) => { … } });
 *   showQrCode(incoming.invitation);
 *   await incoming.done;
 *
 *   // old device
 *   await sendTransfer(client, { invitation, source, bytesMax }).done;
 *
 * Both go on after the death of either process, or of the node: the new device with resumeTransfer() and the state that
 * its `store` got last, the old one by accepting the invitation again. docs/transfer.md has the format and says what it
 * protects against. Browser-safe: WebCrypto and nothing else.
 */
export {
  type IncomingTransfer,
  inviteTransfer,
  type ReceiveOptions,
  resumeTransfer,
  type TransferPart,
} from "./transfer-receiver.js";
export { type OutgoingTransfer, type SendTransferOptions, sendTransfer } from "./transfer-sender.js";
export type { TransferClient, TransferProgress, TransferResult } from "./transfer-side.js";
