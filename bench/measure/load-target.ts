/** Where a load goes: the parts of a node's address, and whether it is this machine. */

import { wrongCommand } from "../exit-codes.js";

export interface LoadTarget {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly isTls: boolean;
  /** The node is on this machine: other loopback addresses reach it, and it shares the cores. */
  readonly isLoopback: boolean;
}

const PORTS: Readonly<Record<string, number>> = { "ws:": 80, "wss:": 443 };

/** Throws an error for people. */
export function parseTarget(text: string): LoadTarget {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const port = url && (url.port === "" ? PORTS[url.protocol] : Number(url.port));
  if (url === undefined || port === undefined) {
    throw wrongCommand(`"${text}" is no address of a node: expected ws://host:port or wss://host:port`);
  }
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  return {
    url: `${url.protocol}//${url.host}${url.pathname === "/" ? "" : url.pathname}`,
    host,
    port,
    path: url.pathname + url.search,
    isTls: url.protocol === "wss:",
    isLoopback: host === "localhost" || host === "::1" || /^127\./.test(host),
  };
}
