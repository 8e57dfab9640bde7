/**
 * The admin API: brands' own back ends register, look up and remove their accounts, devices and names, over HTTP on a
 * private port of its own. The only folder that knows fastify. It never shares a port with the edge: nothing that the public
 * can reach leads here.
 *
 *   request ─▶ token of a brand's back end ─▶ scope ─▶ route, with that brand ─▶ JSON, or a problem (RFC 9457)
 *
 * Invariants. A brand comes from a verified token alone, and a route reaches nothing of another. A device's token opens
 * nothing here, and a back end's token signs no device in: type and audience differ. Answers come when the change is on
 * disk and carried out. What is not a refusal is our bug, and ends the process.
 */
import {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  fastify,
} from "fastify";
import { limits } from "../rules/limits.js";
import { ADMIN_SCOPE, type SignedInService } from "../rules/sign-in.js";
import { CodedError } from "../wire/coded-error.js";
import { type Problem, problemOf, problemOfError } from "./problems.js";
import { type AdminStore, NAME_PATH, nameBodySchema, type Route, routes } from "./routes.js";

export interface AdminHandlers {
  /** Throws CodedError `tokenInvalid`, `tokenExpired` or `signInUnavailable`. */
  readonly signIn: (token: string) => Promise<SignedInService>;
  readonly removalMs: (brand: number) => number;
  readonly store: AdminStore;
}

export interface Admin {
  /** `http://host:port` */
  readonly url: string;
  /** Takes nothing new, and resolves when what is under way has been answered, or has had endingMs for it. */
  stop(): Promise<void>;
}

declare module "fastify" {
  interface FastifyRequest {
    brand: number;
  }
}

/** Throws CodedError `cannotListen`. */
export async function startAdmin(
  { host, port }: { readonly host: string; readonly port: number },
  handlers: AdminHandlers,
): Promise<Admin> {
  const app = fastify({
    logger: false,
    exposeHeadRoutes: false,
    bodyLimit: limits.adminBodyBytesMax,
    requestTimeout: limits.adminRequestMs,
    forceCloseConnections: "idle",
    // A field that nobody knows is refused, and not dropped; a number is no text.
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false } },
    routerOptions: { maxParamLength: limits.adminParameterCharsMax },
    frameworkErrors: (error, _request, reply) => void answerError(error, reply as FastifyReply),
  });
  app.server.maxConnections = limits.adminConnectionsMax;
  app.decorateRequest("brand", 0);
  app.setErrorHandler((error: FastifyError, _request, reply) => answerError(error, reply));
  app.setNotFoundHandler((_request, reply) => refuse(reply, problemOf("notFound")));
  app.addHook("onRequest", (request) => authenticate(request, handlers));
  for (const route of routes) addRoute(app, route, handlers);
  try {
    await app.listen({ host, port });
  } catch (cause) {
    const detail = `the admin API at ${host}, port ${port}: ${(cause as Error).message}`;
    throw new CodedError("cannotListen", { cause, detail, fatal: true });
  }
  const address = app.server.address();
  const taken = typeof address === "object" && address !== null ? address.port : port;
  return { url: `http://${host.includes(":") ? `[${host}]` : host}:${taken}`, stop: () => stop(app) };
}

/** Of a server that is closing, Node.js looks at no deadline any more: a peer that says nothing could hold it for ever. */
async function stop(app: FastifyInstance): Promise<void> {
  const cut = setTimeout(() => app.server.closeAllConnections(), limits.endingMs);
  await app.close();
  clearTimeout(cut);
}

async function authenticate(request: FastifyRequest, { signIn }: AdminHandlers): Promise<void> {
  const token = /^Bearer ([^\s]+)$/i.exec(request.headers.authorization ?? "")?.[1];
  if (token === undefined) throw new CodedError("tokenInvalid");
  const { brand, scopes } = await signIn(token);
  if (!scopes.includes(ADMIN_SCOPE)) throw new CodedError("notAllowed");
  request.brand = brand;
}

function addRoute(app: FastifyInstance, { method, path, answer }: Route, handlers: AdminHandlers): void {
  const takesBody = method === "PUT" && path === NAME_PATH;
  app.route({
    method,
    url: path,
    ...(takesBody && { schema: { body: nameBodySchema } }),
    handler: async (request, reply) => {
      const { brand, body } = request;
      const params = request.params as Record<string, string>;
      const removalMs = handlers.removalMs(brand);
      const result = await answer({ brand, params, body, store: handlers.store, removalMs });
      reply.code(result.status);
      return result.body === undefined ? reply.send() : reply.send(result.body);
    },
  });
}

function answerError(error: FastifyError | CodedError, reply: FastifyReply): FastifyReply {
  if (error instanceof CodedError) {
    if (error.retryAfterMs > 0) reply.header("retry-after", Math.ceil(error.retryAfterMs / 1000));
    return refuse(reply, problemOfError(error));
  }
  const status = error.statusCode ?? 500;
  if (status >= 500) {
    setImmediate(() => {
      throw error;
    });
    return reply.code(500).send();
  }
  // What fastify refuses by itself: a body that is not JSON, too large, or not what the route takes.
  return refuse(reply, problemOf("badRequest", { status, detail: error.message }));
}

function refuse(reply: FastifyReply, problem: Problem): FastifyReply {
  if (problem.status === 401) reply.header("www-authenticate", "Bearer");
  return reply.code(problem.status).type("application/problem+json").send(problem);
}
