/**
 * Makes the accounts that devices sign in with: in-band registration (XEP-0077),
 * all over one connection, asked for at once, before anything is measured.
 */
import { connect } from "node:net";
import { deviceName } from "../generator/device-names.js";
import type { XmppDomain } from "../generator/xmpp-dialect.js";
import { registerRequest, streamHeader } from "../generator/xmpp-stanzas.js";

const TIMEOUT_MS = 60_000;
const ANSWERS = /<iq\b[^>]*\btype='(result|error)'[^>]*>/g;

export async function registerDevices(options: {
  readonly port: number;
  readonly devices: number;
  readonly domain: XmppDomain;
}): Promise<void> {
  const { port, devices, domain } = options;
  const socket = connect({ host: "127.0.0.1", port }).setEncoding("latin1");
  const late = AbortSignal.timeout(TIMEOUT_MS);
  late.addEventListener("abort", () => socket.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)));
  socket.write(streamHeader(domain.domain));
  let text = "";
  let isAsked = false;
  try {
    for await (const part of socket) {
      text += part;
      if (!isAsked && text.includes("</stream:features>")) {
        isAsked = true;
        const names = Array.from({ length: devices }, (_, device) => deviceName(device));
        socket.write(names.map((name, id) => registerRequest(id, name, domain.password)).join(""));
      }
      const answers = [...text.matchAll(ANSWERS)].map(([, type]) => type);
      if (answers.includes("error")) throw new Error(`the server registers nobody: ${text.slice(-500)}`);
      if (answers.length === devices) return;
    }
    throw new Error(`the server ended the registration: ${text.slice(-500)}`);
  } finally {
    socket.destroy();
  }
}
