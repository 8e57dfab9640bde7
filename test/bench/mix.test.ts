import { describe, expect, it } from "vitest";
import { Mix, MixedSchedule, type MixOptions } from "../../bench/generator/mix.js";
import { workloads } from "../../bench/workloads/workloads.js";

const { devices, churningDevices, groups, sizes, seed } = workloads.mixed.full;
const options: MixOptions = { devices, senders: devices - churningDevices, seed, kinds: groups, sizes };
const mix = new Mix(options);
const ARRIVALS = 100_000;

function arrivals(of: Mix, count = ARRIVALS) {
  const schedule = new MixedSchedule(of);
  return Array.from({ length: count }, () => {
    schedule.next();
    return { gap: schedule.gap, sender: schedule.sender, target: schedule.target };
  });
}

describe("the mix", () => {
  it("is 70 % direct, 25 % to groups of 5 to 50, 5 % to groups of 1,000", () => {
    const sizeOf = ({ target }: { target: number }) => mix.groups[target - devices]?.length ?? 1;
    const all = arrivals(mix).map(sizeOf);
    const share = (isSo: (size: number) => boolean) => all.filter(isSo).length / ARRIVALS;
    expect(share((size) => size === 1)).toBeCloseTo(0.7, 2);
    expect(share((size) => size >= 5 && size <= 50)).toBeCloseTo(0.25, 2);
    expect(share((size) => size === 1000)).toBeCloseTo(0.05, 2);
    const deliveries = all.reduce((sum, size) => sum + Math.max(1, size - 1), 0) / ARRIVALS;
    expect(deliveries / mix.deliveriesPerSend).toBeCloseTo(1, 1);
  });

  it("sends from devices that stay, and to a group from one of its members", () => {
    const members = mix.groups.map((group) => new Set(group));
    for (const { sender, target } of arrivals(mix, 10_000)) {
      expect(sender).toBeLessThan(options.senders);
      if (target >= devices) expect(members[target - devices]!.has(sender)).toBe(true);
      else expect(target).not.toBe(sender);
    }
    expect(arrivals(mix, 10_000).some(({ target }) => target >= options.senders && target < devices)).toBe(
      true,
    );
  });

  it("has gaps of one on average", () => {
    expect(arrivals(mix).reduce((sum, { gap }) => sum + gap, 0) / ARRIVALS).toBeCloseTo(1, 1);
  });

  it("has sizes with the median asked for and a tail to the greatest", () => {
    const drawn = Array.from({ length: ARRIVALS }, (_, at) => mix.sizeOf(at % 1600, 1 + (at >> 4)));
    drawn.sort((a, b) => a - b);
    expect(drawn[ARRIVALS / 2]! / 300).toBeCloseTo(1, 1);
    expect(drawn[0.99 * ARRIVALS]).toBeGreaterThan(8_000);
    expect(drawn.at(-1)).toBe(65_536);
    expect(drawn.reduce((sum, size) => sum + size, 0) / ARRIVALS / mix.meanBytes).toBeCloseTo(1, 1);
  });

  it("is named by a hash of all that is sent", () => {
    const hashOf = (change: Partial<MixOptions>) => new Mix({ ...options, ...change }).hash();
    expect(hashOf({})).toBe(mix.hash());
    const others = [
      { seed: 2 },
      { senders: 1500 },
      { sizes: { ...sizes, sigma: 1.4 } },
      { kinds: groups.slice(1) },
    ];
    expect(new Set([mix.hash(), ...others.map(hashOf)]).size).toBe(5);
  });

  it("says what is wrong with a workload's numbers", () => {
    const made = (change: Partial<MixOptions>) => () => new Mix({ ...options, ...change });
    expect(
      made({
        kinds: [
          { ...groups[0]!, share: 0.7 },
          { ...groups[1]!, share: 0.7 },
        ],
      }),
    ).toThrow("more than all");
    expect(made({ devices: 900, senders: 800 })).toThrow("1000 to 1000 of 900 devices");
    expect(made({ senders: 1 })).toThrow("at least two");
    expect(made({ sizes: { ...sizes, bytesMax: 200 } })).toThrow("below the median");
  });
});
