/**
 * Requests between the harness and its children (servers, generators) over the
 * IPC channel that Node gives a child: never over a socket that is measured.
 *
 *   harness → child   { request: number, verb: string, body }
 *   child → harness   { request: number, answer } or { request: number, failure: string }
 *   child → harness   { request: 0, answer } once, when the child is ready
 *
 * A child whose harness is gone (channel closed) ends itself, so that no server
 * outlives an interrupted run.
 */

export interface RequestMessage {
  readonly request: number;
  readonly verb: string;
  readonly body: unknown;
}

export interface AnswerMessage {
  readonly request: number;
  readonly answer?: unknown;
  readonly failure?: string;
}

/** Something that may go wrong without a bug of ours: told in one sentence, without a stack. */
export class Failure extends Error {}

/** The number of the message with which a child says that it is ready. */
export const READY = 0;

export type Handlers = Readonly<Record<string, (body: never) => unknown>>;

/** The child's side: answers each request with what its handler returns or resolves to. */
export function answerRequests(handlers: Handlers): void {
  process.on("message", async (message: RequestMessage) => {
    const { request, verb, body } = message;
    const handler = handlers[verb];
    try {
      if (handler === undefined) throw new Error(`no request is called ${verb}`);
      reply({ request, answer: await handler(body as never) });
    } catch (error) {
      reply({ request, failure: toldOf(error) });
    }
  });
  process.on("disconnect", () => process.exit(0));
}

/** The child's first word. */
export function announceReady(answer: unknown): void {
  reply({ request: READY, answer });
}

function toldOf(error: unknown): string {
  if (error instanceof Failure) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

function reply(message: AnswerMessage): void {
  if (process.connected) process.send?.(message);
}
