/**
 * Nothing of a sealed sender is kept, whether it sends to one account or to several, or claims keys: not the account behind it, not the token or what a refused one said, not the ids
 * it chose, not the address it came from, in journal, queues, dedup rows, logs of any level or metrics; while the node takes, repeats,
 * refuses, spills, is killed and starts again. What is searched for was all sent to the node, in one way or another.
 */
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { buildMutant } from "../support/mutant.js";
import { NodeUnderTest } from "../support/node-under-test.js";
import { tell } from "../support/scale.js";
import { sealedTraces } from "../support/sealed-traces.js";
import { type Delivery, Stranger } from "../support/stranger.js";
import { array, bin, map, text, uint } from "../support/stranger-codec.js";
import { until } from "../support/until.js";
import { mint, mintAnonymous, World, type WorldAccount, type WorldDevice } from "../support/world.js";

/** Nobody else comes from there. */
const SENDER_ADDRESS = "127.83.65.76";
const HEADER = randomBytes(12).toString("hex");
const directory = mkdtempSync(join(tmpdir(), "interline-sealed-privacy-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

interface Played {
  readonly traces: readonly string[];
  readonly missing: readonly string[];
  readonly bytesSearched: number;
  readonly receipted: number;
  readonly delivered: number;
}

async function play(name = "real", build?: string): Promise<Played> {
  const world = new World({ brands: 2, accountsPerBrand: 3, devices: () => 2 });
  // Of another brand, with another id, and never signed in: what is found of it, the sealed sends have brought.
  const [recipient, other] = world.accounts as [WorldAccount, WorldAccount];
  const sender = world.accounts.at(-1) as WorldAccount;
  const output = join(directory, name);
  mkdirSync(output);
  const node = await NodeUnderTest.create({
    world,
    limits: { spillAgeMs: 100 },
    ...(build !== undefined && { build }),
  });
  const deliveryToken = randomBytes(16);
  const otherToken = randomBytes(16);
  const ciphertext = randomBytes(64);
  const shared = randomBytes(64);
  const ids: Buffer[] = [];
  const claimCodes: number[] = [];
  const publicKey = randomBytes(33);
  const keys = array([map({ id: uint(1), key: bin(publicKey) })]);
  const tokens = [
    mintAnonymous(sender.brand),
    mintAnonymous(sender.brand, { sub: sender.address.toString("hex", 2) }),
  ] as const;
  let delivered = 0;
  let receipted = 0;
  try {
    await node.start();
    const [phone, tablet] = recipient.devices as [WorldDevice, WorldDevice];
    const open = (device: WorldDevice, sealed?: (delivery: Delivery) => void) =>
      Stranger.open({ port: node.port, token: mint(device), ...(sealed && { sealed }) });
    const first = await open(phone, () => delivered++);
    (await open(tablet)).drop();
    await first.request("deliveryToken.set", map({ token: bin(deliveryToken) }));
    // Of the other account one device alone, which is away from here on.
    const away = await open(other.devices[0] as WorldDevice);
    await away.request("keys.upload", map({ identity: keys, signedPreKey: keys, preKey: keys }));
    await away.request("deliveryToken.set", map({ token: bin(otherToken) }));
    away.drop();
    const { version } = await first.roster(recipient.address);
    const party = {
      account: recipient.address,
      version,
      devices: [1, 2].map((device) => ({ device, payload: ciphertext })),
    };
    const block = randomBytes(8);
    const parties = [
      { ...party, deliveryToken, devices: [1, 2].map((device) => ({ device, payload: block })) },
      {
        ...{ account: other.address, deliveryToken: otherToken, version: 1 },
        devices: [{ device: 1, payload: block }],
      },
    ] as const;
    // A token that names somebody is refused, and not written down.
    const from = { port: node.port, localAddress: SENDER_ADDRESS, header: `User-Agent: ${HEADER}` };
    await Stranger.open({ ...from, token: tokens[1] }).catch(() => {});
    for (let run = 0; run < 2; run++) {
      const nobody = await Stranger.open({
        ...from,
        token: tokens[0],
        receipt: (position) => {
          receipted = position;
        },
      });
      for (const token of [otherToken, randomBytes(16)]) {
        const device = bin(Buffer.from((other.devices[0] as WorldDevice).address, "hex"));
        const body = map({ device, suite: text("signal"), deliveryToken: bin(token) });
        claimCodes.push((await nobody.request("keys.claim", body)).code);
      }
      for (let i = 0; i < 20; i++) {
        ids.push(randomBytes(16));
        nobody.sendSealed(ids.at(-1) as Buffer, deliveryToken, party);
        nobody.sendSealed(ids.at(-1) as Buffer, deliveryToken, party);
        nobody.sendSealed(randomBytes(16), randomBytes(16), party);
        nobody.sendSealed(randomBytes(16), deliveryToken, { ...party, version: 0 });
        ids.push(randomBytes(16));
        nobody.sendSealedShared(ids.at(-1) as Buffer, shared, parties);
        nobody.sendSealedShared(ids.at(-1) as Buffer, shared, parties);
        nobody.sendSealedShared(randomBytes(16), shared, [
          parties[0],
          { ...parties[1], deliveryToken: randomBytes(16) },
        ]);
        nobody.sendSealedShared(randomBytes(16), shared, [{ ...parties[0], version: 0 }, parties[1]]);
      }
      nobody.sendSealed(ids[0] as Buffer, deliveryToken, party);
      await until("the receipts", () => receipted === 161);
      receipted = 0;
      await until("the journal is spilled", async () => (await node.stats()).store.journalBlocks === 0);
      nobody.sendSealed(randomBytes(16), deliveryToken, party);
      await until("one more", () => receipted > 161);
      receipted = 0;
      writeFileSync(
        join(output, `metrics-${run}`),
        await (await fetch(`http://127.0.0.1:${node.port}/metrics`)).text(),
      );
      nobody.drop();
      await node.kill();
      await node.start();
    }
    await node.stop();
    writeFileSync(join(output, "output"), node.output);
    const [, claims = "", signature = ""] = tokens[0].split(".");
    const { traces, missing, bytesSearched } = await sealedTraces({
      paths: [node.dataDirectory, output],
      sender: [
        { name: "the token's signature", bytes: Buffer.from(signature) },
        { name: "the token's claims", bytes: Buffer.from(claims) },
        { name: "the refused token's claims", bytes: Buffer.from(tokens[1].split(".")[1] as string) },
        { name: "the source address", bytes: Buffer.from(SENDER_ADDRESS) },
        { name: "the source address in hex", bytes: Buffer.from("7f53414c") },
        { name: "the sender's account", bytes: sender.address.subarray(2) },
        { name: "a header of the sender's", bytes: Buffer.from(HEADER) },
        { name: "the delivery token", bytes: deliveryToken },
        { name: "the other's delivery token", bytes: otherToken },
        ...ids.map((bytes) => ({ name: "an id of the sender's", bytes })),
      ],
      known: [
        { name: "the recipient", bytes: recipient.address },
        { name: "the other recipient", bytes: other.address },
        { name: "the ciphertext", bytes: ciphertext },
        { name: "the shared part", bytes: shared },
        { name: "the key that was claimed", bytes: publicKey },
        { name: "the sealed sender", bytes: Buffer.from(`c4140000${"ff".repeat(16)}0000`, "hex") },
      ],
    });
    expect(claimCodes).toEqual([0, 220, 0, 220]);
    return { traces, missing, bytesSearched, receipted, delivered };
  } finally {
    await node.discard();
  }
}

test("a node that takes, refuses, repeats and stores sealed envelopes keeps nothing of who sent them", async () => {
  const { traces, missing, bytesSearched, delivered } = await play();
  tell(`${bytesSearched} bytes searched, ${delivered} delivered`);
  expect(missing).toEqual([]);
  expect(traces).toEqual([]);
  expect(delivered).toBeGreaterThanOrEqual(41);
});

test.each(["sealedIdKept", "sealedSharedIdKept", "sealedAddressLogged", "deliveryTokenKept"] as const)(
  "control: a node with %s is caught",
  async (name) => {
    const mutant = buildMutant(name);
    try {
      expect((await play(name, mutant.build)).traces).not.toEqual([]);
    } finally {
      mutant.remove();
    }
  },
);
