/** The bare uWebSockets.js relay (bare-relay-server.ts): the limit everything is compared with. */
import { relay } from "./relay.js";

export const bareRelay = relay("bare-relay", new URL("./bare-relay-server.js", import.meta.url));
