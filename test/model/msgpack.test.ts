import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FrameBuilder } from "./frames.js";
import { Lockstep } from "./lockstep.js";
import { chosenSeed, Random } from "./random.js";

const noGroup = (address: Uint8Array) => ({ address, version: 0, members: [] });
const account = { address: new Uint8Array([0, 1, ...new Uint8Array(16)]), version: 1 };

/** One connected device, which reads whatever it is given. */
function connected(build: "release" | "debug"): { pair: Lockstep; send: (message: Uint8Array) => void } {
  const sizes = {
    inboxBytes: 128 * 1024,
    tailBytes: 64 * 1024,
    accounts: 8,
    devices: 8,
    dedupKeys: 64,
    dedupMs: 1000,
    uncommittedBytes: 32 * 1024,
    groups: 1,
    groupMembers: 1,
    brands: [1],
  };
  const pair = new Lockstep(sizes, 1, build);
  pair.load({ ...account, devices: [{ number: 1, ordinal: 1 }] });
  let connection = 0;
  const send = (message: Uint8Array): void => {
    pair.attach(0, ++connection, { floor: 0, windowEntries: 10, windowBytes: 10_000 });
    pair.push(0, connection, message);
    pair.turn(
      { wallMs: 1, monotonicMs: 1 },
      {
        account: (address) => ({ address, version: 0, devices: [] }),
        group: noGroup,
        take: () => {},
      },
    );
    pair.takeAttention();
    pair.compareState(1);
  };
  return { pair, send };
}

describe.each(["release", "debug"] as const)("the reader of frames (%s)", (build) => {
  it("steps over the same bytes as its model, whatever a control frame holds", () => {
    const { pair, send } = connected(build);
    const random = new Random(chosenSeed());
    for (let i = 0; i < 5000; i++) {
      const frames = new FrameBuilder(random);
      frames.control().ping(i);
      send(frames.take());
    }
    expect(pair.happened.get("code 0")).toBeGreaterThan(1000);
    expect(pair.happened.get("code 101")).toBeGreaterThan(100);
  });

  it("takes and refuses the same bytes as its model, whatever they are", () => {
    const { send } = connected(build);
    fc.assert(
      fc.property(
        fc.constantFrom([], [0x92, 5], [0x92, 3], [0x93, 2], [0x93, 2, 0xc4, 16], [0x92, 4, 0x91]),
        fc.uint8Array({ maxLength: 60 }),
        (head, rest) => send(new Uint8Array([...head, ...rest])),
      ),
      { seed: chosenSeed(), numRuns: 3000 },
    );
  });

  it("takes eight levels of arrays and of maps, and not nine", () => {
    const { pair, send } = connected(build);
    const nested = (head: readonly number[], depth: number): number[] =>
      depth === 0 ? [0] : [...head, ...nested(head, depth - 1)];
    for (const head of [[0x91], [0xdc, 0, 1], [0x81, 0], [0xde, 0, 1, 0]]) {
      const ended = (): number => pair.happened.get("code 101") ?? 0;
      const before = ended();
      send(new Uint8Array([0x92, 5, ...nested(head, 7)]));
      expect(ended()).toBe(before);
      send(new Uint8Array([0x92, 5, ...nested(head, 8)]));
      expect(ended()).toBe(before + 1);
    }
  });

  it("takes every width of every number and length", () => {
    const { pair, send } = connected(build);
    const kinds = [[5], [0xcc, 5], [0xcd, 0, 5], [0xce, 0, 0, 0, 5], [0xcf, 0, 0, 0, 0, 0, 0, 0, 5]];
    for (const kind of kinds) {
      send(new Uint8Array([0x92, ...kind, 7]));
      send(new Uint8Array([0xdc, 0, 2, ...kind, 7]));
    }
    expect(pair.happened.get("code 0")).toBe(2 * kinds.length);
    // 2^32 + 5 is not 5.
    send(new Uint8Array([0x92, 0xcf, 0, 0, 0, 1, 0, 0, 0, 5, 7]));
    expect(pair.happened.get("code 101")).toBe(1);
  });
});
