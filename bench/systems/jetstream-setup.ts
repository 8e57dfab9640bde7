/**
 * Makes JetStream what devices need (JetStream's API: requests and answers in JSON
 * over NATS itself): a stream that keeps what is published to `device.*` until it
 * is acked, and for each device a durable consumer that pushes what is for it to
 * its inbox.
 */
import { connect, type Socket } from "node:net";
import { deviceName } from "../generator/device-names.js";
import { NatsOperation, operations } from "../generator/nats-operation.js";
import { deviceSubject, greeting, inboxSubject, LINE_END, pongLine } from "../generator/nats-text.js";

const STREAM = "DEVICES";
const ANSWERS = "answers";
/** As many as Interline's devices take unacked (interline.ts). */
const UNACKED_MAX = 1024;
const TIMEOUT_MS = 60_000;
const NS_PER_MS = 1e6;
/** Longer than any round: what is delivered again counts as duplicated. */
const ACK_WAIT_MS = 10 * 60_000;

interface ApiRequest {
  readonly subject: string;
  readonly body: unknown;
}

const stream: ApiRequest = {
  subject: `$JS.API.STREAM.CREATE.${STREAM}`,
  body: {
    name: STREAM,
    subjects: ["device.*"],
    storage: "file",
    retention: "workqueue",
    num_replicas: 1,
  },
};

function consumerOf(device: number): ApiRequest {
  return {
    subject: `$JS.API.CONSUMER.DURABLE.CREATE.${STREAM}.${deviceName(device)}`,
    body: {
      stream_name: STREAM,
      config: {
        durable_name: deviceName(device),
        filter_subject: deviceSubject(device),
        deliver_subject: inboxSubject(device),
        deliver_policy: "all",
        replay_policy: "instant",
        ack_policy: "explicit",
        ack_wait: ACK_WAIT_MS * NS_PER_MS,
        max_ack_pending: UNACKED_MAX,
      },
    },
  };
}

export async function createConsumers(options: {
  readonly port: number;
  readonly devices: number;
}): Promise<void> {
  const socket = connect({ host: "127.0.0.1", port: options.port });
  try {
    socket.write(greeting("setup", [ANSWERS]));
    await answersTo(socket, [stream]);
    await answersTo(
      socket,
      Array.from({ length: options.devices }, (_, device) => consumerOf(device)),
    );
  } finally {
    socket.destroy();
  }
}

/** Sends the requests, and resolves when each has been answered without an error. */
function answersTo(socket: Socket, requests: readonly ApiRequest[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const operation = new NatsOperation();
    let answered = 0;
    let kept = Buffer.alloc(0);
    const timer = setTimeout(() => settle(new Error("JetStream did not answer in time")), TIMEOUT_MS);
    const settle = (failure?: Error) => {
      clearTimeout(timer);
      socket.off("data", take).off("error", settle);
      if (failure === undefined) resolve();
      else reject(failure);
    };
    const take = (part: Buffer) => {
      kept = Buffer.concat([kept, part]);
      let at = 0;
      for (;;) {
        const next = operation.read(kept, at, kept.length);
        if (next < 0) break;
        at = next;
        if (operation.kind === operations.ping) socket.write(pongLine);
        if (operation.kind === operations.error) return settle(new Error(operation.text(kept)));
        if (operation.kind !== operations.message) continue;
        const failure = failureOf(operation.text(kept));
        if (failure !== undefined) return settle(new Error(`JetStream refused a request: ${failure}`));
        answered += 1;
      }
      kept = kept.subarray(at);
      if (answered === requests.length) settle();
    };
    socket.on("data", take).on("error", settle);
    socket.write(requests.map(publishOf).join(""));
  });
}

function publishOf({ subject, body }: ApiRequest): string {
  const json = JSON.stringify(body);
  return `PUB ${subject} ${ANSWERS} ${Buffer.byteLength(json)}${LINE_END}${json}${LINE_END}`;
}

function failureOf(answer: string): string | undefined {
  const { error } = JSON.parse(answer) as { readonly error?: { readonly description?: string } };
  return error && (error.description ?? "without a reason");
}
