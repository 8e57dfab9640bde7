/**
 * What the client and a node promise together, as one suite for every way a
 * device can reach a node. It needs a way to make clients and nothing else.
 */
import { randomBytes } from "node:crypto";
import { afterEach, describe, expect, test } from "vitest";
import { formatAddress } from "../../src/base/address.js";
import type { Client, ClientOptions, Envelope, SendRequest } from "../../src/client/client.js";
import type { DeviceName } from "../../src/index.js";
import { limits } from "../../src/rules/limits.js";

export interface ContractNode {
  /** A client for a device, not connected yet. */
  client(name: DeviceName, options?: Partial<ClientOptions>): Client;
}

const brandNumbers: Readonly<Record<string, number>> = { whatsapp: 1, instagram: 2, messenger: 3 };

/** An account that no other test has. */
export function freshAccount(brand: keyof typeof brandNumbers): {
  brand: string;
  account: string;
  text: string;
} {
  const account = randomBytes(16).toString("hex");
  return { brand: brand as string, account, text: `${brandNumbers[brand]}/${account}` };
}

export function payloadOf(number: number): Uint8Array {
  return Uint8Array.of(number >> 8, number & 0xff);
}

export function numberOf({ payload }: { readonly payload: Uint8Array }): number {
  return ((payload[0] as number) << 8) | (payload[1] as number);
}

/** A send to every device that the node lists now. */
export async function requestTo(client: Client, account: string, payload: Uint8Array): Promise<SendRequest> {
  const { version, devices } = await client.roster(account);
  return { to: [{ account, version, devices: devices.map((device) => ({ device, payload })) }] };
}

/** Collects what comes in, and waits for a count. */
export class Taken {
  readonly envelopes: Envelope[] = [];
  #wake: (() => void) | undefined;

  constructor(client: Client) {
    client.on("envelope", (envelope) => {
      this.envelopes.push(envelope);
      this.#wake?.();
    });
  }

  get numbers(): number[] {
    return this.envelopes.map(numberOf);
  }

  async count(count: number): Promise<Envelope[]> {
    while (this.envelopes.length < count) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.envelopes;
  }
}

