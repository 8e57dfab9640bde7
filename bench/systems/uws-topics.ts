/** uWebSockets.js publishing to a topic per device (uws-topics-server.ts): the limit for fan-out. */
import type { Peer } from "./peer.js";
import { relay } from "./relay.js";

/** uWebSockets.js is a dependency of this package: nothing is missing. */
export const uwsTopics: Peer = {
  ...relay("uws-topics", new URL("./uws-topics-server.js", import.meta.url)),
  missing: () => undefined,
};
