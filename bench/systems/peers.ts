/** All opponents that are somebody else's, by name; each must be installed before it can run. */
import { aedes } from "./aedes.js";
import { ejabberd } from "./ejabberd.js";
import { mosquitto } from "./mosquitto.js";
import type { Peer } from "./peer.js";

export const peers: ReadonlyMap<string, Peer> = new Map(
  [mosquitto, aedes, ejabberd].map((peer) => [peer.name, peer]),
);