export function describeContract(way: string, node: () => ContractNode): void {
  describe(`a device attached by ${way}`, () => {
    const clients: Client[] = [];
    afterEach(async () => {
      await Promise.all(clients.splice(0).map((client) => client.close()));
    });

    function client(name: DeviceName, options?: Partial<ClientOptions>): Client {
      const made = node().client(name, options);
      clients.push(made);
      return made;
    }

    async function connected(name: DeviceName, options?: Partial<ClientOptions>): Promise<Client> {
      const made = client(name, options);
      const live = made.once("live");
      await made.connect();
      await live;
      return made;
    }

    test("is welcomed with its own address, the limits, and becomes live", async () => {
      const { brand, account } = freshAccount("whatsapp");
      const alice = client({ brand, account, device: 258 });
      const live = alice.once("live");
      const welcome = await alice.connect();
      expect(Buffer.from(welcome.device).toString("hex")).toBe(`0001${account}0102`);
      expect(welcome).toMatchObject({ durability: "disk", payloadBytesMax: 98_304, position: 0 });
      expect(Math.abs(welcome.serverTimeMs - Date.now())).toBeLessThan(60_000);
      await live;
      expect(alice.state).toBe("live");
    });

    test("sends to a device of another brand, gets a receipt that says disk, and the other takes it", async () => {
      const [from, to] = [freshAccount("whatsapp"), freshAccount("instagram")];
      const alice = await connected({ ...from, device: 1 });
      const bob = await connected({ ...to, device: 7 });
      const taken = new Taken(bob);
      const receipt = await alice.send(await requestTo(alice, to.text, payloadOf(7)));
      expect(receipt.durability).toBe("disk");
      const [envelope] = await taken.count(1);
      expect(Buffer.from(envelope?.sender ?? []).toString("hex")).toBe(`0001${from.account}0001`);
      expect(envelope?.id).toEqual(receipt.id);
      expect(envelope?.payload).toEqual(payloadOf(7));
      expect(envelope?.payload.constructor).toBe(Uint8Array);
    });

    test("has many sends in flight: all are receipted, all come once and in order", async () => {
      const [from, to] = [freshAccount("whatsapp"), freshAccount("messenger")];
      const bob = await connected({ ...to, device: 1 });
      const alice = await connected({ ...from, device: 1 });
      const taken = new Taken(bob);
      const request = await requestTo(alice, to.text, new Uint8Array(0));
      const numbers = Array.from({ length: 3_000 }, (_, i) => i);
      const sends = numbers.map((number) =>
        alice.send({
          to: request.to.map((entry) => ({ ...entry, devices: [{ device: 1, payload: payloadOf(number) }] })),
        }),
      );
      await Promise.all(sends);
      await taken.count(numbers.length);
      expect(taken.numbers).toEqual(numbers);
    });

    test("takes payloads of up to payloadBytesMax, and is refused one byte more without losing its connection", async () => {
      const [from, to] = [freshAccount("whatsapp"), freshAccount("instagram")];
      const bob = await connected({ ...to, device: 1 });
      const alice = await connected({ ...from, device: 1 });
      const taken = new Taken(bob);
      const { payloadBytesMax } = await alice.connect();
      await alice.send(await requestTo(alice, to.text, new Uint8Array(payloadBytesMax).fill(3)));
      const [envelope] = await taken.count(1);
      expect(envelope?.payload.every((byte) => byte === 3)).toBe(true);
      await expect(
        alice.send(await requestTo(alice, to.text, new Uint8Array(payloadBytesMax + 1))),
      ).rejects.toMatchObject({ code: "payloadTooLarge" });
      expect(alice.state).toBe("live");
    });

    test("is told which devices it left out, and may send again under the same id", async () => {
      const [from, to] = [freshAccount("whatsapp"), freshAccount("instagram")];
      const bobs = [await connected({ ...to, device: 1 }), await connected({ ...to, device: 2 })];
      const takens = bobs.map((bob) => new Taken(bob));
      const alice = await connected({ ...from, device: 1 });
      const id = randomBytes(16);
      const error = await alice
        .send({ id, to: [{ account: to.text, version: 1, devices: [{ device: 9, payload: payloadOf(1) }] }] })
        .catch((reason: unknown) => reason);
      expect(error).toMatchObject({
        code: "rosterStale",
        number: 301,
        detail: { rosters: [{ version: 2, missing: [1, 2], surplus: [9] }] },
      });
      const receipt = await alice.send({ ...(await requestTo(alice, to.text, payloadOf(2))), id });
      expect(Buffer.compare(receipt.id, id)).toBe(0);
      for (const taken of takens) expect((await taken.count(1)).map(numberOf)).toEqual([2]);
    });

    test("must cover its own other devices", async () => {
      const [from, to] = [freshAccount("whatsapp"), freshAccount("instagram")];
      await connected({ ...to, device: 1 });
      const alice = await connected({ ...from, device: 1 });
      const other = await connected({ ...from, device: 2 });
      const request = await requestTo(alice, to.text, payloadOf(1));
      await expect(alice.send(request)).rejects.toMatchObject({
        code: "rosterStale",
        detail: { rosters: [{ version: 2, missing: [2], surplus: [] }] },
      });
      const taken = new Taken(other);
      const own = { account: from.text, version: 2, devices: [{ device: 2, payload: payloadOf(5) }] };
      await alice.send({ to: [...request.to, own] });
      expect((await taken.count(1)).map(numberOf)).toEqual([5]);
    });

    test("gets a receipt for a repeated send, which is not delivered again", async () => {
      const [from, to] = [freshAccount("whatsapp"), freshAccount("instagram")];
      const bob = await connected({ ...to, device: 1 });
      const alice = await connected({ ...from, device: 1 });
      const taken = new Taken(bob);
      const id = randomBytes(16);
      const request = await requestTo(alice, to.text, payloadOf(1));
      await Promise.all([alice.send({ ...request, id }), alice.send({ ...request, id })]);
      await alice.send({ ...request, id });
      await alice.send(await requestTo(alice, to.text, payloadOf(2)));
      await taken.count(2);
      expect(taken.numbers).toEqual([1, 2]);
    });

    test("finds what came while it was away, in order, before the live marker", async () => {
      const [from, to] = [freshAccount("whatsapp"), freshAccount("instagram")];
      const alice = await connected({ ...from, device: 1 });
      const first = await connected({ ...to, device: 1 });
      await first.close();
      const numbers = Array.from({ length: 601 }, (_, i) => i);
      const sends: Promise<unknown>[] = [];
      const request = await requestTo(alice, to.text, payloadOf(0));
      for (const number of numbers) {
        const devices = [{ device: 1, payload: payloadOf(number) }];
        sends.push(alice.send({ to: request.to.map((entry) => ({ ...entry, devices })) }));
      }
      await Promise.all(sends);
      const second = client({ ...to, device: 1 }, { windowEntries: 50 });
      const taken = new Taken(second);
      const atLive = second.once("live").then(() => taken.numbers.length);
      await second.connect();
      expect(await atLive).toBe(601);
      expect(taken.numbers).toEqual(numbers);
    });

    test("gets again what it did not ack, and not what it did", async () => {
      const [from, to] = [freshAccount("whatsapp"), freshAccount("instagram")];
      const alice = await connected({ ...from, device: 1 });
      const first = await connected({ ...to, device: 1 }, { acks: "manual", ackHoldMs: 0 });
      const taken = new Taken(first);
      for (const number of [1, 2, 3]) await alice.send(await requestTo(alice, to.text, payloadOf(number)));
      const envelopes = await taken.count(3);
      envelopes[0]?.ack();
      // Its answer comes after the ack was read.
      await first.roster(to.text);
      await first.close();
      // Another program of the same device, which remembers nothing.
      const second = client({ ...to, device: 1 });
      const again = new Taken(second);
      const live = second.once("live");
      await second.connect();
      await live;
      expect(again.numbers).toEqual([2, 3]);
    });

    test("that comes a second time throws out its first connection for good", async () => {
      const { brand, account } = freshAccount("whatsapp");
      const first = await connected({ brand, account, device: 1 });
      const closed = first.once("closed");
      const second = await connected({ brand, account, device: 1 });
      expect(await closed).toMatchObject({ error: { code: "replaced" } });
      expect(first.state).toBe("closed");
      expect(second.state).toBe("live");
    });

    test("reaches connected devices of those who have agreed with a signal", async () => {
      const [from, to] = [freshAccount("whatsapp"), freshAccount("instagram")];
      const alice = await connected({ ...from, device: 1 });
      const bob = await connected({ ...to, device: 1 });
      await alice.contacts.allow(to.text, "signals");
      await bob.contacts.allow(from.text, "signals");
      const signal = bob.once("signal");
      const devices = [{ device: 1, payload: payloadOf(9) }];
      expect(alice.signal({ to: [{ account: to.text, devices }] })).toBe(true);
      expect(numberOf(await signal)).toBe(9);
    });

    test("reaches the connected members of a group with a signal, without any agreement", async () => {
      const [from, to] = [freshAccount("whatsapp"), freshAccount("instagram")];
      const alice = await connected({ ...from, device: 1 });
      const bob = await connected({ ...to, device: 1 });
      const told = bob.once("group");
      const { group } = await alice.groups.create([to.text]);
      await told;
      const signal = bob.once("signal");
      expect(alice.signal({ group, payload: payloadOf(9) })).toBe(true);
      expect([numberOf(await signal), (await signal).group]).toEqual([9, group]);
      const payload = new Uint8Array(limits.groupSignalBytesMax + 1);
      expect(() => alice.signal({ group, payload })).toThrow(
        expect.objectContaining({ code: "badArgument" }),
      );
    });

    test("learns the roster of an account, also of one that nobody has", async () => {
      const [from, to] = [freshAccount("whatsapp"), freshAccount("instagram")];
      const alice = await connected({ ...from, device: 1 });
      expect(await alice.roster(to.text)).toMatchObject({ version: 0, devices: [] });
      await connected({ ...to, device: 40_000 });
      await connected({ ...to, device: 3 });
      const { version, devices } = await alice.roster(to.text);
      expect([version, [...devices].sort((a, b) => a - b)]).toEqual([2, [3, 40_000]]);
    });

    test("asks more at once than its connection may have under way, and is answered all of it", async () => {
      const alice = await connected({ ...freshAccount("whatsapp"), device: 1 });
      const ends: unknown[] = [];
      alice.on("disconnected", (end) => ends.push(end));
      const accounts = Array.from(
        { length: 2 * limits.answersPerTurnMax },
        () => freshAccount("instagram").text,
      );
      const lists = Array.from({ length: limits.requestsBurst / 2 }, () => alice.devices.list());
      const rosters = await Promise.all(accounts.map((account) => alice.roster(account)));
      expect(rosters.map(({ account }) => formatAddress(account))).toEqual(accounts);
      expect(new Set((await Promise.all(lists)).map(({ devices }) => String(devices)))).toEqual(
        new Set(["1"]),
      );
      expect(ends).toEqual([]);
    });

    test("is refused with positionAhead when it claims more than its queue ever held", async () => {
      const { brand, account } = freshAccount("whatsapp");
      const alice = client({ brand, account, device: 1 }, { resume: { position: Number.MAX_SAFE_INTEGER } });
      await expect(alice.connect()).rejects.toMatchObject({ code: "positionAhead" });
    });

    test("that answers every envelope keeps going in both directions", async () => {
      const [a, b] = [freshAccount("whatsapp"), freshAccount("messenger")];
      const alice = await connected({ ...a, device: 1 });
      const bob = await connected({ ...b, device: 1 });
      const rounds = 200;
      const sends: Promise<unknown>[] = [];
      const finished = new Promise<void>((resolve) => {
        for (const [self, other] of [
          [alice, b.text],
          [bob, a.text],
        ] as const) {
          self.on("envelope", (envelope) => {
            const number = numberOf(envelope);
            if (number === rounds) resolve();
            else {
              const devices = [{ device: 1, payload: payloadOf(number + 1) }];
              sends.push(self.send({ to: [{ account: other, version: 1, devices }] }));
            }
          });
        }
      });
      await alice.send(await requestTo(alice, b.text, payloadOf(0)));
      await finished;
      await Promise.all(sends);
    });
  });
}
