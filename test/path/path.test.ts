import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { limits } from "../../src/rules/limits.js";
import { codes } from "../../src/wire/codes.js";
import { encodeServerFrame } from "../../src/wire/server-frame-writer.js";
import { type Device, World } from "./harness.js";

const NOTHING = new Uint8Array(0);
/** parcel.ts */
const PARCEL_BYTES = 64 * 1024;

let world: World;
beforeEach(async () => {
  world = await World.open();
});
afterEach(() => world.remove());

describe("an accepted envelope", () => {
  it("is delivered in the same turn, before its commit, and receipted only after the flush", async () => {
    const alice = await world.device(1, 1).connect();
    const bob = await world.device(2, 2).connect();
    world.holdCommits = true;
    alice.send(1, "hello", bob);
    world.turn();
    expect(bob.connection.texts).toEqual(["hello"]);
    for (let i = 0; i < 5; i++) world.later(100).turn();
    expect(alice.connection.of("receipt")).toEqual([]);
    world.holdCommits = false;
    for (const release of world.heldCommits.splice(0)) release();
    await world.settle();
    expect(alice.connection.of("receipt")).toEqual([{ kind: "receipt", position: 1, durability: 2 }]);
  });

  it("carries sender, id, time and payload as they were", async () => {
    const alice = await world.device(1, 1).connect();
    const bob = await world.device(2, 2, 7).connect();
    alice.send(9, "x", bob);
    world.turn();
    const [frame] = bob.connection.of("deliver");
    expect(frame?.sender).toEqual(alice.address);
    expect(frame?.timeMs).toBe(world.wallMs);
    expect(frame?.id[15]).toBe(9);
  });

  it("is sent together with others for the same device in one native send", async () => {
    const alice = await world.device(1, 1).connect();
    const bob = await world.device(2, 2).connect();
    const before = bob.connection.sends;
    for (let i = 1; i <= 50; i++) alice.send(i, `m${i}`, bob);
    world.turn();
    expect(bob.connection.sends - before).toBe(1);
    expect(bob.connection.texts).toEqual(Array.from({ length: 50 }, (_, i) => `m${i + 1}`));
  });

  it("reaches every device of the account, each with its own ciphertext", async () => {
    const alice = await world.device(1, 1).connect();
    const [one, two] = [await world.device(2, 2, 1).connect(), await world.device(2, 2, 2).connect()];
    alice.send(1, "both", one, two);
    world.turn();
    expect([one.connection.texts, two.connection.texts]).toEqual([["both"], ["both"]]);
  });
});

