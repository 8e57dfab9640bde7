/**
 * Requests: what a device, or a connection that speaks for nobody, asks of the cold services (src/directory). They may take
 * their time: a bounded number of one connection's is under way, and each is answered when it is done, if the connection is
 * still there. That a delivery token opens nothing is said at a time that tells nothing (sealed.ts).
 */
import { assert } from "../base/assert.js";
import { admitRequest, type RequestOutcome } from "../rules/requests.js";
import type { RequestFrame } from "../wire/client-frames.js";
import { codes } from "../wire/codes.js";
import { encodeServerFrame } from "../wire/server-frame-writer.js";
import type { AnswerFrame } from "../wire/server-frames.js";
import type { Attachment } from "./attachment.js";
import { handOver } from "./connections.js";
import type { PathState } from "./state.js";
import { hold, say } from "./unidentified.js";
import type { Unidentified } from "./unidentified-table.js";

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

/** The same for somebody who is not named; what comes of it goes to the connection and nowhere else. */
export function serveUnidentified(
  state: PathState,
  one: Unidentified,
  { request, method, body }: RequestFrame,
): void {
  const { limits, moment } = state;
  const bounds = {
    requestsUnderWayMax: limits.requestsUnderWayMax,
    requestsBurst: limits.sealedClaimTokens,
    requestsPerSecond: 1_000 / limits.sealedClaimRefillMs,
  };
  const refused = admitRequest(one.requests, bounds, moment.monotonicMs);
  if (refused !== undefined) {
    say(state, one, encodeServerFrame(answerOf(request, refused)));
    return;
  }
  const dueMs = moment.monotonicMs + limits.sealedRefusalMs;
  const brand = ((one.brand[0] as number) << 8) | (one.brand[1] as number);
  void state.serveUnidentified(brand, method, body.slice()).then((outcome) => {
    one.requests.underWay--;
    const bytes = encodeServerFrame(answerOf(request, outcome));
    if (outcome.code === "deliveryTokenRefused") hold(state, one, { bytes, dueMs });
    else say(state, one, bytes);
  });
}

function answerOf(request: number, { code, retryAfterMs = 0, body = {} }: RequestOutcome): AnswerFrame {
  return { kind: "answer", request, code: code === undefined ? 0 : codes[code].code, retryAfterMs, body };
}
