/**
 * Embedding, whole: a node inside this process, without a port, with its own idea of who may sign in and of which
 * brands meet, and two devices attached without a socket. `embedding.test.ts` runs it.
 */
import { accountOf, createNode } from "../../src/index.js";

export async function example(dataDirectory: string): Promise<string[]> {
  const story: string[] = [];
  const node = await createNode({
    dataDirectory,
    listen: false,
    hooks: {
      mayCross: (from, to) => from !== "messenger" && to !== "messenger",
      connected: () => story.push("a device connected"),
    },
  });
  const alice = node.attach({ brand: "whatsapp", account: "alice", device: 1 });
  const bob = node.attach({ brand: "instagram", account: "bob", device: 1 });

  const received = new Promise<void>((resolve) => {
    bob.on("envelope", ({ payload }) => {
      story.push(`bob received ${payload.length} bytes`);
      resolve();
    });
  });
  await Promise.all([alice.connect(), bob.connect()]);

  // Every device that the roster lists gets a ciphertext of its own; here there is one.
  const account = accountOf(node.address({ brand: "instagram", account: "bob", device: 1 }));
  const { version, devices } = await alice.roster(account);
  const ciphertextFor = (_device: number): Uint8Array => new Uint8Array(32);
  const receipt = await alice.send({
    to: [
      { account, version, devices: devices.map((device) => ({ device, payload: ciphertextFor(device) })) },
    ],
  });
  story.push(`alice has a receipt: ${receipt.durability}`);

  await received;
  await Promise.all([alice.close(), bob.close()]);
  await node.stop();
  return story;
}
