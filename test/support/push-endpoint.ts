/** A push service, or a brand's gateway, of the test: keeps whatever it is sent, and answers as it is told to. */
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { importJWK, jwtVerify } from "jose";
import { until } from "./until.js";

export interface PushRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly atMs: number;
}

export interface PushAnswer {
  readonly status: number;
  readonly headers?: Record<string, string>;
  readonly body?: string;
  /** Never answers. */
  readonly isSilent?: boolean;
}

export class PushEndpoint {
  readonly requests: PushRequest[] = [];
  answer: (path: string, count: number) => PushAnswer = () => ({ status: 201 });
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<PushEndpoint> {
    const server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const { method = "", url: path = "", headers } = request;
        endpoint.requests.push({
          method,
          path,
          headers,
          body: Buffer.concat(chunks),
          atMs: performance.now(),
        });
        const answer = endpoint.answer(path, endpoint.to(path).length);
        if (!answer.isSilent) response.writeHead(answer.status, answer.headers).end(answer.body);
      });
    });
    const endpoint = new PushEndpoint(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return endpoint;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  to(path: string): PushRequest[] {
    return this.requests.filter((request) => request.path === path);
  }

  async received(path: string, count: number, timeoutMs = 20_000): Promise<PushRequest[]> {
    await until(`${count} requests to ${path}`, () => this.to(path).length >= count, timeoutMs);
    return this.to(path);
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** What RFC 8030 and RFC 8292 ask of a push message without a body; throws when the signature is not of this key for this origin. */
export async function verifyWebPush(request: PushRequest, expected: { origin: string; publicKey: string }) {
  const { authorization = "", ttl, urgency, topic } = request.headers;
  const [, token, key] = /^vapid t=([\w.-]+), k=([\w-]+)$/.exec(authorization) ?? [];
  if (token === undefined || key !== expected.publicKey) throw new Error("it is not signed by the key");
  const point = Buffer.from(key, "base64url");
  const [x, y] = [point.subarray(1, 33), point.subarray(33)].map((part) => part.toString("base64url"));
  const publicKey = await importJWK({ kty: "EC", crv: "P-256", x: x as string, y: y as string }, "ES256");
  const { payload } = await jwtVerify(token, publicKey, { audience: expected.origin, algorithms: ["ES256"] });
  return { claims: payload, ttl, urgency, topic, body: request.body, method: request.method };
}

/** The body of a webhook's request; throws when it is not signed with the secret, now. */
export function verifyWebhook({ headers, body }: PushRequest, secret: string): unknown {
  const [, time = "", mac = ""] =
    /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(headers["interline-signature"])) ?? [];
  const expected = createHmac("sha256", secret).update(`${time}.${body.toString()}`).digest();
  if (mac === "" || !timingSafeEqual(expected, Buffer.from(mac, "hex"))) throw new Error("a wrong signature");
  if (Math.abs(Date.now() / 1000 - Number(time)) > 60) throw new Error("an old signature");
  return JSON.parse(body.toString());
}
