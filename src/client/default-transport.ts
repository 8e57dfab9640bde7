/** What carries messages where the application does not say: the platform's WebSocket, or our own where there is none. */
import { type Transport, webSocketTransport } from "./transport.js";

/** The module that Node 20 needs; a variable, so that bundlers for browsers neither follow nor include it. */
const nodeTransportModule = "./node-transport.js";

/** The platform's WebSocket, or where there is none (Node 20) our own over node:net. */
export async function defaultTransport(): Promise<Transport> {
  if (typeof globalThis.WebSocket === "function") return webSocketTransport;
  const module: typeof import("./node-transport.js") = await import(
    /* webpackIgnore: true */ /* @vite-ignore */ nodeTransportModule
  );
  return module.nodeTransport();
}
