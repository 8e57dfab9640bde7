/**
 * A random world around a kernel and its model (lockstep.ts): devices that connect, send, ack, misbehave, are
 * replaced and go; and a host that does what src/path does — load accounts, catch devices up from their queues and
 * the tail, collect receipts, seal, commit, spill — with every delay that a real disk and real sockets may have.
 */
import { limits } from "../../src/rules/limits.js";
import { decodeClientFrame, groupOfSend } from "../../src/wire/client-frames.js";
import { textOf } from "./dedup-window.js";
import { Deliveries, type Stream } from "./deliveries.js";
import { Disk, type Moment } from "./disk.js";
import { damage, FrameBuilder } from "./frames.js";
import { type Batch, type Build, Difference, Lockstep } from "./lockstep.js";
import { deviceAddress, People } from "./people.js";
import type { Random } from "./random.js";
import type { Crossing } from "./send-rules.js";
import { shapeOf, type WorldShape } from "./shapes.js";

const BAD_FRAME = 101;
const POSITION_AHEAD = 602;
const ROSTER_STALE = 301;
const GROUP_STALE = 311;
const FLOOD_FRAMES = 4200;

interface Link {
  readonly slot: number;
  readonly number: number;
  readonly device: Uint8Array;
  readonly stream: Stream;
}

export class World {
  readonly pair: Lockstep;
  private readonly people: People;
  private readonly deliveries = new Deliveries();
  private readonly disk: Disk;
  /** Connections by slot. */
  private readonly links = new Map<number, Link>();
  private lastConnection = 0;
  private audiences = 0;
  private moment: Moment;
  private isDiskLow = false;

  constructor(
    private readonly random: Random,
    build: Build,
    private readonly shape: WorldShape = shapeOf(random),
  ) {
    const { brands } = shape.sizes;
    // The kernel keeps 32 bits of the monotonic time, which reads like a date.
    const monotonicMs = random.pick([1000, 400 * 2 ** 32 + 2 ** 31 - 500, 401 * 2 ** 32 - 500]);
    this.moment = { wallMs: 1_700_000_000_000, monotonicMs };
    const firstPart = random.pick([1, 2 ** 32 - 20, 2 ** 45]);
    this.pair = new Lockstep(shape.sizes, random.between(1, 2000), build, firstPart);
    this.people = new People(random, {
      accounts: shape.accountsInAll,
      familiar: shape.connections,
      brands,
      groups: shape.groupsInAll,
    });
    this.disk = new Disk(this.pair, this.deliveries);
    this.pair.model.gather.onEntry = (device, sequence, frame) =>
      this.deliveries.add(device.address, { sequence, frame });
    for (let from = 0; from < brands.length; from++) {
      for (let to = 0; to < brands.length; to++) this.cross(from, to);
    }
  }

  private cross(from: number, to: number): void {
    const state: Crossing = this.random.chance(0.03) ? this.random.pick(["closed", "full"]) : "open";
    this.pair.setCrossing(from, to, state);
  }

  /** One turn of the host with all that came before it. */
  step(): void {
    const { random, pair, shape } = this;
    this.passTime();
    this.changeRules();
    if (this.links.size < shape.connections / 2) this.connect(this.people.device());
    for (let i = random.weighted(shape.changes); i > 0; i--) this.changeConnections();
    for (let i = random.below(shape.messagesPerTurn); i > 0; i--) this.sendMessage();
    this.turn();
    if (random.chance(shape.catchUpChance)) this.catchUp();
    if (random.chance(0.7)) this.tellReceipts();
    this.sealOrCommit();
    this.scanOrRelease();
    if (random.chance(0.02))
      pair.dedup(this.people.dedupKeys(random.between(1, 80)), this.moment.monotonicMs);
    pair.compareState(this.moment.monotonicMs);
    pair.findDevice(this.people.device());
    this.askAudience();
  }

  /** Of one connection after the other, in one group after the other: what it sees does not depend on chance. */
  private askAudience(): void {
    const turn = ++this.audiences;
    const links = [...this.links.values()];
    const link = links[turn % links.length];
    const { address } = this.people.groupAt(turn);
    if (link !== undefined) this.pair.audience(address, link.slot, turn % 3 === 0 ? 2 : 20);
  }

