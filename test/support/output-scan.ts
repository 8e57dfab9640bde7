/**
 * C9 for every fault test: what a node wrote holds no token, no payload bytes,
 * no key and no raw id, in no spelling. Called on all output of every node under test.
 */
import { spellings } from "../demo/canaries.js";
import { PAYLOAD_CANARY } from "./fleet.js";
import type { History } from "./history.js";
import type { NodeUnderTest } from "./node-under-test.js";
import { mintedTokens, type World } from "./world.js";

const ENVELOPES_LOOKED_FOR = 500;

/** The names of what was found, without duplicates. */
export function secretsIn(output: string, world: World, history?: History): string[] {
  const text = Buffer.from(output);
  const found = new Set<string>();
  for (const [name, secret] of secretsOf(world, history)) {
    for (const spelling of spellings({ name, bytes: secret })) {
      if (text.includes(Buffer.from(spelling.bytes))) found.add(spelling.name);
    }
  }
  return [...found];
}

/** Throws when the node wrote a secret, or nothing at all. */
export function scanOutput(node: NodeUnderTest, world: World, history?: History): void {
  if (node.output.length === 0) throw new Error("the node's output was not captured");
  const found = secretsIn(node.output, world, history);
  if (found.length > 0) throw new Error(`the node wrote what it must not: ${found.join(", ")}`);
}

function* secretsOf(world: World, history: History | undefined): Iterable<[string, Uint8Array]> {
  yield ["payload", PAYLOAD_CANARY];
  for (const token of mintedTokens) {
    const [, claims = "", signature = ""] = token.split(".");
    yield ["token's claims", Buffer.from(claims)];
    yield ["token's signature", Buffer.from(signature)];
  }
  for (const { address } of world.accounts) yield ["account id", address.subarray(2)];
  for (const { key } of world.brands) yield ["key", Buffer.from(key.publicJwk.x as string)];
  let envelopes = 0;
  for (const event of history?.events ?? []) {
    if (event.op !== "sent") continue;
    if (envelopes++ === ENVELOPES_LOOKED_FOR) break;
    yield ["envelope id", Buffer.from(event.id, "hex")];
  }
}
