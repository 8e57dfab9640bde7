/**
 * Devices that are registered, used, removed and registered again, many at a time, while everybody writes to them and the
 * node is killed. The checker is here and knows nothing of the engine: every payload says which life of which device
 * it was written for, and
 *
 *   inherited      a device heard what was written for an earlier one of its number
 *   readmitted     a token from before a removal signed in after it
 *   stayed         a removed device's connection was open five seconds after the removal was answered
 *   heard          … or brought something a second after it
 */
import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { SeededRandom } from "../demo/seeded-random.js";
import type { NodeUnderTest } from "./node-under-test.js";
import { ConnectionEnded, Stranger } from "./stranger.js";
import { mint, mintService, type World, type WorldDevice } from "./world.js";

export type Wrong = "inherited" | "readmitted" | "stayed" | "heard";

export const CODE_REVOKED = 510;
const CODE_TOKEN_REVOKED = 205;
/** The promise's own. */
const GONE_WITHIN_MS = 5_000;
/** What clocks may differ by, and a little. */
const CLOCKS_MS = 5_010;
const SENDS_PER_LIFE = 4;
const ON_ITS_WAY_MS = 1_000;

/** One life of a device. */
interface Life {
  readonly device: WorldDevice;
  readonly number: number;
  readonly token: string;
  readonly rosterVersion: number;
  connection: Stranger | undefined;
  isRemoved: boolean;
}

export class Revocations {
  readonly wrongs: Wrong[] = [];
  removals = 0;
  kills = 0;
  /** How long after the answer connections were still open. */
  readonly openMs: number[] = [];
  readonly ends = new Map<number | undefined, number>();
  readonly #node: NodeUnderTest;
  readonly #adminPort: number;
  readonly #world: World;
  readonly #random: SeededRandom;
  /** When the last removal of each was answered. */
  readonly #removedMs = new Map<WorldDevice, number>();
  readonly #lives = new Map<WorldDevice, number>();
  readonly #serviceToken: string;
  #writer: Stranger | undefined;

  constructor(options: { node: NodeUnderTest; adminPort: number; world: World; random: SeededRandom }) {
    this.#node = options.node;
    this.#adminPort = options.adminPort;
    this.#world = options.world;
    this.#random = options.random;
    this.#serviceToken = mintService(options.world.brands[0]!);
  }

  /** One round: all devices but the writer's are born, written to, and removed; the node may die meanwhile. */
  async round(isKilled: boolean): Promise<void> {
    const victims = this.#world.devices.slice(1);
    const lives = await Promise.all(victims.map((device) => this.#begin(device)));
    await this.#connectWriter();
    this.#write(lives);
    await delay(this.#random.between(0, 300));
    this.#write(lives);
    const killing = isKilled ? this.#killSoon() : undefined;
    const removing = lives.map(async (life) => {
      await delay(this.#random.between(0, 40));
      await this.#remove(life);
    });
    for (let i = 0; i < 8; i++) {
      this.#write(lives.filter((life) => !life.isRemoved));
      await delay(6);
    }
    await killing;
    await Promise.all(removing);
    await Promise.all(lives.map((life) => this.#tryOldToken(life)));
  }

  async #begin(device: WorldDevice): Promise<Life> {
    await this.#admin("PUT", this.#accountPath(device));
    const { version } = await this.#admin("PUT", this.#devicePath(device));
    const number = (this.#lives.get(device) ?? 0) + 1;
    this.#lives.set(device, number);
    const removedMs = this.#removedMs.get(device);
    // Clocks may differ: a token counts as newer than the removal when it is so by more than that.
    if (removedMs !== undefined) await delay(Math.max(0, removedMs + CLOCKS_MS - Date.now()));
    const token = mint(device, { claims: { iat: Date.now() / 1000 } });
    const life: Life = {
      ...{ device, number, token, rosterVersion: version as number },
      ...{ connection: undefined, isRemoved: false },
    };
    // Every other one stays away: it has a queue instead.
    if ((number + device.account.address[17]!) % 2 === 0) await this.#connect(life);
    return life;
  }

  async #connect(life: Life): Promise<void> {
    const label = labelOf(life);
    life.connection = await Stranger.open({
      port: this.#node.port,
      token: life.token,
      delivery: ({ payload }) => {
        if (payload.toString() !== label) this.wrongs.push("inherited");
        // What was on its way when the removal was answered may still lie in this process's socket.
        if (life.isRemoved && Date.now() > (this.#removedMs.get(life.device) ?? 0) + ON_ITS_WAY_MS)
          this.wrongs.push("heard");
      },
    });
  }

  async #connectWriter(): Promise<void> {
    if (this.#writer?.isOpen) return;
    const [device] = this.#world.devices as [WorldDevice];
    this.#writer = await Stranger.open({ port: this.#node.port, token: this.#world.token(device) });
  }

  #write(lives: readonly Life[]): void {
    if (!this.#writer?.isOpen) return;
    for (const life of lives) {
      const { account, number: device } = life.device;
      const payload = Buffer.from(labelOf(life));
      for (let i = 0; i < SENDS_PER_LIFE; i++)
        this.#writer.send(randomBytes(16), [
          { account: account.address, version: life.rosterVersion, devices: [{ device, payload }] },
        ]);
    }
  }

  async #killSoon(): Promise<void> {
    await delay(this.#random.between(0, 50));
    await this.#node.kill();
    this.kills++;
    await this.#node.start();
  }

  /** Until an answer says that it is gone: what was asked of a node that died is asked again. */
  async #remove(life: Life): Promise<void> {
    const { status } = await this.#admin("DELETE", this.#devicePath(life.device));
    if (status !== 204 && status !== 404) throw new Error(`a removal was answered with ${status}`);
    life.isRemoved = true;
    this.removals++;
    const answeredMs = Date.now();
    this.#removedMs.set(life.device, answeredMs);
    if (life.connection === undefined) return;
    const end = await Promise.race([life.connection.ended, delay(GONE_WITHIN_MS)]);
    if (end === undefined) {
      this.wrongs.push("stayed");
      life.connection.drop();
    } else {
      this.openMs.push(Date.now() - answeredMs);
      this.ends.set(end.code, (this.ends.get(end.code) ?? 0) + 1);
    }
  }

  async #tryOldToken({ token }: Life): Promise<void> {
    try {
      const stranger = await Stranger.open({ port: this.#node.port, token });
      stranger.drop();
      this.wrongs.push("readmitted");
    } catch (error) {
      if (!(error instanceof ConnectionEnded) || error.end.code !== CODE_TOKEN_REVOKED) throw error;
    }
  }

  #accountPath({ account }: WorldDevice): string {
    return `/v1/accounts/${account.address.toString("hex", 2)}`;
  }

  #devicePath(device: WorldDevice): string {
    return `${this.#accountPath(device)}/devices/${device.number}`;
  }

  /** Asks until there is an answer: the node may be down. */
  async #admin(
    method: string,
    path: string,
  ): Promise<{ readonly status: number; readonly version?: unknown }> {
    const authorization = `Bearer ${this.#serviceToken}`;
    for (;;) {
      try {
        const url = `http://127.0.0.1:${this.#adminPort}${path}`;
        const response = await fetch(url, { method, headers: { authorization } });
        const text = await response.text();
        return { status: response.status, ...(text === "" ? {} : JSON.parse(text)) };
      } catch {
        await delay(20);
      }
    }
  }
}

function labelOf({ device, number }: Life): string {
  return `${device.address} in its life ${number}`;
}
