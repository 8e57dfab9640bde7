import { describe, expect, it } from "vitest";
import { Contestant } from "../../bench/measure/contestant.js";
import type { System } from "../../bench/systems/system.js";

describe("a contestant", () => {
  it("that cannot be set up leaves no server behind", async () => {
    const ended: string[] = [];
    const system: System = {
      name: "unwilling",
      durability: "none",
      guarantee: "nothing",
      start: async () => ({
        port: 1,
        pid: 0,
        dialectFor: () => Promise.reject(new Error("nobody may sign in")),
        snapshot: () => Promise.reject(new Error("not asked for")),
        stop: async () => {},
        kill: async () => {
          ended.push("killed");
        },
      }),
    };
    const options = {
      cores: { server: undefined, generator: undefined, warning: undefined },
      directory: "/nowhere",
      devices: 1,
      payloadBytes: 16,
      seed: 1,
      unreceiptedPerDeviceMax: 1,
    };
    await expect(Contestant.start(system, options)).rejects.toThrow("nobody may sign in");
    expect(ended).toEqual(["killed"]);
  });
});
