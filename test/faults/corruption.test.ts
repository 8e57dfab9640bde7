/**
 * A8: a damaged record is detected and reported, never delivered, and never
 * stops the rest.
 */
import { expect, test } from "vitest";
import type { SeededRandom } from "../demo/seeded-random.js";
import { type DamagedRow, damageFile, damageRows, flipBits } from "../support/damage.js";
import { Fleet } from "../support/fleet.js";
import { changeJournal } from "../support/journal-file.js";
import { describeFaults, judge } from "../support/judge.js";
import { buildMutant } from "../support/mutant.js";
import { NodeUnderTest } from "../support/node-under-test.js";
import { scanOutput } from "../support/output-scan.js";
import { amount, seededRandom, tell } from "../support/scale.js";
import { until, untilOrStill } from "../support/until.js";
import { World } from "../support/world.js";

/** One damage per so many rows; nothing else can be told of a row whose neighbours are bad too. */
const ROWS_PER_DAMAGE = 3;
const ROUNDS = amount({ short: 40, full: 400 });
const RECEIVERS = 8;
const SENDERS = 4;
/** Where the entries begin in a row of a queue; before that is its header. */
const HEADER_BYTES = 48;
const CORRUPT = 3;
const ID_PATTERN = /Id:[A-Za-z0-9]{13}/g;

/** A node with senders that are connected, and receivers that are not. */
class Scene {
  readonly fleet: Fleet;
  readonly node: NodeUnderTest;
  readonly world: World;
  readonly #connecting: Promise<void>;

  static async open(random: SeededRandom, limits: Record<string, number>, build?: string): Promise<Scene> {
    const world = new World({ brands: 1, accountsPerBrand: SENDERS + RECEIVERS, devices: () => 1 });
    const node = await NodeUnderTest.create({ world, limits, ...(build === undefined ? {} : { build }) });
    await node.start();
    const fleet = new Fleet({ world, port: node.port, random });
    await fleet.register();
    return new Scene(world, node, fleet);
  }

  private constructor(world: World, node: NodeUnderTest, fleet: Fleet) {
    this.world = world;
    this.node = node;
    this.fleet = fleet;
    for (const actor of fleet.actors.slice(0, SENDERS)) actor.isWanted = true;
    this.#connecting = fleet.keepConnected();
  }

  /** Some entries for every receiver, all of them receipted. */
  async fill(perReceiver: number): Promise<void> {
    const { fleet, world } = this;
    await until("the senders are there", () =>
      fleet.actors.slice(0, SENDERS).every((actor) => actor.isConnected),
    );
    for (const account of world.accounts.slice(SENDERS)) {
      for (let i = 0; i < perReceiver; i++) {
        const sender = fleet.actors[fleet.random.between(0, SENDERS - 1)];
        sender?.send([account], fleet.random.between(200, 900));
      }
    }
    await until("the receipts", () => fleet.unansweredCount === 0);
  }

  /** Many rows in every queue: what is spilled at once is one row, but small rows are merged. */
  async fillRows(rounds: number, perReceiver: number): Promise<void> {
    for (let round = 0; round < rounds; round++) {
      await this.fill(perReceiver);
      await until("the journal is spilled", async () => (await this.node.stats()).store.journalBlocks === 0);
    }
  }

  async stop(how: "kill" | "stop"): Promise<void> {
    this.fleet.hold();
    if (how === "kill") await this.node.kill();
    else await this.node.stop();
    await this.fleet.silence();
    this.fleet.history.note({ op: "killed", how });
  }

  /** Starts again, has everything delivered that comes, and judges. */
  async verdict(stillMs: number) {
    await this.node.start();
    this.fleet.resume();
    this.fleet.wantAll();
    await untilOrStill(
      () => this.fleet.actors.every((actor) => actor.isLive),
      () => 0,
      5 * stillMs,
    );
    await this.fleet.drain(stillMs);
    return judge(this.fleet.history.events, { gaps: "accounted" });
  }

  async close(): Promise<void> {
    this.fleet.release();
    await this.#connecting;
    await this.node.discard();
  }
}

/** Rows that have whole neighbours of their own queue on both sides. */
function lonelyRows(rows: readonly DamagedRow[], random: SeededRandom): DamagedRow[] {
  const queueOf = (row: DamagedRow | undefined) => row?.key.toString("hex", 0, 22);
  const inner = rows.filter((row, i) => {
    return queueOf(row) === queueOf(rows[i - 1]) && queueOf(row) === queueOf(rows[i + 1]);
  });
  const offset = random.between(0, ROWS_PER_DAMAGE - 1);
  return inner.filter((row) => rows.indexOf(row) % ROWS_PER_DAMAGE === offset);
}

