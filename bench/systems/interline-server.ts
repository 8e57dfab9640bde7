/**
 * The measured Interline node, in a process of its own: a node as anybody would
 * embed it, with default limits, keeping its data in the directory named by the
 * first argument. Tokens are of the node's own development brands, so that the
 * brands cross in every workload.
 */
import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { InterlineError } from "../../src/client/errors.js";
import { createNode } from "../../src/index.js";
import type { SignIn } from "../generator/interline-dialect.js";
import type { GroupName } from "../generator/sized-sends.js";
import { announceReady, answerRequests } from "../process/requests.js";
import { type ServerSnapshot, takeSnapshot } from "./server-telemetry.js";

const BRANDS = [
  { number: 1, name: "whatsapp" },
  { number: 2, name: "instagram" },
  { number: 3, name: "messenger" },
] as const;

/** Beyond any number of devices. */
const MAKER = 1_000_000_000;

const [dataDirectory = ""] = process.argv.slice(2);
const node = await createNode({ dataDirectory, port: 0 });

/** Account `index` of the benchmark, 16 bytes in hex, and its brand: brands take turns, every account has one device. */
function accountOf(index: number): { brand: (typeof BRANDS)[number]; account: string } {
  const hash = createHash("sha256").update(`interline bench account ${index}`);
  return { brand: BRANDS[index % BRANDS.length]!, account: hash.digest("hex").slice(0, 32) };
}

function addressOf(index: number): string {
  const { brand, account } = accountOf(index);
  return brand.number.toString(16).padStart(4, "0") + account;
}

async function mint(index: number): Promise<SignIn> {
  const { brand, account } = accountOf(index);
  const token = await node.mintToken({ brand: brand.name, account, device: 1 });
  return { token, account: addressOf(index), device: 1 };
}

/**
 * Made by an account that is none of the benchmark's and leaves at once, before the others have ever signed in, so that
 * nobody else is told of anything.
 */
async function makeGroups(groups: readonly (readonly number[])[]): Promise<GroupName[]> {
  const { brand, account } = accountOf(MAKER);
  const client = node.attach({ brand: brand.name, account, device: 1 });
  await client.connect();
  const made: GroupName[] = [];
  for (const members of groups) {
    const accounts = members.map((index) => Buffer.from(addressOf(index), "hex"));
    const { group } = await whenAllowed(() => client.groups.create(accounts));
    const { version } = await whenAllowed(() => client.groups.leave(group));
    made.push({ group: Buffer.from(group).toString("hex"), version });
  }
  await client.close();
  return made;
}

/** One connection may ask for less at once than a workload has groups. */
async function whenAllowed<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof InterlineError && error.code === "rateLimited")) throw error;
      await sleep(error.retryAfterMs);
    }
  }
}

answerRequests({
  snapshot(options: { collect?: boolean }): ServerSnapshot {
    // The journal is flushed once per commit; the other flushes are of the queues.
    const { commits, flushes } = node.stats().store;
    return { ...takeSnapshot(options), flushes: commits + flushes };
  },
  mint: ({ accounts }: { accounts: number }) =>
    Promise.all(Array.from({ length: accounts }, (_, index) => mint(index))),
  groups: (groups: readonly (readonly number[])[]) => makeGroups(groups),
  async stop() {
    await node.stop();
  },
});
announceReady({ port: node.port });
