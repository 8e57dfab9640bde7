/**
 * What a measured payload says about itself, little endian:
 *
 *   0 u32 target   4 u32 sender   8 u32 counter   12 u32 stamp   16 … filler
 *
 * `counter` counts from 1 per pair of sender and target and never restarts, so
 * the receiver knows exactly what it has missed or seen twice. `stamp` is the
 * intended time of sending in microseconds, modulo 2^32 (process/clock.ts). The
 * bare relay routes by `target`; for Interline the payload is opaque.
 */
export const TARGET_OFFSET = 0;
export const SENDER_OFFSET = 4;
export const COUNTER_OFFSET = 8;
export const STAMP_OFFSET = 12;
export const PAYLOAD_BYTES_MIN = 16;

/** Bytes that do not compress, the same in every run. */
export function fillPayload(payload: Uint8Array): void {
  let state = 0x9e3779b9;
  for (let i = PAYLOAD_BYTES_MIN; i < payload.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    payload[i] = state >>> 24;
  }
}