/** Fills the queues, one row per receiver and round, and damages a third of the rows. */
async function damagedQueues(random: SeededRandom, rounds: number, build?: string) {
  const scene = await Scene.open(random, { spillAgeMs: 40 }, build);
  try {
    await scene.fillRows(rounds, 20);
    await scene.stop("stop");
    const damaged = await damageRows(
      scene.node.dataDirectory,
      "queues",
      (rows) => lonelyRows(rows, random),
      ({ value }) => {
        const draw = random.fraction();
        if (draw < 0.25) return flipBits(value, random, 0, HEADER_BYTES);
        if (draw < 0.35) return value.subarray(0, random.between(HEADER_BYTES + 1, value.length - 1));
        return flipBits(value, random, HEADER_BYTES);
      },
    );
    const verdict = await scene.verdict(build === undefined ? 2_000 : 1_000);
    if (build === undefined) scanOutput(scene.node, scene.world, scene.fleet.history);
    const reports = scene.node.events.filter(({ event }) => event === "corrupted").length;
    const gaps = scene.fleet.history.events.filter((event) => event.op === "gap" && event.reason === CORRUPT);
    return { damaged: damaged.length, reports, gaps: gaps.length, verdict };
  } finally {
    await scene.close();
  }
}

test("damaged rows of queues come as gaps that count what is lost; everything else is delivered", async () => {
  const { damaged, reports, gaps, verdict } = await damagedQueues(seededRandom("damaged queues"), ROUNDS);
  tell(
    `${damaged} damaged rows, ${gaps} gaps, ${reports} reports; ${verdict.receipted} receipted, ` +
      `${verdict.delivered} delivered, ${verdict.removed} accounted for as corrupt`,
  );
  expect(damaged).toBeGreaterThan(ROUNDS);
  expect(describeFaults(verdict)).toBe("");
  expect(gaps).toBe(damaged);
  expect(reports).toBeGreaterThanOrEqual(damaged);
});

test("bytes flipped in the file itself are detected, wherever they lie", async () => {
  const random = seededRandom("damaged file");
  const scene = await Scene.open(random, { spillAgeMs: 40 });
  try {
    // A damaged row takes its other entries with it: with no more rows than damages, nothing may be left.
    await scene.fillRows(5, 20);
    await scene.stop("stop");
    const sent = scene.fleet.history.events.filter((event) => event.op === "sent");
    const hit = Array.from({ length: 12 }, () => Buffer.from(random.pick(sent).id, "hex"));
    // 40 bytes on lies the payload; the sender and the time stand before it.
    const places = hit.reduce((sum, id) => sum + damageFile(scene.node.dataDirectory, id, 40), 0);
    const verdict = await scene.verdict(2_000);
    tell(
      `${hit.length} payloads hit in ${places} places: ${verdict.removed} entries accounted for as corrupt`,
    );
    expect(describeFaults(verdict)).toBe("");
    expect(verdict.removed).toBeGreaterThanOrEqual(1);
    expect(verdict.delivered).toBeGreaterThan(0);
  } finally {
    await scene.close();
  }
});

test("damaged commits in the journal are reported and left out; their neighbours count", async () => {
  const random = seededRandom("damaged journal");
  const scene = await Scene.open(random, { spillAgeMs: 60_000 });
  try {
    for (let round = 0; round < 40; round++) await scene.fill(2);
    await scene.stop("kill");
    const lost = new Set<string>();
    let damaged = 0;
    changeJournal(scene.node.dataDirectory, (blocks) => {
      // The last one, after a kill, may as well never have been finished.
      for (const { bytes } of blocks.slice(0, -1).filter((_, i) => i % 3 === 1)) {
        for (const [id] of bytes.toString("latin1").matchAll(ID_PATTERN))
          lost.add(Buffer.from(id).toString("hex"));
        flipBits(bytes, random).copy(bytes);
        damaged++;
      }
    });
    const verdict = await scene.verdict(2_000);
    const reports = scene.node.events.filter(({ event }) => event === "corrupted").length;
    tell(`${damaged} damaged commits with ${lost.size} envelopes, ${reports} reports`);
    expect(damaged).toBeGreaterThan(5);
    // Where its number is what is damaged, the block is reported, that its number is missing, and what is before the wrong one.
    expect(reports).toBeGreaterThanOrEqual(damaged);
    expect(reports).toBeLessThanOrEqual(3 * damaged);
    expect(verdict.count("misled") + verdict.count("duplicated") + verdict.count("reused")).toBe(0);
    const delivered = new Set(
      scene.fleet.history.events.filter((event) => event.op === "delivered").map((event) => event.id),
    );
    const missing = scene.fleet.history.events
      .filter((event) => event.op === "receipted" && !delivered.has(event.id))
      .map((event) => (event.op === "receipted" ? event.id : ""));
    expect(new Set(missing)).toEqual(lost);
  } finally {
    await scene.close();
  }
});

test("control: a node that believes its disk is caught delivering wrong bytes", async () => {
  const mutant = buildMutant("damageUnseen");
  try {
    const { verdict } = await damagedQueues(seededRandom("damaged queues, damageUnseen"), 8, mutant.build);
    tell(`damageUnseen: ${describeFaults(verdict).slice(0, 200)}`);
    expect(verdict.count("misled")).toBeGreaterThan(0);
  } finally {
    mutant.remove();
  }
});
