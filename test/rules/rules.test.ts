import { describe, expect, it } from "vitest";
import { deviceAddress } from "../../src/base/address.js";
import { mayCross } from "../../src/rules/brands.js";
import { rosterDifference } from "../../src/rules/rosters.js";

const address = (brand: number, account: number, device: number) =>
  deviceAddress({ brand, account: new Uint8Array(16).fill(account), device });

const roster = (brand: number, account: number, version: number, ...numbers: number[]) => ({
  address: address(brand, account, 1).slice(0, 18),
  version,
  devices: numbers.map((number) => ({ number })),
});

describe("which brands may meet", () => {
  it.each([
    ["open", "a", "b", true],
    [[], "a", "b", false],
    [[], "a", "a", true],
    [[{ from: "a", to: "b" }], "a", "b", true],
    [[{ from: "a", to: "b" }], "b", "a", false],
  ] as const)("%j lets %s reach %s: %s", (crossing, from, to, expected) => {
    expect(mayCross(crossing, from, to)).toBe(expected);
  });
});

describe("how a send's list differs from a roster", () => {
  const sender = address(1, 1, 1);
  it.each([
    ["nothing differs", roster(2, 2, 3, 1, 2), { version: 3, devices: [1, 2] }, undefined],
    ["order does not matter", roster(2, 2, 3, 1, 2), { version: 3, devices: [2, 1] }, undefined],
    [
      "a device is missing",
      roster(2, 2, 3, 1, 2),
      { version: 3, devices: [1] },
      { missing: [2], surplus: [] },
    ],
    ["a device is gone", roster(2, 2, 3, 1), { version: 3, devices: [1, 2] }, { missing: [], surplus: [2] }],
    ["the version is old", roster(2, 2, 3, 1), { version: 2, devices: [1] }, { missing: [], surplus: [] }],
    ["nobody ever signed in", roster(2, 2, 0), { version: 0, devices: [] }, undefined],
    ["own devices but the sending one", roster(1, 1, 2, 1, 2), { version: 2, devices: [2] }, undefined],
    [
      "own other device left out",
      roster(1, 1, 2, 1, 2),
      { version: 0, devices: [] },
      { missing: [2], surplus: [] },
    ],
    ["own version wrong", roster(1, 1, 1, 1), { version: 0, devices: [] }, { missing: [], surplus: [] }],
    [
      "the same account of another brand is not own",
      roster(2, 1, 1, 1),
      { version: 1, devices: [] },
      { missing: [1], surplus: [] },
    ],
  ])("%s", (_name, listed, send, expected) => {
    const difference = rosterDifference(listed, sender, send);
    if (expected === undefined) expect(difference).toBeUndefined();
    else expect(difference).toMatchObject({ ...expected, version: listed.version });
  });
});
