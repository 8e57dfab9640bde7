/**
 * A node as its own process, for fault tests:
 *
 *   node dist/test/support/fault-node.js '{"dataDirectory": …, "port": …, …}'
 *
 * The argument holds the options of createNode as JSON. It writes one line of JSON for
 * everything that a person who runs a node would be told: `opening` before
 * anything is touched, `ready` with its process id and port, what is damaged,
 * why it ends. SIGTERM stops it in good order with exit code 0; a failed storage
 * ends it with 1. `stats` on its standard input is answered by a line of `stats`:
 * the node's own counters, its memory, what it refused (counted: a line for each would
 * hold up the loop that is measured), and how long its event loop stood still since it was asked last.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { createNode, type InterlineNode, type NodeOptions } from "../../src/index.js";

/** How long a node whose storage failed may take to tell everybody. */
const FAREWELL_MS = 3_000;

/** Refusals since the start, by code. */
const refused: Record<string, number> = {};
const options = JSON.parse(process.argv[2] as string) as NodeOptions;

function say(event: string, detail: unknown = {}): void {
  process.stdout.write(`${JSON.stringify({ event, detail })}\n`);
}

function tellError(error: unknown): unknown {
  if (!(error instanceof Error)) return String(error);
  return { text: error.stack, ...(error.cause === undefined ? {} : { cause: tellError(error.cause) }) };
}

async function endFailed(node: InterlineNode, error: Error): Promise<void> {
  say("failed", tellError(error));
  await Promise.race([node.stop().catch(() => {}), delay(FAREWELL_MS)]);
  process.exit(1);
}

function answerQuestions(node: InterlineNode): void {
  const delayNs = monitorEventLoopDelay({ resolution: 5 });
  delayNs.enable();
  createInterface({ input: process.stdin }).on("line", (line) => {
    if (line !== "stats") return;
    const { store, counters, tailBytes, connections } = node.stats();
    const stallMs = { p99: delayNs.percentile(99) / 1e6, max: delayNs.max / 1e6 };
    const rssBytes = process.memoryUsage.rss();
    say("stats", { store, counters, tailBytes, connections, refused, rssBytes, stallMs });
    delayNs.reset();
  });
}

say("opening", { pid: process.pid });
try {
  const node = await createNode({
    logLevel: "trace",
    ...options,
    hooks: {
      corrupted: (table, detail) => say("corrupted", { table, detail }),
      refused: (code) => {
        refused[code] = (refused[code] ?? 0) + 1;
      },
    },
  });
  void node.failed.then((error) => endFailed(node, error));
  process.once("SIGTERM", () => {
    void node.stop().then(() => process.exit(0));
  });
  answerQuestions(node);
  say("ready", { pid: process.pid, port: node.port });
} catch (error) {
  say("failed", tellError(error));
  process.exit(1);
}
