/** The relay that answers each message by itself (answering-relay-server.ts): the price of that alone. */
import type { Peer } from "./peer.js";
import { relay } from "./relay.js";

/** uWebSockets.js is a dependency of this package: nothing is missing. */
export const answeringRelay: Peer = {
  ...relay("answering-relay", new URL("./answering-relay-server.js", import.meta.url), { answers: true }),
  missing: () => undefined,
};
