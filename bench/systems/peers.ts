/** All opponents but the bare relay, by name; those that are somebody else's must be installed before they can run. */
import { aedes } from "./aedes.js";
import { answeringRelay } from "./answering-relay.js";
import { batchingRelay } from "./batching-relay.js";
import { ejabberd } from "./ejabberd.js";
import { jetstream } from "./jetstream.js";
import { mosquitto } from "./mosquitto.js";
import { nats } from "./nats.js";
import type { Peer } from "./peer.js";
import { redis, redisSync } from "./redis.js";
import { socketIo } from "./socket-io.js";
import { uwsTopics } from "./uws-topics.js";

export const peers: ReadonlyMap<string, Peer> = new Map(
  [
    batchingRelay,
    answeringRelay,
    mosquitto,
    aedes,
    ejabberd,
    nats,
    jetstream,
    redis,
    redisSync,
    socketIo,
    uwsTopics,
  ].map((peer) => [peer.name, peer]),
);
