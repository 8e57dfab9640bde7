/**
 * The one file that imports uWebSockets.js, and it does so late: the package
 * is a native addon with one build per Node.js release line, so importing it
 * on another line throws. Here that becomes one clear sentence, and a node
 * without a port of its own never loads it at all.
 */
import type * as uWS from "uWebSockets.js";
import { CodedError } from "../wire/coded-error.js";

export type Native = typeof uWS & {
  /** Exported by the addon; its typings name it only inside a type. */
  readonly LIBUS_LISTEN_EXCLUSIVE_PORT: uWS.ListenOptions;
  readonly DISABLED: uWS.CompressOptions;
};
export type {
  HttpRequest,
  HttpResponse,
  TemplatedApp,
  us_listen_socket as ListenSocket,
  us_socket_context_t as SocketContext,
  WebSocket,
} from "uWebSockets.js";

/** Node.js ABI numbers that the addon has builds for: 18, 20, 21 and 22. */
const ABIS = new Set(["108", "115", "120", "127"]);

/** Throws CodedError `unsupportedPlatform` that says what to do. */
export async function loadNative(): Promise<Native> {
  const advice = platformAdvice(process.versions.modules, process.version);
  if (advice !== undefined) throw new CodedError("unsupportedPlatform", { detail: advice, fatal: true });
  try {
    return (await import("uWebSockets.js")) as unknown as Native;
  } catch (cause) {
    throw new CodedError("unsupportedPlatform", {
      detail: `uWebSockets.js has no build for ${process.platform} ${process.arch}: use Linux with glibc, macOS or Windows`,
      cause,
      fatal: true,
    });
  }
}

/** What to do when the addon has no build for this Node.js; undefined when it has one. */
export function platformAdvice(abi: string, version: string): string | undefined {
  if (ABIS.has(abi)) return undefined;
  return `uWebSockets.js has no build for Node.js ${version}: install Node.js 22 (or 20.19 and later in the 20 line) and start again`;
}
