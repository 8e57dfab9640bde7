/**
 * The scene of a sealed sender: somebody who is signed in nowhere, but has two people's delivery tokens, writes to all devices of the
 * one, and in one envelope to all devices of both, with libsignal's sealed sender. Who it was stands in the ciphertext alone, under
 * a certificate of its brand. What the dead node has of it is searched for everything that the sender has told it or could be known by.
 */
import { randomBytes } from "node:crypto";
import { PrivateKey } from "@signalapp/libsignal-client";
import { deviceAddress, deviceNumber, formatAddress } from "../../src/base/address.js";
import { createClient, createSealedClient, type SealedClient } from "../../src/client/client.js";
import { type Encrypted, EncryptedClient } from "../../src/client/encrypted-client.js";
import { isCode } from "../../src/client/errors.js";
import { sealedTraces } from "../support/sealed-traces.js";
import { brandNumbers } from "./cast.js";
import type { PersonDevice } from "./person-device.js";
import type { Play } from "./play.js";
import { TokenMint } from "./token-mint.js";

/** Of either kind. */
const MESSAGES = 6;
const BRAND = "messenger";

export async function somebodySealedWrites(
  play: Play,
  { alone, together }: { readonly alone: string; readonly together: string },
  absent: PersonDevice,
): Promise<void> {
  const { company, evidence, node, stage, tell } = play;
  const recipients = [company.person(alone), company.person(together)] as const;
  const [recipient] = recipients;
  const peers = [];
  for (const person of recipients) {
    const deliveryToken = randomBytes(16);
    const device = person.devices.find((one) => one !== absent) as PersonDevice;
    await stage.orEnd(device.client.deliveryToken.set(deliveryToken));
    peers.push({ account: person.account, deliveryToken });
  }
  await stage.orEnd(absent.goOffline());

  const sender = await somebody(play);
  /** The last ciphertext of either kind that waits for the absent device. */
  const waiting: { alone?: Uint8Array; shared?: Uint8Array } = {};
  sender.onEncrypted = ({ request }) => {
    if ("shared" in request) waiting.shared = request.shared;
    else if ("devices" in request)
      waiting.alone = request.devices.find(({ device }) => device === deviceNumber(absent.address))
        ?.payload as Uint8Array;
  };
  const texts = Array.from({ length: MESSAGES }, () => stage.newText("guess who"));
  const sharedTexts = Array.from({ length: MESSAGES }, () => stage.newText("guess who, you both"));
  const [{ account, deliveryToken }] = peers as [(typeof peers)[number]];
  for (const text of texts)
    await stage.orEnd(
      accepted(sender.encrypted.sendSealed({ to: account, deliveryToken, plaintext: Buffer.from(text) })),
    );
  for (const text of sharedTexts)
    await stage.orEnd(
      accepted(sender.encrypted.sendSealedShared({ to: peers, plaintext: Buffer.from(text) })),
    );
  await sender.sealed.close();

  play.kills++;
  await node.kill();
  const { traces, missing } = await sealedTraces({
    paths: evidence.paths,
    sender: [
      ...sender.traits,
      ...peers.map(({ deliveryToken: bytes }) => ({ name: "a delivery token", bytes })),
    ],
    known: [
      ...recipients.map(({ accountId }) => ({ name: "a recipient's account id", bytes: accountId })),
      { name: "a sealed ciphertext that waits", bytes: (waiting.alone ?? randomBytes(32)).subarray(-32) },
      { name: "a shared part that waits", bytes: (waiting.shared ?? randomBytes(32)).subarray(-32) },
    ],
  });
  for (const trace of traces) stage.tally.fault(trace);
  for (const name of missing) stage.tally.fault(`the dead node does not have ${name}`);
  stage.sealedSenderTraces = (stage.sealedSenderTraces ?? 0) + traces.length;

  await node.start();
  await stage.orEnd(absent.goOnline());
  const has = (device: PersonDevice, wanted: readonly string[]) =>
    wanted.every((text) => device.sealed.some((one) => one.text === text && one.from === sender.name));
  const hasAll = (device: PersonDevice) =>
    has(device, sharedTexts) && (device.owner !== recipient || has(device, texts));
  await stage.until(() => recipients.every(({ devices }) => devices.every(hasAll)));
  tell(
    `Somebody whom the node cannot name writes ${MESSAGES} messages to all of ${recipient.name}'s devices, and ${MESSAGES} at once to them and ${recipients[1].name}'s. SIGKILL: the dead node has ${traces.length} traces of the sender, and what waits for ${absent.name} arrives.`,
  );
}

/** With what could name it, and the client of a device that has never been connected: it says nothing by name. */
async function somebody({ authorities, dataDirectory, evidence, node }: Play) {
  const token = await new TokenMint(dataDirectory).anonymousToken(BRAND);
  evidence.addToken(token);
  const accountId = randomBytes(16);
  const cipher = authorities.cipher(
    deviceAddress({ brand: brandNumbers[BRAND], account: accountId, device: 1 }),
    1,
  );
  const client = createClient({ url: node.url, token: async () => "" });
  await client.close();
  const sealed = createSealedClient({ url: node.url, token: async () => token });
  const ids = chosenIds(sealed);
  const [secret] = cipher.secrets as [Uint8Array<ArrayBuffer>];
  const identityKey = PrivateKey.deserialize(secret).getPublicKey().serialize();
  const made = {
    name: formatAddress(cipher.address),
    sealed,
    onEncrypted: (_: Encrypted): void => {},
    encrypted: new EncryptedClient({
      client,
      cipher,
      sealed,
      onMessage: () => {},
      onEncrypted: (encrypted) => made.onEncrypted(encrypted),
    }),
    get traits() {
      return [
        { name: "the sender's account id", bytes: accountId },
        { name: "the sender's identity key", bytes: identityKey.subarray(1) },
        { name: "the sender's token", bytes: Buffer.from(token) },
        ...ids.map((bytes) => ({ name: "an id that the sender chose", bytes })),
      ];
    },
  };
  await sealed.connect();
  return made;
}

/** Has it send under ids that are known here. */
function chosenIds(sealed: SealedClient): Uint8Array[] {
  const ids: Uint8Array[] = [];
  const newId = () => {
    const id = randomBytes(16);
    ids.push(id);
    return id;
  };
  const send = sealed.send.bind(sealed);
  const sendShared = sealed.sendShared.bind(sealed);
  sealed.send = (request) => send({ ...request, id: newId() });
  sealed.sendShared = (request) => sendShared({ ...request, id: newId() });
  return ids;
}

/** That only the transcript failed means that the sealed envelope was accepted. */
async function accepted(sent: Promise<unknown>): Promise<void> {
  try {
    await sent;
  } catch (error) {
    if (!isCode(error, ["transcriptFailed"])) throw error;
  }
}
