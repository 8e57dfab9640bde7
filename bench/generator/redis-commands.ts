/**
 * The commands of a device that speaks with Redis, as bytes. Its stream's key is
 * `device:d0000007`. Entries have one field, `p`, with the payload.
 */
import { deviceName } from "./device-names.js";
import { fillPayload } from "./payload.js";

export const LINE_END: Uint8Array = Buffer.from("\r\n");

const KEY_PREFIX = "device:";

function streamKey(device: number): string {
  return `${KEY_PREFIX}${deviceName(device)}`;
}

/** `*n␍␊ $length␍␊ word ␍␊ …` */
export function command(...words: readonly (string | Uint8Array)[]): Uint8Array {
  const parts = words.map((word) => {
    const bytes = Buffer.from(word);
    return Buffer.concat([Buffer.from(`$${bytes.length}\r\n`), bytes, LINE_END]);
  });
  return Buffer.concat([Buffer.from(`*${words.length}\r\n`), ...parts]);
}

/** One XADD of a payload, to be copied and filled in. */
export interface AddTemplate {
  readonly bytes: Uint8Array;
  readonly targetOffset: number;
  readonly payloadOffset: number;
}

export function addTemplate(payloadBytes: number): AddTemplate {
  const payload = new Uint8Array(payloadBytes);
  fillPayload(payload);
  const bytes = Buffer.from(command("XADD", streamKey(0), "*", "p", payload));
  return {
    bytes,
    targetOffset: bytes.indexOf(KEY_PREFIX) + KEY_PREFIX.length,
    payloadOffset: bytes.length - LINE_END.length - payloadBytes,
  };
}

/** A command without its last word, an entry's id, which is written behind it. */
export interface CommandHead {
  readonly bytes: Uint8Array;
  readonly deviceOffset: number;
}

function headOf(...words: readonly string[]): CommandHead {
  const whole = Buffer.from(command(...words, ""));
  const bytes = whole.subarray(0, whole.length - "$0\r\n\r\n".length);
  return { bytes, deviceOffset: bytes.indexOf(KEY_PREFIX) + KEY_PREFIX.length };
}

/** Waits for entries behind the one with the id that follows, for as long as it takes. */
export const readHead: CommandHead = headOf("XREAD", "BLOCK", "0", "STREAMS", streamKey(0));

/** Removes the entries before the one with the id that follows. */
export const trimHead: CommandHead = headOf("XTRIM", streamKey(0), "MINID");

/** What a device reads first: everything that waits for it. */
export function readFromStart(device: number): Uint8Array {
  return command("XREAD", "BLOCK", "0", "STREAMS", streamKey(device), "0");
}

export const pingCommand: Uint8Array = command("PING");
