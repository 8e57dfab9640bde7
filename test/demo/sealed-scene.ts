/**
 * The scene of a sealed sender: somebody who is signed in nowhere, but has a person's delivery token, writes to all the
 * person's devices. Who it was stands in the ciphertext alone (HPKE to each device's identity key). What the dead node
 * has of it is searched for everything that the sender has told it or could be known by.
 */
import { randomBytes } from "node:crypto";
import { PrivateKey } from "@signalapp/libsignal-client";
import { createSealedClient, type Envelope } from "../../src/client/client.js";
import { sealedTraces } from "../support/sealed-traces.js";
import type { PersonDevice } from "./person-device.js";
import type { Play } from "./play.js";
import { TokenMint } from "./token-mint.js";

const MESSAGES = 12;
const INFO = "the demo's sealed sender";

export async function somebodySealedWrites(
  play: Play,
  recipientName: string,
  absent: PersonDevice,
): Promise<void> {
  const { company, evidence, node, stage, tell } = play;
  const recipient = company.person(recipientName);
  const senderId = randomBytes(16);
  const ids = Array.from({ length: MESSAGES }, () => randomBytes(16));
  const deliveryToken = randomBytes(16);
  const read = new Map(recipient.devices.map((device) => [device, new Set<string>()]));
  const listen = (device: PersonDevice) =>
    device.client.on("sealed", ({ payload }) => {
      read.get(device)?.add(opened(device, payload, senderId));
      stage.happened();
    });
  const present = recipient.devices.filter((device) => device !== absent);
  for (const device of present) listen(device);
  const [device] = present as [PersonDevice];
  await stage.orEnd(device.client.deliveryToken.set(deliveryToken));
  const { version, devices: numbers } = await stage.orEnd(device.client.roster(recipient.account));
  await stage.orEnd(absent.goOffline());

  const token = await new TokenMint(play.dataDirectory).anonymousToken("messenger");
  evidence.addToken(token);
  const client = createSealedClient({ url: node.url, token: async () => token });
  const texts = ids.map(() => stage.newText("guess who"));
  let waiting = new Uint8Array(0);
  const receipts = texts.map((text, i) => {
    const plaintext = Buffer.concat([senderId, Buffer.from(text)]);
    const devices = numbers.map((number) => {
      const to = recipient.devices[number - 1] as PersonDevice;
      const payload = identityOf(to).getPublicKey().seal(Uint8Array.from(plaintext), INFO);
      if (to === absent) waiting = payload;
      return { device: number, payload };
    });
    return client.send({ id: ids[i] as Buffer, account: recipient.account, deliveryToken, version, devices });
  });
  await stage.orEnd(client.connect());
  await stage.orEnd(Promise.all(receipts));
  await client.close();

  play.kills++;
  await node.kill();
  const { traces, missing } = await sealedTraces({
    paths: evidence.paths,
    sender: [
      { name: "the sender's account id", bytes: senderId },
      { name: "the sender's token", bytes: Buffer.from(token) },
      ...ids.map((bytes) => ({ name: "an id that the sender chose", bytes })),
      { name: "the delivery token", bytes: deliveryToken },
    ],
    known: [
      { name: "the recipient's account id", bytes: recipient.accountId },
      { name: "a sealed ciphertext that waits", bytes: waiting.subarray(-32) },
    ],
  });
  for (const trace of traces) stage.tally.fault(trace);
  for (const name of missing) stage.tally.fault(`the dead node does not have ${name}`);
  stage.sealedSenderTraces = (stage.sealedSenderTraces ?? 0) + traces.length;

  await node.start();
  await stage.orEnd(absent.goOnline());
  listen(absent);
  await stage.until(() => [...read.values()].every((found) => texts.every((text) => found.has(text))));
  tell(
    `Somebody whom the node cannot name writes ${MESSAGES} messages to all of ${recipient.name}'s devices. SIGKILL: the dead node has ${traces.length} traces of the sender, and what waits for ${absent.name} arrives.`,
  );
}

function identityOf(device: PersonDevice): PrivateKey {
  return PrivateKey.deserialize(Uint8Array.from(device.secrets[0] as Uint8Array));
}

/** The text, if it is by this sender. */
function opened(device: PersonDevice, payload: Envelope["payload"], senderId: Uint8Array): string {
  const plaintext = Buffer.from(identityOf(device).open(Uint8Array.from(payload), INFO));
  return plaintext.subarray(0, senderId.length).equals(senderId)
    ? plaintext.toString("utf8", senderId.length)
    : "";
}
