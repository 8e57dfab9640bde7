/**
 * The scene of a new device: it gets from an old one of the same person what that one has read, through the node, which is
 * killed amid it. All of it must be there in the end, and the search after the play finds nothing of it in the clear.
 */
import { randomBytes } from "node:crypto";
import { inviteTransfer, sendTransfer, type TransferPart } from "../../src/client/transfer.js";
import type { Play } from "./play.js";

/** What a new device makes of what it gets; it keeps it as it is, unless it is to be caught at something else. */
export type Keep = (part: TransferPart) => Uint8Array;

/** Pictures: more than is ever on the way at once. */
const PICTURES_BYTES = 3 * 1024 * 1024;
const ARCHIVE_BYTES_MAX = 16 * 1024 * 1024;

export async function aNewDeviceGetsTheHistory(
  play: Play,
  ownerName: string,
  labels: { readonly old: string; readonly anew: string },
  keep: Keep = ({ bytes }) => bytes.slice(),
): Promise<void> {
  const { company, node, stage, tell } = play;
  const owner = company.person(ownerName);
  const old = owner.device(labels.old);
  const anew = owner.device(labels.anew);
  const texts = [...old.read];
  const archive = Buffer.concat([Buffer.from(JSON.stringify(texts)), randomBytes(PICTURES_BYTES)]);
  const parts: Uint8Array[] = [];
  let bytes = 0;
  const incoming = await stage.orEnd(
    inviteTransfer(anew.client, {
      bytesMax: ARCHIVE_BYTES_MAX,
      store: (part) => {
        parts.push(keep(part));
        bytes += part.bytes.length;
        stage.happened();
      },
    }),
  );
  const killed = stage.when(
    () => bytes > archive.length / 3,
    () => {
      play.kills++;
      return node.kill();
    },
  );
  const outgoing = sendTransfer(old.client, { invitation: incoming.invitation, source: archive });
  const done = stage.orEnd(Promise.all([incoming.done, outgoing.done]));
  await killed;
  const bytesAtKill = bytes;
  await node.start();
  await done;
  if (!Buffer.concat(parts).equals(archive))
    stage.tally.fault(`${anew.name} got another history than ${old.name} has`);
  else stage.historyTransferred += texts.length;
  tell(
    `${anew.name} gets the history of ${old.name}, ${texts.length} messages and ${PICTURES_BYTES / 2 ** 20} MiB of pictures. SIGKILL after ${(bytesAtKill / 2 ** 20).toFixed(1)} MiB; the rest follows.`,
  );
}
