/**
 * Devices that upload keys and claim each other's, all at once, at a node that
 * is killed again and again: at random moments, and in the moment after an
 * answer. Every other claim is made over a connection that speaks for nobody, with
 * the delivery token of the device's account. What they saw is for claim-judge.ts.
 *
 * Devices upload the same keys again after a kill, more often than not, and half
 * of the old ones with new ones: most have been handed out by then.
 */
import { createHash, randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { checkDirectory } from "../../src/store/store.js";
import type { SeededRandom } from "../demo/seeded-random.js";
import type { ClaimEvent, NotedKey } from "./claim-judge.js";
import { NodeUnderTest } from "./node-under-test.js";
import { scanOutput } from "./output-scan.js";
import { tell } from "./scale.js";
import { Stranger } from "./stranger.js";
import { array, bin, map, text, uint, type Value } from "./stranger-codec.js";
import { mintAnonymous, World, type WorldDevice } from "./world.js";

export interface ClaimLoopOptions {
  readonly random: SeededRandom;
  readonly claims: number;
  readonly kills: number;
  readonly devices: number;
  readonly build?: string;
  /** Asked after each kill: ends the loop early. */
  readonly isEnough?: (events: readonly ClaimEvent[]) => boolean;
}

/** No limit but the promise under test stands in the way. */
const OPEN_LIMITS = {
  claimPairTokens: 1_000_000,
  claimPairRefillMs: 1,
  claimTargetTokens: 1_000_000,
  claimTargetRefillMs: 1,
  keyUploadTokens: 1_000_000,
  keyUploadRefillMs: 1,
  sealedClaimTokens: 1_000_000,
  sealedClaimRefillMs: 1,
  requestsPerSecond: 1_000_000,
  requestsBurst: 1_000_000,
};

const KEYS_LOOKED_FOR = 500;
const STUCK_MS = 120_000;
const CLAIMS_IN_FLIGHT = 8;
const KEYS_PER_UPLOAD = 100;
/** The other keys of an upload were uploaded before, and most of them handed out. */
const NEW_KEYS_PER_UPLOAD = 60;
const ONE_TIME_KINDS = ["preKey", "kyberPreKey"] as const;

export async function claimLoop(options: ClaimLoopOptions): Promise<readonly ClaimEvent[]> {
  const { random, claims, kills, build } = options;
  const world = new World({
    brands: 2,
    accountsPerBrand: options.devices / 4,
    devices: () => 2,
  });
  const node = await NodeUnderTest.create({
    world,
    limits: OPEN_LIMITS,
    ...(build !== undefined && { build }),
  });
  const events: ClaimEvent[] = [];
  const crowd = new Crowd(world, node, events, random);
  try {
    for (let kill = 0; kill < kills; kill++) {
      await node.start();
      await crowd.connect();
      const due = Math.ceil((claims * (kill + 1)) / (kills + 1));
      await crowd.claimUntil(due);
      // Half of the kills come right behind an answer, the others somewhere in what follows.
      await delay(kill % 2 === 0 ? 0 : random.between(1, 40));
      await node.kill();
      events.push({ op: "killed" });
      crowd.disconnected();
      if (options.isEnough?.(events)) return events;
    }
    await node.start();
    await crowd.connect();
    await crowd.claimUntil(claims);
    await crowd.settle();
    await crowd.askWhatIsStored();
    crowd.disconnected();
    await node.stop();
    const { findings } = await checkDirectory(node.dataDirectory);
    for (const { detail } of findings) events.push({ op: "found", detail });
    scanOutput(node, world);
    if (isAnyIn(node.output, events))
      events.push({ op: "found", detail: "key bytes in what the node wrote" });
    tell(`${crowd.uploads} uploads, ${crowd.claims} claims answered over ${crowd.seconds} s of load`);
    return events;
  } finally {
    await node.discard();
  }
}

function isAnyIn(output: string, events: readonly ClaimEvent[]): boolean {
  const claimed = events.flatMap((event) => (event.op === "claimed" ? [event.key.bytes] : []));
  const looked = claimed.slice(-KEYS_LOOKED_FOR);
  return looked.some(
    (bytes) => output.includes(bytes.toString("hex")) || output.includes(bytes.toString("base64")),
  );
}

/** All devices; each has keys of its own and claims those of random others. */
class Crowd {
  claims = 0;
  uploads = 0;
  readonly #node: NodeUnderTest;
  readonly #events: ClaimEvent[];
  readonly #members: Member[];
  #loadMs = 0;
  #due = 0;
  #reached = (): void => {};

  constructor(world: World, node: NodeUnderTest, events: ClaimEvent[], random: SeededRandom) {
    this.#node = node;
    this.#events = events;
    this.#members = world.devices.map((device) => {
      return new Member({
        device,
        token: world.token(device),
        anonymousToken: mintAnonymous(device.account.brand),
        crowd: this,
        pick: () => random.pick(world.devices).address,
        mayRepeat: () => random.fraction() < 0.6,
      });
    });
  }

  get seconds(): string {
    return (this.#loadMs / 1000).toFixed(1);
  }

  note(event: ClaimEvent): void {
    this.#events.push(event);
  }

  async connect(): Promise<void> {
    await Promise.all(this.#members.map((member) => member.connect(this.#node.port)));
  }

  /** Everybody claims, and uploads when its keys run low, until so many claims have been answered. */
  async claimUntil(count: number): Promise<void> {
    const startedMs = performance.now();
    this.#due = count;
    const reached = new Promise<void>((resolve, reject) => {
      const tooLate = setTimeout(
        () => reject(new Error(`${this.claims} of ${count} claims answered`)),
        STUCK_MS,
      );
      this.#reached = () => {
        clearTimeout(tooLate);
        resolve();
      };
    });
    for (const member of this.#members) member.begin();
    if (this.claims >= count) this.#reached();
    await reached;
    this.#loadMs += performance.now() - startedMs;
  }

  claimed(): void {
    this.claims++;
    if (this.claims === this.#due) this.#reached();
  }

  /** Nobody asks any more, and every answer has come. */
  async settle(): Promise<void> {
    await Promise.all(this.#members.map((member) => member.settle()));
  }

  disconnected(): void {
    for (const member of this.#members) member.drop();
  }

  async askWhatIsStored(): Promise<void> {
    for (const member of this.#members) await member.askWhatIsStored();
  }
}

interface MemberParts {
  readonly device: WorldDevice;
  readonly token: string;
  readonly anonymousToken: string;
  readonly crowd: Crowd;
  /** Whose keys to claim next. */
  readonly pick: () => string;
  /** Whether to upload the same keys again after a kill. */
  readonly mayRepeat: () => boolean;
}

class Member {
  readonly #device: WorldDevice;
  readonly #crowd: Crowd;
  readonly #parts: MemberParts;
  #stranger: Stranger | undefined;
  /** The same person, of whom the node does not know that. */
  #nobody: Stranger | undefined;
  #claims = 0;
  /** Rises with each connection: an answer of an earlier one begins nothing. */
  #connection = 0;
  #isAsking = false;
  #isUploading = false;
  readonly #underWay = new Set<Promise<unknown>>();
  #uploads = 0;
  /** Of the keys that were uploaded last. */
  #firstId = 1;

  constructor(parts: MemberParts) {
    this.#device = parts.device;
    this.#crowd = parts.crowd;
    this.#parts = parts;
  }

  async connect(port: number): Promise<void> {
    this.#stranger = await Stranger.open({
      port,
      token: this.#parts.token,
      notice: ({ sequence, payload }) => {
        this.#stranger?.ack(sequence);
        if (payload.includes("lowKeys")) this.#uploadMore();
      },
    });
    this.#nobody = await Stranger.open({ port, token: this.#parts.anonymousToken });
    this.#connection++;
    if (this.#uploads === 0) {
      const token = bin(deliveryTokenOf(this.#device.address));
      await this.#ask("deliveryToken.set", map({ token }));
    }
    // What nobody answered before the kill may or may not be stored.
    if (this.#uploads === 0 || this.#isUploading || this.#parts.mayRepeat()) await this.#upload();
  }

  begin(): void {
    if (this.#isAsking) return;
    this.#isAsking = true;
    for (let i = 0; i < CLAIMS_IN_FLIGHT; i++) void this.#claim(this.#connection);
  }

  async settle(): Promise<void> {
    this.#isAsking = false;
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }

  drop(): void {
    this.#isAsking = false;
    this.#connection++;
    this.#underWay.clear();
    this.#stranger?.drop();
    this.#nobody?.drop();
  }

  #uploadMore(): void {
    if (!this.#isAsking || this.#isUploading) return;
    this.#firstId += NEW_KEYS_PER_UPLOAD;
    void this.#upload();
  }

  async #upload(): Promise<void> {
    this.#isUploading = true;
    this.#uploads++;
    const first = this.#firstId;
    const ids = Array.from({ length: KEYS_PER_UPLOAD }, (_, i) => first + i);
    const lists = [
      ...ONE_TIME_KINDS.map((kind) => [kind, ids] as const),
      ...["identity", "signedPreKey", "lastResortKyber"].map((kind) => [kind, [1]] as const),
    ];
    const body: Record<string, Buffer> = {};
    for (const [kind, listed] of lists) {
      const keys = listed.map((id) => this.#key(kind, id));
      this.#crowd.note({ op: "uploading", device: this.#device.address, kind, keys });
      body[kind] = array(keys.map(({ id, bytes }) => map({ id: uint(id), key: bin(bytes) })));
    }
    const answer = await this.#ask("keys.upload", map(body));
    if (answer.code === 0) this.#crowd.uploads++;
    else
      this.#crowd.note({ op: "refused", by: this.#device.address, what: "keys.upload", code: answer.code });
    this.#isUploading = false;
  }

  #key(kind: string, id: number): NotedKey {
    return {
      id,
      bytes: createHash("sha256").update(`${SALT} ${this.#device.address} ${kind} ${id}`).digest(),
    };
  }

  async #claim(connection: number): Promise<void> {
    while (this.#isAsking && this.#connection === connection) {
      const device = this.#parts.pick();
      const body = { device: bin(Buffer.from(device, "hex")), suite: text("signal") };
      const deliveryToken = bin(deliveryTokenOf(device));
      const isNamed = this.#claims++ % 2 === 0;
      const answer = isNamed
        ? await this.#ask("keys.claim", map(body))
        : await this.#ask("keys.claim", map({ ...body, deliveryToken }), this.#nobody);
      if (answer.code === 0) this.#noteKeys(device, answer.body);
      else
        this.#crowd.note({ op: "refused", by: this.#device.address, what: "keys.claim", code: answer.code });
      this.#crowd.claimed();
    }
  }

  #noteKeys(device: string, body: Map<string, Value>): void {
    for (const [kind, value] of body) {
      const fields = value as Map<string, Value>;
      const key = { id: fields.get("id") as number, bytes: Buffer.from(fields.get("key") as Buffer) };
      this.#crowd.note({ op: "claimed", by: this.#device.address, device, kind, key });
    }
  }

  async askWhatIsStored(): Promise<void> {
    const { body } = await this.#ask("keys.digest", map({}));
    for (const kind of ONE_TIME_KINDS) {
      const fields = body.get(kind) as Map<string, Value>;
      this.#crowd.note({
        op: "stored",
        device: this.#device.address,
        kind,
        count: fields.get("count") as number,
        claimedThrough: fields.get("claimedThrough") as number,
        digest: (fields.get("digest") as Buffer).toString("hex"),
      });
    }
  }

  #ask(method: string, body: Buffer, stranger = this.#stranger): ReturnType<Stranger["request"]> {
    if (stranger === undefined) throw new Error("the device is not connected");
    const answer = stranger.request(method, body);
    this.#underWay.add(answer);
    void answer.then(() => this.#underWay.delete(answer));
    return answer;
  }
}

/** Of the device's account; its devices set the same. */
const deliveryTokenOf = (device: string) =>
  createHash("md5").update(SALT).update(device.slice(0, 36)).digest();

/** Keys are of this run alone. */
const SALT = randomBytes(8).toString("hex");
