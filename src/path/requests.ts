/**
 * Requests: what a device asks of the cold services (src/directory). They may take their time: a bounded number of one
 * connection's is under way, and each is answered when it is done, if the connection is still there.
 */
import { assert } from "../base/assert.js";
import { admitRequest, type RequestOutcome } from "../rules/requests.js";
import type { RequestFrame } from "../wire/client-frames.js";
import { codes } from "../wire/codes.js";
import { type AnswerFrame, encodeServerFrame } from "../wire/server-frames.js";
import { handOver } from "./connections.js";
import type { Attachment, PathState } from "./state.js";

/** Begins to serve a request; the answer when it is refused at once. */
export function serve(
  state: PathState,
  attachment: Attachment,
  { request, method, body }: RequestFrame,
): AnswerFrame | undefined {
  const refused = admitRequest(attachment.requests, state.limits, state.moment.monotonicMs);
  if (refused !== undefined) return answerOf(request, refused);
  const device = state.kernel.address(attachment.slot);
  // The frame lies in the inbox, which the next turn writes over. A failure that is no outcome ends the process.
  void state.serveRequest(device, method, body.slice()).then((outcome) => {
    attachment.requests.underWay--;
    if (state.connections[attachment.slot] !== attachment) return;
    const bytes = encodeServerFrame(answerOf(request, outcome));
    assert(bytes.length <= state.limits.messageBytesMax, "an answer fits one message");
    handOver(state, attachment, bytes);
  });
  return undefined;
}

function answerOf(request: number, { code, retryAfterMs = 0, body = {} }: RequestOutcome): AnswerFrame {
  return { kind: "answer", request, code: code === undefined ? 0 : codes[code].code, retryAfterMs, body };
}
