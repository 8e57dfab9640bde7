/**
 * Whether an HTTP request may become a WebSocket connection. Pure: it sees
 * header values and counts, and answers with an HTTP refusal or nothing.
 *
 * uWebSockets.js calls the upgrade handler for any request with a key header of
 * 24 characters, so everything else that RFC 6455 §4.2.1 asks for is asked here.
 * Origins are not looked at: a connection is authenticated by the token in its
 * hello, which a foreign page does not have, and by nothing the browser adds.
 */
import { SUBPROTOCOL } from "../wire/protocol.js";

export interface UpgradeRequest {
  /** The value of the header of this name, empty when absent. */
  readonly upgrade: string;
  readonly connection: string;
  readonly version: string;
  readonly protocols: string;
}

export interface UpgradeLoad {
  readonly draining: boolean;
  /** Upgraded sockets whose descriptor may still be held, open or ended. */
  readonly connections: number;
  readonly connectionsMax: number;
  readonly unauthenticated: number;
  readonly unauthenticatedMax: number;
}

export interface UpgradeRefusal {
  readonly status: string;
  readonly reason: "notWebSocket" | "version" | "subprotocol" | "draining" | "full" | "unauthenticatedFull";
  readonly text: string;
}

/** One line per rule, in order of precedence. */
export function refuseUpgrade(request: UpgradeRequest, load: UpgradeLoad): UpgradeRefusal | undefined {
  if (request.upgrade.toLowerCase() !== "websocket") return refusals.notWebSocket;
  if (!lists(request.connection.toLowerCase(), "upgrade")) return refusals.notWebSocket;
  if (request.version !== "13") return refusals.version;
  if (!lists(request.protocols, SUBPROTOCOL)) return refusals.subprotocol;
  if (load.draining) return refusals.draining;
  if (load.connections >= load.connectionsMax) return refusals.full;
  if (load.unauthenticated >= load.unauthenticatedMax) return refusals.unauthenticatedFull;
  return undefined;
}

/** Whether a comma-separated header value lists the item. */
function lists(value: string, item: string): boolean {
  return value === item || value.split(",").some((part) => part.trim() === item);
}

export const refusals = {
  notWebSocket: {
    status: "426 Upgrade Required",
    reason: "notWebSocket",
    text: "this address speaks WebSocket",
  },
  version: {
    status: "426 Upgrade Required",
    reason: "version",
    text: "this address speaks WebSocket version 13",
  },
  subprotocol: {
    status: "400 Bad Request",
    reason: "subprotocol",
    text: `offer the subprotocol ${SUBPROTOCOL}`,
  },
  draining: { status: "503 Service Unavailable", reason: "draining", text: "the node is going down" },
  full: {
    status: "503 Service Unavailable",
    reason: "full",
    text: "the node has as many connections as it may",
  },
  unauthenticatedFull: {
    status: "503 Service Unavailable",
    reason: "unauthenticatedFull",
    text: "too many connections are signing in",
  },
} as const satisfies Record<UpgradeRefusal["reason"], UpgradeRefusal>;
