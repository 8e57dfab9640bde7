/** Which limits a configuration may set, and within what: chosen so that the relations of limits.ts hold for every choice. */
import { assert } from "../base/assert.js";
import { limits } from "./limits.js";

const KiB = 1024;
const MiB = 1024 * KiB;

export const configurable = {
  connectionsMax: { min: 1, max: 1_000_000 },
  headConnectionsMax: { min: 1, max: 1_000_000 },
  unauthenticatedConnectionsMax: { min: 1, max: 1_000_000 },
  newcomersPerAddressMax: { min: 1, max: 1_000_000 },
  helloTimeoutMs: { min: 500, max: 8_000 },
  silenceMs: { min: 5_000, max: 3_600_000 },
  stallMs: { min: 1_000, max: 600_000 },
  drainMs: { min: 0, max: 600_000 },
  drainRetryMinMs: { min: 0, max: 10_000 },
  drainRetryMaxMs: { min: 10_000, max: 600_000 },
  windowEntriesDefault: { min: 1, max: 4_096 },
  windowBytesDefault: { min: 128 * KiB, max: 1 * MiB },
  receiptHoldMs: { min: 0, max: 1_000 },
  commitSpacingMs: { min: 0, max: 1_000 },
  commitTimeoutMs: { min: 1_000, max: 600_000 },
  spillAgeMs: { min: 100, max: 60_000 },
  queueEntriesMax: { min: 1, max: 1_000_000_000 },
  queueBytesMax: { min: 1 * MiB, max: 1024 * 1024 * MiB },
  brandQueueBytesMax: { min: 1 * MiB, max: 1024 * 1024 * 1024 * MiB },
  retentionMs: { min: 1_000, max: 3650 * 24 * 3600_000 },
  claimPairTokens: { min: 1, max: 1_000_000 },
  claimPairRefillMs: { min: 1, max: 24 * 3600_000 },
  claimTargetTokens: { min: 1, max: 1_000_000 },
  claimTargetRefillMs: { min: 1, max: 24 * 3600_000 },
  unidentifiedConnectionsMax: { min: 0, max: 1_000_000 },
  sealedRecipientMessages: { min: 2, max: 1_000_000 },
  sealedRecipientMessageRefillMs: { min: 1, max: 3_000 },
  sealedRecipientKiB: { min: 4 * KiB, max: 1024 * KiB },
  sealedRecipientKiBRefillMs: { min: 1, max: 3600_000 },
  diskFreeBytesMin: { min: 0, max: 1024 * 1024 * MiB },
  pushIntervalMs: { min: 1_000, max: 24 * 3600_000 },
} as const satisfies {
  readonly [Name in keyof typeof limits]?: { readonly min: number; readonly max: number };
};

for (const [name, { min, max }] of Object.entries(configurable)) {
  const value = limits[name as keyof typeof configurable];
  assert(min <= value && value <= max, "a default lies within what may be configured");
}
assert(
  limits.sealedConnectionMessageRefillMs * limits.sealedPairsMax >
    configurable.sealedRecipientMessageRefillMs.max,
  "a connection that makes its share of an account forgotten takes longer than the account's budget to fill",
);
assert(
  limits.messageBytesMax <=
    KiB * Math.min(limits.sealedConnectionKiB, configurable.sealedRecipientKiB.min / 2),
  "a full message fits every budget",
);
assert(
  limits.devicesPerAccountMax * (limits.payloadBytesMax + limits.blockBytesMax) <=
    (KiB * configurable.sealedRecipientKiB.min) / 2,
  "a full shared part for all devices of an account fits its budget",
);
