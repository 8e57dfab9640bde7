/**
 * The measured Interline node, in a process of its own: a node as anybody would
 * embed it, with default limits, keeping its data in the directory named by the
 * first argument. Tokens are of the node's own development brands, so that the
 * brands cross in every workload.
 */
import { createHash } from "node:crypto";
import { createNode } from "../../src/index.js";
import type { SignIn } from "../generator/interline-dialect.js";
import { announceReady, answerRequests } from "../process/requests.js";
import { type ServerSnapshot, takeSnapshot } from "./server-telemetry.js";

const BRANDS = [
  { number: 1, name: "whatsapp" },
  { number: 2, name: "instagram" },
  { number: 3, name: "messenger" },
] as const;

const [dataDirectory = ""] = process.argv.slice(2);
const node = await createNode({ dataDirectory, port: 0 });

/** Account `index` of the benchmark: brands take turns, every account has one device. */
async function mint(index: number): Promise<SignIn> {
  const brand = BRANDS[index % BRANDS.length]!;
  const hash = createHash("sha256").update(`interline bench account ${index}`);
  const account = hash.digest("hex").slice(0, 32);
  const token = await node.mintToken({ brand: brand.name, account, device: 1 });
  return { token, account: brand.number.toString(16).padStart(4, "0") + account, device: 1 };
}

answerRequests({
  snapshot(options: { collect?: boolean }): ServerSnapshot {
    // The journal is flushed once per commit; the other flushes are of the queues.
    const { commits, flushes } = node.stats().store;
    return { ...takeSnapshot(options), flushes: commits + flushes };
  },
  mint: ({ accounts }: { accounts: number }) =>
    Promise.all(Array.from({ length: accounts }, (_, index) => mint(index))),
  async stop() {
    await node.stop();
  },
});
announceReady({ port: node.port });
