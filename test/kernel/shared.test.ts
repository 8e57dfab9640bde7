/** Scenes of shared and group sends in the kernel, each call compared with the model. */
import { describe, expect, it } from "vitest";
import { decodeServerMessage } from "../../src/wire/server-frames.js";
import { Stage, type StageDevice } from "./stage.js";

const shared = new Uint8Array([1, 2, 3]);

function people(count: number): { stage: Stage; devices: StageDevice[] } {
  const stage = new Stage({ accounts: 256, devices: 256 });
  const devices = Array.from({ length: count }, (_, i) => stage.connect(stage.account(i + 1, [1])));
  return { stage, devices };
}

describe("a group send", () => {
  it("to many members is one part in the tail and a reference of 24 bytes in each run", () => {
    const { stage, devices } = people(50);
    const group = stage.group(
      7,
      1,
      devices.map(({ account }) => account),
    );
    const [sender] = devices as [StageDevice];
    const payload = new Uint8Array(10_000);
    const id = stage.newId();
    stage.say(sender, {
      kind: "groupSend",
      id,
      group: group.address,
      version: 1,
      shared: payload,
      blocks: [],
    });
    expect(stage.turn().sends).toHaveLength(49);
    const part = 32 + 74 + 5 + payload.length;
    expect(stage.pair.kernel.uncommittedBytes).toBe(Math.ceil(part / 8) * 8 + 49 * (64 + 24));
  });

  it("composes each member's frame anew after something else was composed in between", () => {
    const { stage, devices } = people(3);
    const [sender, first, second] = devices as [StageDevice, StageDevice, StageDevice];
    const group = stage.group(
      7,
      1,
      devices.map(({ account }) => account),
    );
    const kernel = stage.pair.kernel;
    kernel.loadGroup(group);
    const say = (id: Uint8Array): void => {
      stage.say(sender, { kind: "groupSend", id, group: group.address, version: 1, shared, blocks: [] });
    };
    kernel.goLagging(second.slot);
    say(stage.newId());
    kernel.tick(1, 1);
    kernel.clearInbox();
    kernel.clearSends();
    kernel.setCursor(second.slot, kernel.last(second.slot));
    expect(kernel.goLive(second.slot)).toBe(true);
    say(stage.newId());
    kernel.tick(1, 1);
    const sequenceOf = (bytes: Uint8Array): number =>
      ([...decodeServerMessage(bytes.slice())][0] as { sequence: number }).sequence;
    expect(kernel.sendCount).toBe(2);
    expect(sequenceOf(kernel.sendBytes(0))).toBe(kernel.last(first.slot));
    // The first message's frames, with another shared part's number, now lie where the second's did.
    kernel.setCursor(first.slot, 0);
    expect(kernel.tailSpans(first.slot, 1, 1)).toHaveLength(1);
    const [frame] = [...decodeServerMessage(kernel.sendBytes(1).slice())];
    expect(frame).toMatchObject({ kind: "groupDeliver", sequence: kernel.last(second.slot), shared });
    expect(kernel.brokenRegion()).toBe(0);
  });
});
