/** The relay that writes once per device and turn (batching-relay-server.ts): the limit of everything that collects. */
import type { Peer } from "./peer.js";
import { relay } from "./relay.js";

/** uWebSockets.js is a dependency of this package: nothing is missing. */
export const batchingRelay: Peer = {
  ...relay("batching-relay", new URL("./batching-relay-server.js", import.meta.url), { packs: true }),
  missing: () => undefined,
};
