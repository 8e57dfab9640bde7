/** All opponents that are somebody else's, by name; each must be installed before it can run. */
import { aedes } from "./aedes.js";
import { ejabberd } from "./ejabberd.js";
import { jetstream } from "./jetstream.js";
import { mosquitto } from "./mosquitto.js";
import { nats } from "./nats.js";
import type { Peer } from "./peer.js";
import { redis, redisSync } from "./redis.js";
import { socketIo } from "./socket-io.js";
import { uwsTopics } from "./uws-topics.js";

export const peers: ReadonlyMap<string, Peer> = new Map(
  [...[mosquitto, aedes, ejabberd], ...[nats, jetstream, redis, redisSync, socketIo, uwsTopics]].map(
    (peer) => [peer.name, peer],
  ),
);