describe("commits", () => {
  it.each([
    { turns: "short", patience: 0, spacingMs: 2 },
    { turns: "long", patience: 1, spacingMs: 20 },
  ])("keep $spacingMs ms apart while turns are $turns, the first after a pause none", async (load) => {
    await world.remove();
    world = await World.open({ limits: { commitSpacingMs: 20 } });
    const alice = await world.device(1, 1).connect();
    const bob = await world.device(2, 2).connect();
    world.patience = load.patience;
    for (let i = 0; world.kernel.uncommittedBytes > 0 || i < 3; i++) {
      world.later(100).turn();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const before = world.commits;
    alice.send(1, "a", bob);
    world.later(100).turn();
    expect(world.commits).toBe(before + 1);
    while (world.kernel.dueReceipts === 0 && alice.connection.of("receipt").length === 0) {
      await new Promise((resolve) => setImmediate(resolve));
      world.turn();
    }
    alice.send(2, "b", bob);
    world.later(load.spacingMs - 1).turn();
    expect(world.commits).toBe(before + 1);
    world.later(1).turn();
    expect(world.commits).toBe(before + 2);
  });
});

describe("receipts", () => {
  it("ride with the next frames to the sender while the loop is busy", async () => {
    const alice = await world.device(1, 1).connect();
    const bob = await world.device(2, 2).connect();
    world.patience = 1;
    alice.send(1, "a", bob);
    world.later(10).turn();
    await world.untilDue();
    world.later(1).turn();
    expect(alice.connection.of("receipt")).toEqual([]);
    const sends = alice.connection.sends;
    bob.send(1, "b", alice);
    world.later(1).turn();
    expect(alice.connection.sends - sends).toBe(1);
    expect(alice.connection.frames.slice(-2).map((frame) => frame.kind)).toEqual(["receipt", "deliver"]);
  });

  it("ride with the sends of their own turn when those wait for the flush", async () => {
    await world.remove();
    world = await World.open({ limits: { largeCommitBytes: 0, flushWaitMs: 5_000 } });
    const alice = await world.device(1, 1).connect();
    const bob = await world.device(2, 2).connect();
    await world.settle();
    world.isFlushSlow = true;
    world.patience = 1;
    alice.send(1, "a", bob);
    bob.send(1, "b", alice);
    const sends = alice.connection.sends;
    world.later(100).turn();
    expect(alice.connection.sends - sends).toBe(1);
    for (const { connection } of [alice, bob]) {
      expect(connection.frames.slice(-2).map((frame) => frame.kind)).toEqual(["receipt", "deliver"]);
    }
  });

  it("come after the refusals that they pass, also within one turn", async () => {
    await world.remove();
    world = await World.open({ limits: { largeCommitBytes: 0, flushWaitMs: 5_000 } });
    const alice = await world.device(1, 1).connect();
    const bob = await world.device(2, 2).connect();
    await world.settle();
    world.patience = 1;
    alice
      .send(1, "a", bob)
      .send(2, "stale", bob, world.device(2, 2, 9))
      .send(3, "c", bob);
    bob.send(1, "b", alice);
    const before = alice.connection.frames.length;
    world.later(100).turn();
    const kinds = alice.connection.frames.slice(before).map((frame) => frame.kind);
    expect(kinds).toEqual(["refusal", "receipt", "deliver"]);
  });

  it("leave by themselves once they have waited long enough", async () => {
    const alice = await world.device(1, 1).connect();
    const bob = await world.device(2, 2).connect();
    world.patience = 1;
    alice.send(1, "a", bob);
    world.later(10).turn();
    await world.untilDue();
    world.later(100).turn();
    expect(alice.connection.of("receipt")).toHaveLength(1);
  });

  it("of a replaced connection are not given to the one that replaced it", async () => {
    const alice = await world.device(1, 1).connect();
    const bob = await world.device(2, 2).connect();
    world.holdCommits = true;
    alice.send(1, "a", bob).send(2, "b", bob);
    world.turn();
    const older = alice.connection;
    await alice.connect();
    expect(older.ended).toBe("replaced");
    world.holdCommits = false;
    for (const release of world.heldCommits.splice(0)) release();
    await world.settle();
    expect(alice.connection.of("receipt")).toEqual([]);
    alice.send(3, "c", bob);
    await world.settle();
    expect(alice.connection.of("receipt")).toEqual([{ kind: "receipt", position: 1, durability: 2 }]);
  });

  it("stop for good when storage fails", async () => {
    const alice = await world.device(1, 1).connect();
    const bob = await world.device(2, 2).connect();
    world.holdCommits = true;
    alice.send(1, "a", bob);
    world.turn();
    world.path.fail();
    world.holdCommits = false;
    for (const release of world.heldCommits.splice(0)) release();
    for (let i = 0; i < 20; i++) {
      world.later(100).turn();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(alice.connection.of("receipt")).toEqual([]);
  });
});

describe("a repeated send", () => {
  it("is receipted again and never delivered again", async () => {
    const alice = await world.device(1, 1).connect();
    const bob = await world.device(2, 2).connect();
    alice.send(1, "once", bob).send(1, "once", bob);
    await world.settle();
    alice.send(1, "once", bob);
    await world.settle();
    expect(bob.connection.texts).toEqual(["once"]);
    expect(alice.connection.of("receipt").at(-1)?.position).toBe(3);
  });

  it("is still recognised after a restart", async () => {
    const alice = await world.device(1, 1).connect();
    const bob = await world.device(2, 2).connect();
    alice.send(1, "once", bob);
    await world.settle();
    bob.ack(bob.connection.of("deliver")[0]?.sequence ?? 0);
    await world.spillAll();
    await world.close();
    world = await World.open({ directory: world.directory });
    const [alice2, bob2] = [await world.device(1, 1).connect(), await world.device(2, 2).connect()];
    alice2.send(1, "once", bob2);
    await world.settle();
    expect(bob2.connection.texts).toEqual([]);
    expect(alice2.connection.of("receipt").at(-1)?.position).toBe(1);
  });

  it("with the same id from another device is another envelope", async () => {
    const alice = await world.device(1, 1).connect();
    const carol = await world.device(3, 1).connect();
    const bob = await world.device(2, 2).connect();
    alice.send(1, "a", bob);
    carol.send(1, "c", bob);
    world.turn();
    expect(bob.connection.texts).toEqual(["a", "c"]);
  });
});

describe("a device that was away", () => {
  /** In rows of the queue two of which do not fit one send, and in the tail in a piece that fits none. */
  async function awayWithLongTexts() {
    const alice = await world.device(1, 1).connect();
    const bob = await world.device(2, 2).connect();
    bob.leave();
    const texts = Array.from({ length: 8 }, (_, i) => String(i).padEnd(40_000, "."));
    for (const [i, text] of texts.entries()) {
      alice.send(i, text, bob);
      if (i < 4) await world.spillAll();
    }
    await world.settle();
    return { alice, bob, texts };
  }

  it("gets what is in its queue and in the tail, in order, then the live marker, then live traffic", async () => {
    const alice = await world.device(1, 1).connect();
    const bob = await world.device(2, 2).connect();
    bob.leave();
    for (let i = 0; i < 100; i++) alice.send(i, `q${i}`, bob);
    await world.spillAll();
    for (let i = 100; i < 150; i++) alice.send(i, `q${i}`, bob);
    await world.settle();
    await bob.connect();
    expect(bob.connection.texts).toEqual(Array.from({ length: 150 }, (_, i) => `q${i}`));
    expect(bob.connection.frames.at(-1)?.kind).toBe("live");
    alice.send(150, "now", bob);
    world.turn();
    expect(bob.connection.texts.at(-1)).toBe("now");
    const sequences = bob.connection.of("deliver").map((frame) => frame.sequence);
    expect(sequences).toEqual([...sequences].sort((a, b) => a - b));
  });

  it("is sent welcome, queue, tail and live marker in one native send", async () => {
    const alice = await world.device(1, 1).connect();
    const bob = await world.device(2, 2).connect();
    bob.leave();
    alice.send(1, "queued", bob);
    await world.spillAll();
    alice.send(2, "in the tail", bob);
    await world.settle();
    await bob.connect();
    expect(bob.connection.frames.map(({ kind }) => kind)).toEqual(["welcome", "deliver", "deliver", "live"]);
    expect(bob.connection.sends).toBe(1);
  });

  it("is sent what does not fit one send in several, in order and whole", async () => {
    const { bob, texts } = await awayWithLongTexts();
    await bob.connect({ windowBytes: 1 << 20 });
    expect(bob.connection.texts).toEqual(texts);
    expect(bob.connection.frames.at(-1)?.kind).toBe("live");
    // Welcome and the first row, three more rows, the tail, live.
    expect(bob.connection.sends).toBe(6);
  });

  it("gets nothing more when its socket holds the first of them back, until that has drained", async () => {
    const { alice, bob, texts } = await awayWithLongTexts();
    const connected = bob.connect({ windowBytes: 1 << 20 });
    bob.connection.results.push(0);
    await connected;
    expect(bob.connection.sends).toBe(1);
    alice.send(8, "live traffic", bob);
    world.turn();
    expect(bob.connection.sends).toBe(1);
    world.path.writable(bob.slot);
    world.turn();
    expect(bob.connection.texts).toEqual([...texts, "live traffic"]);
  });

  it("gets the live marker also when what comes before it fills one send and is held back", async () => {
    const alice = await world.device(1, 1).connect();
    const bob = world.device(2, 2);
    let greetingBytes = 0;
    const connected = bob.connect();
    bob.connection.send = (bytes) => {
      greetingBytes += bytes.length;
      return 1;
    };
    await connected;
    bob.leave();
    const frame = { sequence: 0, sender: alice.address, id: new Uint8Array(16), timeMs: 0, payload: NOTHING };
    const headBytes = encodeServerFrame({ kind: "deliver", ...frame }).length;
    const liveBytes = encodeServerFrame({ kind: "live", sequence: 0 }).length;
    // Room for a byte less than the least marker.
    alice.send(1, "x".repeat(PARCEL_BYTES - (greetingBytes - liveBytes) - headBytes - (liveBytes - 1)), bob);
    await world.settle();
    const again = bob.connect();
    bob.connection.results.push(0);
    await again;
    expect(bob.connection.frames.map(({ kind }) => kind)).toEqual(["welcome", "deliver"]);
    world.path.writable(bob.slot);
    world.turn();
    expect(bob.connection.frames.map(({ kind }) => kind)).toEqual(["welcome", "deliver", "live"]);
  });

  it("gets at most its window before it acks, and the rest as it acks", async () => {
    const alice = await world.device(1, 1).connect();
    const bob = await world.device(2, 2).connect();
    bob.leave();
    for (let i = 0; i < 40; i++) alice.send(i, `w${i}`, bob);
    await world.spillAll();
    for (let i = 40; i < 80; i++) alice.send(i, `w${i}`, bob);
    await world.settle();
    await bob.connect({ windowEntries: 10 });
    const seen: number[] = [];
    while (bob.connection.of("live").length === 0) {
      const frames = bob.connection.of("deliver");
      expect(frames.length - seen.length).toBeLessThanOrEqual(10);
      expect(frames.length).toBeGreaterThan(seen.length);
      seen.splice(0, seen.length, ...frames.map((frame) => frame.sequence));
      bob.ack(seen.at(-1) as number);
      world.turn();
    }
    expect(bob.connection.texts).toEqual(Array.from({ length: 80 }, (_, i) => `w${i}`));
  });

  it("never has more than its window in flight, whether it is live or catching up", async () => {
    const alice = await world.device(1, 1).connect();
    const bob = await world.device(2, 2).connect({ windowEntries: 20 });
    for (let i = 0; i < 100; i++) {
      alice.send(i, `v${i}`, bob);
      world.turn();
    }
    expect(bob.connection.texts).toHaveLength(20);
    for (let i = 0; i < 10; i++) {
      bob.ack(bob.connection.of("deliver").at(-1)?.sequence as number);
      world.turn();
    }
    expect(bob.connection.texts).toEqual(Array.from({ length: 100 }, (_, i) => `v${i}`));
  });

  it("never has more than its window in flight when what was queued is not acked before live traffic comes", async () => {
    const alice = await world.device(1, 1).connect();
    const bob = await world.device(2, 2).connect();
    bob.leave();
    const texts = Array.from({ length: 60 }, (_, i) => `u${i}`);
    const send = (from: number, to: number): void => {
      for (let i = from; i < to; i++) {
        alice.send(i, texts[i] as string, bob);
        world.turn();
      }
    };
    send(0, 8);
    await world.spillAll();
    send(8, 16);
    await world.settle();
    await bob.connect({ windowEntries: 20 });
    expect(bob.connection.frames.at(-1)?.kind).toBe("live");
    send(16, 40);
    expect(bob.connection.texts).toEqual(texts.slice(0, 20));
    // Half of what was queued: as much again may come, and when all of it is acked, a whole window.
    const { sequences } = bob.connection;
    bob.ack(sequences[7] as number);
    world.turn();
    expect(bob.connection.texts).toEqual(texts.slice(0, 28));
    bob.ack(bob.connection.sequences.at(-1) as number);
    world.turn();
    bob.ack(bob.connection.sequences.at(-1) as number);
    world.turn();
    send(40, 60);
    expect(bob.connection.texts).toEqual(texts);
  });

  it("never has more bytes in flight than its window, however they came", async () => {
    const alice = await world.device(1, 1).connect();
    const bob = await world.device(2, 2).connect();
    bob.leave();
    const texts = Array.from({ length: 16 }, (_, i) => String(i).padEnd(30_000, "."));
    const send = (from: number, to: number): void => {
      for (let i = from; i < to; i++) {
        alice.send(i, texts[i] as string, bob);
        world.turn();
      }
    };
    send(0, 3);
    await world.settle();
    await bob.connect({ windowBytes: 200_000 });
    expect(bob.connection.frames.at(-1)?.kind).toBe("live");
    send(3, 16);
    expect(bob.connection.texts.length).toBe(6);
    while (bob.connection.texts.length < texts.length) {
      const before = bob.connection.texts.length;
      bob.ack(bob.connection.sequences.at(-1) as number);
      world.turn();
      expect(bob.connection.texts.length).toBeGreaterThan(before);
      expect(bob.connection.texts.length - before).toBeLessThanOrEqual(6);
    }
    expect(bob.connection.texts).toEqual(texts);
  });

  it.each([
    ["entries, when it was behind", { windowEntries: 6, behind: 60, live: 0, bytes: 10 }],
    ["entries, when it was live", { windowEntries: 6, behind: 0, live: 60, bytes: 10 }],
    ["bytes, when it was behind", { windowBytes: 256 * 1024, behind: 16, live: 0, bytes: 65_000 }],
    ["bytes, when it was live", { windowBytes: 256 * 1024, behind: 0, live: 16, bytes: 65_000 }],
    ["bytes, when it was both", { windowBytes: 256 * 1024, behind: 2, live: 16, bytes: 65_000 }],
  ])("gets all while it holds its newest two unacked, counted in %s", async (_name, wanted) => {
    const alice = await world.device(1, 1).connect();
    const bob = await world.device(2, 2).connect();
    bob.leave();
    const count = wanted.behind + wanted.live;
    const texts = Array.from({ length: count }, (_, i) => `${i}`.padEnd(wanted.bytes, "."));
    for (let i = 0; i < wanted.behind; i++) alice.send(i, texts[i] as string, bob);
    await world.spillAll();
    await bob.connect(wanted);
    for (let i = wanted.behind; i < count; i++) {
      alice.send(i, texts[i] as string, bob);
      world.turn();
    }
    for (let round = 0; round < count && bob.connection.texts.length < count; round++) {
      bob.ack(bob.connection.sequences.at(-3) as number);
      world.turn();
    }
    expect(bob.connection.texts).toEqual(texts);
  });

  it("resumes behind what it has acked, across connections and restarts", async () => {
    const alice = await world.device(1, 1).connect();
    const bob = await world.device(2, 2).connect();
    for (let i = 0; i < 10; i++) alice.send(i, `r${i}`, bob);
    world.turn();
    bob.ack(bob.connection.of("deliver")[3]?.sequence as number);
    await world.settle();
    await bob.connect();
    expect(bob.connection.texts).toEqual(["r4", "r5", "r6", "r7", "r8", "r9"]);
    bob.ack(bob.connection.of("deliver")[1]?.sequence as number);
    world.turn();
    bob.leave();
    await world.spillAll();
    await world.close();
    world = await World.open({ directory: world.directory });
    const again = await world.device(2, 2).connect();
    expect(again.connection.texts).toEqual(["r6", "r7", "r8", "r9"]);
  });

  it("counts what hello says it has taken as acked", async () => {
    const alice = await world.device(1, 1).connect();
    const bob = await world.device(2, 2).connect();
    for (let i = 0; i < 4; i++) alice.send(i, `h${i}`, bob);
    world.turn();
    const second = bob.connection.of("deliver")[1]?.sequence as number;
    bob.leave();
    await bob.connect({ resume: second });
    expect(bob.connection.texts).toEqual(["h2", "h3"]);
    expect(bob.connection.of("welcome")[0]?.body.position).toBe(second);
  });

  it("is refused a position beyond what its queue ever held", async () => {
    const bob = await world.device(2, 2).connect();
    bob.leave();
    await expect(bob.connect({ resume: 2 ** 50 })).rejects.toThrow("positionAhead");
  });
});

describe("a device that reads slowly", () => {
  it("gets nothing more until its socket has drained, then all of it in order", async () => {
    const alice = await world.device(1, 1).connect();
    const bob = await world.device(2, 2).connect();
    bob.connection.results.push(0);
    alice.send(1, "s1", bob);
    world.turn();
    for (let i = 2; i <= 5; i++) {
      alice.send(i, `s${i}`, bob);
      world.turn();
    }
    expect(bob.connection.texts).toEqual(["s1"]);
    world.path.writable(bob.slot);
    world.turn();
    expect(bob.connection.texts).toEqual(["s1", "s2", "s3", "s4", "s5"]);
  });

  it("is evicted when its socket takes nothing, and finds everything in its queue", async () => {
    const alice = await world.device(1, 1).connect();
    const bob = await world.device(2, 2).connect();
    bob.connection.results.push(2);
    alice.send(1, "kept", bob);
    world.turn();
    expect(bob.connection.ended).toBe("tooSlow");
    await world.spillAll();
    await bob.connect();
    expect(bob.connection.texts).toEqual(["kept"]);
  });
});

describe("refusals", () => {
  it("list the devices that a send left out and those that are gone, and nothing is delivered", async () => {
    const alice = await world.device(1, 1).connect();
    const [one, two] = [await world.device(2, 2, 1).connect(), await world.device(2, 2, 2).connect()];
    alice.send(1, "partial", one);
    world.turn();
    const [refusal] = alice.connection.of("refusal");
    expect(refusal).toMatchObject({ position: 1, code: 301 });
    expect(refusal?.detail.rosters).toMatchObject([{ version: 2, missing: [2], surplus: [] }]);
    expect([...one.connection.texts, ...two.connection.texts]).toEqual([]);
  });

  it("name the sender's own other devices when they are left out", async () => {
    const alice = await world.device(1, 1, 1).connect();
    const tablet = await world.device(1, 1, 2).connect();
    const bob = await world.device(2, 2).connect();
    alice.send(1, "no copy", bob);
    world.turn();
    expect(alice.connection.of("refusal")[0]?.detail.rosters).toMatchObject([{ missing: [2], surplus: [] }]);
    alice.send(2, "copy", bob, tablet);
    world.turn();
    expect([bob.connection.texts, tablet.connection.texts]).toEqual([["copy"], ["copy"]]);
  });

  it("do not hold up the receipts of the sends around them", async () => {
    const alice = await world.device(1, 1).connect();
    const bob = await world.device(2, 2).connect();
    alice.send(1, "a", bob);
    alice.say({
      kind: "send",
      id: new Uint8Array(16).fill(2),
      accounts: [{ account: bob.address.slice(0, 18), version: 9, devices: [] }],
    });
    alice.send(3, "c", bob);
    await world.settle();
    expect(alice.connection.of("refusal")).toMatchObject([{ position: 2, code: 301 }]);
    expect(alice.connection.of("receipt").at(-1)?.position).toBe(3);
    expect(bob.connection.texts).toEqual(["a", "c"]);
  });

  it("come for closed brands before anything of the recipient is looked at", async () => {
    world.kernel.setCrossing(0, 1, "closed");
    const alice = await world.device(1, 1).connect();
    const bob = await world.device(2, 2).connect();
    alice.send(1, "x", bob);
    alice.say({
      kind: "send",
      id: new Uint8Array(16).fill(2),
      accounts: [{ account: world.device(2, 99).address.slice(0, 18), version: 0, devices: [] }],
    });
    world.turn();
    expect(alice.connection.of("refusal").map((frame) => frame.code)).toEqual([302, 302]);
  });

  it("shed sends while the disk is low, and answer duplicates all the same", async () => {
    const alice = await world.device(1, 1).connect();
    const bob = await world.device(2, 2).connect();
    alice.send(1, "before", bob);
    await world.settle();
    world.path.setDiskLow(true);
    alice.send(1, "before", bob).send(2, "after", bob);
    await world.settle();
    expect(alice.connection.of("refusal")).toMatchObject([{ position: 3, code: 402 }]);
    world.path.setDiskLow(false);
    alice.send(2, "after", bob);
    await world.settle();
    expect(bob.connection.texts).toEqual(["before", "after"]);
  });

  it("push back on senders when too much waits for its commit, and take sends again afterwards", async () => {
    const alice = await world.device(1, 1).connect();
    const bob = await world.device(2, 2).connect();
    world.holdCommits = true;
    const text = "x".repeat(60_000);
    for (let i = 0; i < 60; i++) {
      alice.send(i, text, bob);
      world.turn();
    }
    const refused = alice.connection.of("refusal");
    expect(refused.length).toBeGreaterThan(0);
    expect(refused.every((frame) => frame.code === 401 && frame.retryAfterMs > 0)).toBe(true);
    world.holdCommits = false;
    for (const release of world.heldCommits.splice(0)) release();
    await world.settle();
    // A refusal is its send's answer: the receipt covers what was taken before it.
    expect(alice.connection.of("receipt").at(-1)?.position).toBe(60 - refused.length);
    alice.send(1_000, "again", bob);
    await world.settle();
    expect(alice.connection.of("receipt").at(-1)?.position).toBe(61);
  });

  it("are so many in one turn and no more: the connection that asks for more gets those and is ended, the others are served", async () => {
    const mallory = await world.device(3, 3).connect();
    const alice = await world.device(1, 1).connect();
    const bob = await world.device(2, 2).connect();
    const before = mallory.connection.frames.length;
    world.path.receive(mallory.slot, Buffer.alloc(300_000, Uint8Array.of(0x92, 0x05, 0x01)));
    alice.send(1, "served", bob);
    world.turn();
    expect(mallory.connection.ended).toBe("overloaded");
    // Without them a client that repeats what is unanswered would ask for the same for ever.
    expect(mallory.connection.frames.length - before).toBe(limits.answersPerTurnMax);
    expect(bob.connection.texts).toEqual(["served"]);
  });

  it("come for sends that make the host look up more accounts in one turn than one connection may", async () => {
    await world.remove();
    world = await World.open({ limits: { accountLoadsPerTurnMax: 3 } });
    const mallory = await world.device(3, 3).connect();
    const strangers = Array.from({ length: 5 }, (_, i) => world.device(1, 100 + i));
    for (const [i, stranger] of strangers.entries()) mallory.send(i, "to nobody", stranger);
    world.turn();
    const refused = () => mallory.connection.of("refusal").map(({ position, code }) => [position, code]);
    expect(refused()).toEqual([
      [1, codes.rosterStale.code],
      [2, codes.rosterStale.code],
      [3, codes.rosterStale.code],
      [4, codes.overloaded.code],
      [5, codes.overloaded.code],
    ]);
    mallory.send(9, "in the next turn", strangers[4] as Device);
    world.turn();
    expect(refused().at(-1)).toEqual([6, codes.rosterStale.code]);
  });

  it("end a connection whose bytes cannot be read, and nothing else", async () => {
    const alice = await world.device(1, 1).connect();
    const mallory = await world.device(3, 3).connect();
    const bob = await world.device(2, 2).connect();
    world.path.receive(mallory.slot, Uint8Array.of(0x93, 0x02, 0xc1));
    alice.send(1, "fine", bob);
    world.turn();
    expect(mallory.connection.ended).toBe("badFrame");
    expect(bob.connection.texts).toEqual(["fine"]);
  });
});

describe("the kernel's tables", () => {
  it("give up idle accounts when they are full, without reusing a sequence", async () => {
    const alice = await world.device(1, 1).connect();
    const bob = await world.device(2, 2).connect();
    alice.send(1, "first", bob);
    await world.settle();
    const first = bob.connection.of("deliver")[0]?.sequence as number;
    bob.ack(first).leave();
    await world.spillAll();
    for (let i = 0; i < 400; i++) {
      const stranger = world.device(3, 10);
      stranger.address[4] = i >> 8;
      stranger.address[5] = i & 0xff;
      alice.say({
        kind: "send",
        id: new Uint8Array(16).fill(i & 0xff),
        accounts: [{ account: stranger.address.slice(0, 18), version: 3, devices: [] }],
      });
      world.turn();
    }
    expect(world.kernel.counters().accountsEvicted).toBeGreaterThan(0);
    alice.send(2, "second", bob);
    await world.settle();
    await bob.connect();
    const second = bob.connection.of("deliver")[0]?.sequence as number;
    expect(second).toBeGreaterThan(first);
    expect(bob.connection.texts).toEqual(["second"]);
  });
});