  private passTime(): void {
    const ms = this.random.chance(0.002) ? this.random.below(100_000) : this.random.below(8);
    // The wall clock is set now and then, by up to three quarters of an hour, on or back.
    const minutes = this.random.chance(0.01) ? this.random.below(50) : 0;
    const stepMs = (minutes % 2 === 0 ? minutes : -minutes) * 60_000;
    const { wallMs, monotonicMs } = this.moment;
    this.moment = { wallMs: wallMs + ms + stepMs, monotonicMs: monotonicMs + ms };
  }

  private changeRules(): void {
    const { random, pair } = this;
    if (random.chance(this.isDiskLow ? 0.3 : 0.005)) {
      this.isDiskLow = !this.isDiskLow;
      pair.setDiskLow(this.isDiskLow);
    }
    const brands = this.shape.sizes.brands.length;
    if (random.chance(0.02)) this.cross(random.below(brands), random.below(brands));
    if (random.chance(0.02)) {
      const { before, after } = this.people.register();
      if (random.chance(0.7)) pair.load(after);
      // Two sign-ins at once may hand their records over in the wrong order.
      if (random.chance(0.2)) pair.load(before);
    }
    if (random.chance(0.02)) this.removeDevice();
    if (random.chance(0.05)) {
      const { before, after } = this.people.changeGroup();
      if (random.chance(0.7)) pair.loadGroup(after);
      if (random.chance(0.2)) pair.loadGroup(before);
    }
    if (random.chance(0.05)) pair.openGroup(this.people.anyGroup().address);
  }

  private removeDevice(): void {
    const removed = this.people.remove();
    if (removed === undefined) return;
    const { device, after } = removed;
    const slot = this.pair.findDevice(device);
    const link = slot === undefined ? undefined : this.links.get(slot);
    if (link !== undefined) this.forget(link);
    this.pair.load(after);
    const isAnew = after.devices.some(
      ({ number }) => textOf(deviceAddress(after.address, number)) === textOf(device),
    );
    if (this.pair.findDevice(device) !== undefined && !isAnew)
      throw new Difference("a removed device is found");
    this.pair.note(link === undefined ? "device removed" : "connected device removed");
    this.disk.noteRemoval(device, this.pair.sequenceCeiling());
  }

  // Connections.

  private changeConnections(): void {
    const { random } = this;
    const links = [...this.links.values()];
    if (links.length < this.shape.connections && random.chance(0.8)) this.connect(this.people.device());
    else if (links.length > 0) this.leave(random.pick(links));
  }

  private leave(link: Link): void {
    const { random, pair } = this;
    const how = random.weighted([
      [15, "late"],
      [20, "blocked"],
      [25, "replaced"],
      [40, "gone"],
    ]);
    pair.note(`connection ${how}`);
    if (how === "late") pair.detach(link.slot, link.number - 1);
    else if (how === "blocked") pair.goLagging(link.slot);
    else if (how === "replaced") this.connect(link.device);
    else this.close(link);
  }

  private close(link: Link): void {
    this.forget(link);
    this.pair.detach(link.slot, link.number);
  }

  private forget(link: Link): void {
    this.disk.noteFloor(link.device, this.pair.kernel.floor(link.slot));
    if (this.links.get(link.slot) === link) this.links.delete(link.slot);
  }

  private connect(device: Uint8Array): Link | undefined {
    const { random, pair, disk } = this;
    if (!pair.load(this.people.record(device.subarray(0, 18)))) return undefined;
    const slot = pair.findDevice(device);
    if (slot === undefined)
      throw new Difference("a device is not resident right after its account was loaded");
    const number = ++this.lastConnection;
    const wanted = {
      floor: this.wantedFloor(device, pair.kernel.last(slot)),
      windowEntries: random.pick([1, 5, 20, 100, 200]),
      windowBytes: random.pick([1, 2000, 20_000, 100_000, 200_000]),
    };
    if (!pair.attach(slot, number, wanted)) return undefined;
    const older = this.links.get(slot);
    if (older !== undefined) this.forget(older);
    const floor = pair.kernel.floor(slot);
    disk.noteFloor(device, floor);
    pair.setQueued(slot, disk.queue(device).length > 0);
    const link = { slot, number, device, stream: this.deliveries.begin(device, floor) };
    this.links.set(slot, link);
    return link;
  }

  /** What the store knows the device to have acked, or more that the device says it has, or too much. */
  private wantedFloor(device: Uint8Array, last: number): number {
    const { random } = this;
    const known = this.disk.floor(device);
    if (random.chance(0.02)) return last + random.between(1, 3);
    return random.chance(0.1) ? Math.max(known, last - random.below(4)) : known;
  }

