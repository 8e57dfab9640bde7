/** The literal messages of test/vectors, read by the kernel: what a client may send, and what comes of it. */
import { describe, expect, it } from "vitest";
import { fromHex } from "../../src/base/bytes.js";
import { limits } from "../../src/rules/limits.js";
import { decodeClientFrame } from "../../src/wire/client-frames.js";
import { codes } from "../../src/wire/codes.js";
import type { AccountRecord } from "../model/residents.js";
import { clientVectors, vectorBytes } from "../wire/vectors.js";
import { Stage, type StageDevice } from "./stage.js";

const OWN_ACCOUNT = `0001${"11".repeat(16)}`;
const SEND_KINDS = ["send", "sharedSend", "groupSend", "ownSend"];
const CONTROL_KINDS = ["ephemeral", "groupEphemeral", "ping", "rosterQuery", "request"];

interface VectorFrame {
  readonly kind: string;
  readonly sequence?: number;
  readonly group?: string;
  /** Of an own send. */
  readonly device?: number;
  readonly version?: number;
  readonly blocks?: readonly { readonly account: string; readonly device: number }[];
  readonly accounts?: readonly {
    readonly account: string;
    readonly version: number;
    readonly devices: readonly { readonly device: number }[];
  }[];
}

/** A node that knows the accounts of these frames just as the frames have them, and the sender, device 1. */
function stageFor(frames: readonly VectorFrame[]): { stage: Stage; sender: StageDevice } {
  const stage = new Stage({ brands: [1, 2] });
  stage.pair.setCrossing(0, 1, "open");
  const listed = frames.flatMap(({ kind, accounts }) => (SEND_KINDS.includes(kind) ? (accounts ?? []) : []));
  const own = listed.find(({ account }) => account === OWN_ACCOUNT);
  const record = (account: string, version: number, numbers: readonly number[]): AccountRecord => ({
    address: fromHex(account) as Uint8Array,
    version,
    devices: numbers.map((number) => ({ number, ordinal: number })),
  });
  for (const { account, version, devices } of listed) {
    const numbers = devices.map(({ device }) => device);
    stage.pair.load(record(account, version, account === OWN_ACCOUNT ? [1, ...numbers] : numbers));
  }
  for (const { group, version = 0, blocks = [] } of frames) {
    if (group === undefined) continue;
    // A group of the sender and of those that blocks are for.
    const numbers = new Map<string, number[]>();
    for (const { account, device } of blocks) numbers.set(account, [...(numbers.get(account) ?? []), device]);
    for (const [account, devices] of numbers) stage.pair.load(record(account, 1, devices));
    const members = [OWN_ACCOUNT, ...numbers.keys()].map((account) => fromHex(account) as Uint8Array);
    stage.pair.loadGroup({ address: fromHex(group) as Uint8Array, version, members });
  }
  const ownNumbers = own?.devices.map(({ device }) => device) ?? [];
  for (const { device } of frames) if (device !== undefined) ownNumbers.push(device);
  const sender = stage.connect(record(OWN_ACCOUNT, own?.version ?? 1, [1, ...ownNumbers]));
  // Whatever an ack of the vectors names was sent before.
  stage.pair.setCursor(sender.slot, Number.MAX_SAFE_INTEGER);
  return { stage, sender };
}

const { good, refused, bad } = clientVectors().messages;

describe("the kernel reads the protocol's vectors", () => {
  it.each(good)("good: $name", (vector) => {
    const frames = vector.frames as VectorFrame[];
    const { stage, sender } = stageFor(frames);
    stage.sayBytes(sender, vectorBytes(vector));
    const { outcomes } = stage.turn();
    const controls = frames.filter(({ kind }) => CONTROL_KINDS.includes(kind)).length;
    expect(outcomes.map(({ code }) => code)).toEqual(new Array(controls).fill(0));
    expect(stage.pair.kernel.isConnected(sender.slot)).toBe(true);
    const counters = stage.pair.kernel.counters();
    expect(counters.sendsAccepted).toBe(frames.filter(({ kind }) => SEND_KINDS.includes(kind)).length);
    const acks = frames.filter(({ kind }) => kind === "ack").map(({ sequence }) => sequence);
    expect(stage.pair.kernel.floor(sender.slot)).toBe(Math.max(0, ...acks.map(Number)));
  });

  it.each(refused)("refused: $name", (vector) => {
    const { stage, sender } = stageFor([]);
    stage.sayBytes(sender, vectorBytes(vector));
    const { outcomes } = stage.turn();
    expect(outcomes.map(({ code }) => code)).toEqual([codes[vector.code as keyof typeof codes].code]);
    expect(stage.pair.kernel.isConnected(sender.slot)).toBe(true);
  });

  it.each(bad)("bad: $name", (vector) => {
    const { stage, sender } = stageFor([]);
    const bytes = vectorBytes(vector);
    stage.sayBytes(sender, bytes);
    const { outcomes } = stage.turn();
    const last = outcomes.at(-1);
    // What a control frame holds is the host's to judge.
    if (last?.code === 0) {
      expect(() => decodeClientFrame(bytes, 0, limits)).toThrow(
        expect.objectContaining({ code: vector.code }),
      );
    } else {
      expect(last?.code).toBe(codes[vector.code as keyof typeof codes].code);
      expect(stage.pair.kernel.isConnected(sender.slot)).toBe(false);
    }
  });
});
