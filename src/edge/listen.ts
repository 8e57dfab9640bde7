/**
 * Getting an app of the addon onto a port: TLS material that is checked first,
 * and a port that is really ours.
 *
 * Left to itself the addon would share its port with a second node (the kernel
 * would spread devices over both), say nothing about a bad certificate, and
 * take a free port in a way that keeps a node from coming back to it.
 */
import { readFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { createSecureContext } from "node:tls";
import { CodedError } from "../wire/coded-error.js";
import type { ListenSocket, Native, TemplatedApp } from "./native.js";

/** Others take free ports too, now and then the same one. */
const FREE_PORT_ATTEMPTS = 20;

/** Throws CodedError `badConfiguration` with what is wrong about the key or the certificate. */
export function createApp(
  native: Native,
  tls: { readonly certFile: string; readonly keyFile: string } | undefined,
): TemplatedApp {
  if (tls === undefined) return native.App();
  try {
    createSecureContext({ cert: readFileSync(tls.certFile), key: readFileSync(tls.keyFile) });
    return native.SSLApp({ cert_file_name: tls.certFile, key_file_name: tls.keyFile });
  } catch (cause) {
    const detail = `tls: ${cause instanceof Error ? cause.message : String(cause)}`;
    throw new CodedError("badConfiguration", { detail, cause, fatal: true });
  }
}

/** Listens on the port, or on a free one for 0. Throws CodedError `cannotListen`. */
export async function listenOn(
  native: Native,
  app: TemplatedApp,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<ListenSocket> {
  const attempts = port === 0 ? FREE_PORT_ATTEMPTS : 1;
  for (let attempt = 1; attempt <= attempts; attempt++) {
    const wanted = port === 0 ? await freePort(host) : port;
    const socket = await listenExclusively(native, app, host, wanted);
    if (socket !== false) return socket;
  }
  const detail = `${host} port ${port}: in use, or not ours to use`;
  throw new CodedError("cannotListen", { detail, fatal: true });
}

function listenExclusively(
  native: Native,
  app: TemplatedApp,
  host: string,
  port: number,
): Promise<ListenSocket | false> {
  type Listen = (
    host: string,
    port: number,
    options: unknown,
    listened: (socket: ListenSocket | false) => void,
  ) => void;
  return new Promise((resolve) => {
    // The typings know options without a host only.
    const listen = app.listen.bind(app) as Listen;
    listen(host, port, native.LIBUS_LISTEN_EXCLUSIVE_PORT, resolve);
  });
}

/**
 * A port that nobody listens on now. The addon could take one itself, but then
 * without SO_REUSEADDR, and a node that starts again on its port would be kept
 * off it by the remains of its own connections.
 */
async function freePort(host: string): Promise<number> {
  const probe = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      probe.once("error", reject);
      probe.listen(0, host, resolve);
    });
  } catch (cause) {
    throw new CodedError("cannotListen", {
      detail: `${host}: ${(cause as Error).message}`,
      cause,
      fatal: true,
    });
  }
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