  // Messages.

  private sendMessage(): void {
    const { random, pair } = this;
    if (this.links.size === 0) return;
    const link = random.pick([...this.links.values()]);
    const frames = new FrameBuilder(random);
    const isFlood = random.chance(this.shape.floodChance);
    const count = random.weighted([
      [50, 1],
      [30, random.between(2, 5)],
      [1, 0],
      [5, this.shape.framesPerMessage],
    ]);
    for (let i = 0; i < count && !isFlood; i++) this.writeFrame(frames, link);
    for (let i = 0; i < FLOOD_FRAMES && isFlood; i++) frames.ping(random.below(100));
    const whole = frames.take();
    const message = random.chance(0.008) ? damage(random, whole) : whole;
    const number = random.chance(0.01) ? link.number - 1 : link.number;
    if (!pair.push(link.slot, number, message)) {
      pair.note("inbox full");
      this.turn();
      if (!pair.push(link.slot, number, message)) return;
    }
    pair.operations += isFlood ? FLOOD_FRAMES : count;
  }

  private writeFrame(frames: FrameBuilder, link: Link): void {
    const { random } = this;
    const kind = random.weighted([
      [450, "send"],
      [100, "shared"],
      [150, "group"],
      [60, "own"],
      [250, "ack"],
      [30, "ping"],
      [30, "control"],
      [1, "value"],
      [1, "bytes"],
    ]);
    if (kind === "send") this.people.writeSend(frames, link.device);
    else if (kind === "shared") this.people.writeSharedSend(frames, link.device);
    else if (kind === "group") this.people.writeGroupSend(frames, link.device);
    else if (kind === "own") this.people.writeOwnSend(frames, link.device);
    else if (kind === "ack") frames.ack(this.ackSequence(link));
    else if (kind === "ping") frames.ping(random.below(1000));
    else if (kind === "control" && random.chance(0.2)) frames.control();
    else if (kind === "control") frames.array(3).uint(6).uint(random.below(300)).bin(random.bytes(18));
    else if (kind === "value") frames.value(0);
    else frames.raw(random.bytes(random.below(30)));
  }

  /** Mostly up to the cursor, or part of the way; now and then an old one, and rarely more than was sent. */
  private ackSequence(link: Link): number {
    const { random, pair } = this;
    const floor = pair.kernel.floor(link.slot);
    const cursor = pair.kernel.cursor(link.slot);
    return random.weighted([
      [50, cursor],
      [40, floor + random.below(Math.min(1000, cursor - floor) + 1)],
      [5, Math.max(0, floor - random.below(3))],
      [0.3, cursor + random.between(1, 2)],
      [0.3, random.pick([0, 2 ** 53 - 1, 2 ** 63])],
    ]);
  }

  private turn(): void {
    this.pair.turn(this.moment, {
      account: (address) => this.people.record(address),
      group: (address) => this.people.group(address),
      beforeSends: () => {
        if (this.random.chance(0.5)) this.sealOrCommit();
      },
      take: (batch) => this.takeBatch(batch),
    });
    for (const { device, slot } of this.links.values()) {
      this.disk.noteFloor(device, this.pair.kernel.floor(slot));
    }
  }

  private takeBatch(batch: Batch): void {
    const { random, pair } = this;
    this.deliver(batch.sends);
    for (const { slot, code, frame } of batch.outcomes) {
      // The host decodes such a send to say what is missing: it must find nothing else wrong with it.
      if (code === ROSTER_STALE) decodeClientFrame(frame, 0, limits);
      if (code === GROUP_STALE) groupOfSend(frame);
      const link = this.links.get(slot);
      if (link !== undefined && (code === BAD_FRAME || code === POSITION_AHEAD)) this.forget(link);
    }
    // A socket that is full, or gone, shows when it is given something.
    if (this.links.size === 0 || random.chance(0.9)) return;
    const link = random.pick([...this.links.values()]);
    if (random.chance(0.5)) pair.goLagging(link.slot);
    else if (random.chance(0.2)) this.close(link);
  }

  private deliver(sends: readonly { readonly slot: number; readonly bytes: Uint8Array }[]): void {
    for (const { slot, bytes } of sends) {
      const link = this.links.get(slot);
      if (link === undefined)
        throw new Difference(`something is sent to slot ${slot}, which has no connection`);
      link.stream.take(bytes);
    }
  }

  // What the host does after a turn.

