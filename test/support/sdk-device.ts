/**
 * A device served by the SDK, with an application that takes every envelope
 * exactly once: it keeps what it has done, the position and the latest ids
 * together, as a database transaction would, and gives them to the next client
 * when it has crashed. Notes in the history what it applied.
 */
import { type Client, createClient, type Transport, type TransportSocket } from "../../src/client/client.js";
import { nodeTransport } from "../../src/client/node-transport.js";
import type { Fleet } from "./fleet.js";
import { type Addressee, digestOf } from "./history.js";
import type { WorldAccount, WorldDevice } from "./world.js";

const RECENT_IDS = 4096;

export class SdkDevice {
  readonly device: WorldDevice;
  /** Envelopes handed to the application in all its lives. */
  applied = 0;
  crashes = 0;
  readonly #fleet: Fleet;
  #client: Client | undefined;
  #socket: CrashableSocket | undefined;
  #isConnected = false;
  /** What a crash leaves. */
  #position = 0;
  #recentIds: string[] = [];
  readonly #numbers = new Map<string, number>();

  constructor(fleet: Fleet, device: WorldDevice) {
    this.#fleet = fleet;
    this.device = device;
  }

  get isConnected(): boolean {
    return this.#isConnected;
  }

  /** Begins a life of the application: a client that stays connected by itself. */
  start(): void {
    const client = createClient({
      url: `ws://127.0.0.1:${this.#fleet.port}`,
      token: () => this.#fleet.world.token(this.device),
      transport: this.#transport(),
      resume: { position: this.#position, recentIds: this.#recentIds },
      acks: "manual",
      backOff: { baseMs: 10, capMs: 60 },
      queueCountMax: 1_000_000,
    });
    this.#client = client;
    client.on("envelope", (envelope) => {
      if (client !== this.#client) throw new Error("a crashed client handed an envelope over");
      const sender = Buffer.from(envelope.sender).toString("hex");
      const id = Buffer.from(envelope.id).toString("hex");
      this.applied++;
      this.#fleet.history.note({
        op: "applied",
        device: this.device.address,
        sender,
        id,
        digest: digestOf(envelope.payload),
      });
      this.#fleet.arrived(this.device.address, sender, id);
      this.#position = envelope.sequence;
      this.#recentIds.push(sender + id);
      envelope.ack();
    });
    client.on("gap", ({ sequence, count }) => {
      this.#fleet.history.note({
        op: "gap",
        device: this.device.address,
        connection: -1,
        sequence,
        count,
        reason: 0,
      });
    });
    client.on("state", (state) => {
      this.#isConnected = state === "live" || state === "catchingUp";
    });
    void client.connect();
  }

  /** The application is gone between two steps, with every ack that had not left; a new life begins at once. */
  crash(): void {
    this.crashes++;
    this.#abandon();
    this.#recentIds = this.#recentIds.slice(-RECENT_IDS);
    this.start();
  }

  /** The connection is lost; the client is told. */
  cut(): void {
    this.#socket?.tear();
  }

  /** A send through the SDK, noted with its answer. */
  send(to: WorldAccount, payloadBytes: number): void {
    const addressees: Addressee[] = [];
    const devices = to.devices.map((device) => {
      const number = (this.#numbers.get(device.address) ?? 0) + 1;
      this.#numbers.set(device.address, number);
      const payload = this.#fleet.payload(payloadBytes);
      addressees.push({ device: device.address, number, digest: digestOf(payload) });
      return { device: device.number, payload };
    });
    const id = this.#fleet.payload(0).subarray(-16);
    const idText = id.toString("hex");
    this.#fleet.sent(this.device.address, idText, addressees);
    const device = this.device.address;
    this.#client
      ?.send({ to: [{ account: to.address, version: this.#fleet.rosterVersion(to), devices }], id })
      .then(
        () => this.#fleet.history.note({ op: "receipted", device, id: idText, durability: 2 }),
        (error: { code?: string }) => {
          if (error.code !== "clientClosed") {
            this.#fleet.history.note({ op: "refused", device, id: idText, code: 0 });
          }
        },
      );
  }

  get unreceiptedCount(): number {
    return this.#client?.unreceiptedCount ?? 0;
  }

  async end(): Promise<void> {
    await this.#client?.close();
  }

  #abandon(): void {
    const client = this.#client;
    this.#client = undefined;
    this.#socket?.tear();
    void client?.close();
  }

  #transport(): Transport {
    const inner = nodeTransport();
    return {
      connect: (url, subprotocol) => {
        this.#socket = new CrashableSocket(inner.connect(url, subprotocol));
        return this.#socket;
      },
    };
  }
}

/** A socket that can be torn: after a crash nothing passes in either direction. */
class CrashableSocket implements TransportSocket {
  onopen: TransportSocket["onopen"];
  onmessage: TransportSocket["onmessage"];
  onclose: TransportSocket["onclose"];
  readonly #inner: TransportSocket;
  #isTorn = false;

  constructor(inner: TransportSocket) {
    this.#inner = inner;
    inner.onopen = () => {
      if (!this.#isTorn) this.onopen?.();
    };
    inner.onmessage = (bytes) => {
      if (!this.#isTorn) this.onmessage?.(bytes);
    };
    inner.onclose = (code, reason) => this.onclose?.(code, reason);
  }

  get bufferedAmount(): number {
    return this.#inner.bufferedAmount;
  }

  send(bytes: Uint8Array): void {
    if (!this.#isTorn) this.#inner.send(bytes);
  }

  close(code: number, reason: string): void {
    this.#inner.close(code, reason);
  }

  tear(): void {
    this.#isTorn = true;
    this.#inner.close(1000, "");
  }
}