  private catchUp(): void {
    const { pair, disk } = this;
    for (const slot of pair.takeAttention()) {
      const device = pair.model.residents.bySlot[slot]?.address;
      if (device === undefined) throw new Difference("a slot that wants attention was given up");
      if (pair.isQueued(slot) && disk.queue(device).length === 0) pair.setQueued(slot, false);
    }
    for (const link of [...this.links.values()]) if (this.random.chance(0.85)) this.advance(link);
  }

  private advance(link: Link): void {
    const { random, pair } = this;
    for (let round = random.between(1, 4); round > 0 && !pair.kernel.isLive(link.slot); round--) {
      if (pair.isQueued(link.slot) && this.sendQueued(link)) continue;
      if (this.sendTail(link)) continue;
      if (random.chance(0.5))
        pair.setWindow(link.slot, random.pick([1, 5, 20, 100]), random.between(1, 60_000));
      pair.goLive(link.slot);
    }
  }

  private sendQueued(link: Link): boolean {
    const { random, pair } = this;
    const cursor = pair.kernel.cursor(link.slot);
    const waiting = this.disk.queue(link.device).filter(({ sequence }) => sequence > cursor);
    const part = waiting.slice(0, random.between(1, 20));
    for (const { sequence, frame } of part) {
      link.stream.take(frame);
      pair.setCursor(link.slot, sequence);
    }
    return part.length > 0;
  }

  private sendTail(link: Link): boolean {
    const { random, pair } = this;
    const bytesMax = random.pick([1, 500, 5000, 200_000, 200_000]);
    const spans = pair.tailSpans(link.slot, bytesMax, random.pick([0, 1, 3, 1000, 1000]));
    const taken = spans.slice(0, random.between(1, 70));
    for (const { frames, last } of taken) {
      link.stream.take(frames);
      pair.setCursor(link.slot, last);
    }
    return taken.length > 0;
  }

  private tellReceipts(): void {
    const { random, pair } = this;
    const holdMs = random.pick([0, 0, 5, 20]);
    this.deliver(pair.collectReceipts(this.moment.monotonicMs, holdMs, random.pick([1, 3, 256])));
  }

  private sealOrCommit(): void {
    const { random, disk, pair } = this;
    if (disk.isCommitting) {
      if (random.chance(this.shape.commitChance)) disk.commit(this.moment);
    } else if (random.chance(0.6)) {
      const links = [...this.links.values()];
      const positions = new Map(links.map(({ stream, slot }) => [stream, pair.model.device(slot).position]));
      disk.seal(this.moment, positions);
    }
  }

  private scanOrRelease(): void {
    const { random, pair, disk, shape } = this;
    const isTailFull = pair.kernel.tailUsed > shape.sizes.tailBytes * shape.spillAt;
    if (disk.isSpilling) {
      if (random.chance(shape.spillChance)) disk.release();
    } else if (isTailFull || random.chance(shape.spillChance)) disk.scan(random.pick([1, 20, 500, 100_000]));
  }

  /**
   * The end: everybody leaves, everything is committed and spilled, and then each device comes back and must get,
   * after what it had acked, all that was ever laid out for it.
   */
  finish(): void {
    const { pair, disk } = this;
    this.turn();
    const { receiptsRidden, receiptsSent, accountsEvicted } = pair.kernel.counters();
    if (receiptsRidden > 0) pair.note("receipt rode along");
    if (receiptsSent > 0) pair.note("receipt sent alone");
    if (accountsEvicted > 0) pair.note("account given up");
    for (const link of [...this.links.values()]) this.close(link);
    disk.settle(this.moment);
    pair.takeAttention();
    while (pair.kernel.dueReceipts > 0) pair.collectReceipts(this.moment.monotonicMs, 0, 256);
    for (const device of this.deliveries.devices) this.receiveRest(device);
    pair.compareState(this.moment.monotonicMs);
    for (const { address, devices } of this.people.accounts) {
      for (const { number } of devices) pair.findDevice(deviceAddress(address, number));
    }
  }

  private receiveRest(device: Uint8Array): void {
    const link = this.connect(device);
    if (link === undefined) return;
    while (!this.pair.kernel.isLive(link.slot)) {
      if (!this.sendQueued(link)) this.pair.goLive(link.slot);
    }
    if (!link.stream.isComplete) throw new Difference("an entry never reached its device");
    this.close(link);
    this.disk.settle(this.moment);
    this.pair.takeAttention();
  }
}
