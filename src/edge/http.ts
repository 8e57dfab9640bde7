/**
 * The few HTTP answers of a node: liveness, readiness, metrics, and a refusal
 * for everything else. Every answer closes its connection, so that a socket
 * that is not a WebSocket is gone within the addon's own 12 s (a 10 s timer in
 * steps of 4 s), whatever its peer does.
 */
import { randomInt } from "node:crypto";
import type { HttpResponse, TemplatedApp } from "./native.js";
import type { UpgradeRefusal } from "./upgrade.js";

/** What is told over HTTP. */
export interface HttpHandlers {
  ready(): boolean | { readonly ready: boolean };
  /** Text for `GET /metrics`; without it there is no such path. */
  metrics?: () => Promise<string>;
}

export function routeHttp(app: TemplatedApp, path: string, handlers: HttpHandlers): void {
  const readiness = (): { readonly ready: boolean } => {
    const ready = handlers.ready();
    return typeof ready === "boolean" ? { ready } : ready;
  };
  app.get("/health/live", (response) => answerJson(response, "200 OK", { live: true }));
  app.get("/health/ready", (response) => {
    const report = readiness();
    answerJson(response, statusOf(report), report);
  });
  app.head("/health/live", (response) => answerHead(response, "200 OK"));
  app.head("/health/ready", (response) => answerHead(response, statusOf(readiness())));
  if (handlers.metrics !== undefined) {
    app.get("/metrics", (response) =>
      answerMetrics(response, () => handlers.metrics?.() ?? Promise.resolve("")),
    );
  }
  app.get(path, (response) => {
    response.cork(() => {
      response.writeStatus("426 Upgrade Required").writeHeader("Upgrade", "websocket");
      finish(response, "text/plain; charset=utf-8", "this address speaks WebSocket\n");
    });
  });
  app.any("/*", (response) => {
    answerText(response, "404 Not Found", "nothing is here\n");
  });
}

/** Answers an upgrade request that is not taken. */
export function refuseWith(response: HttpResponse, refusal: UpgradeRefusal): void {
  response.cork(() => {
    response.writeStatus(refusal.status);
    if (refusal.reason === "version") response.writeHeader("Sec-WebSocket-Version", "13");
    if (refusal.reason === "notWebSocket") response.writeHeader("Upgrade", "websocket");
    if (refusal.status.startsWith("503")) {
      response.writeHeader("Retry-After", String(randomInt(1, 11)));
    }
    finish(response, "text/plain; charset=utf-8", `${refusal.text}\n`);
  });
}

/** The text comes later: the peer may have left by then, and the addon wants to be asked before. */
function answerMetrics(response: HttpResponse, metrics: () => Promise<string>): void {
  let aborted = false;
  response.onAborted(() => {
    aborted = true;
  });
  const answer = (status: string, type: string, body: string) => {
    if (aborted) return;
    response.cork(() => {
      response.writeStatus(status);
      finish(response, type, body);
    });
  };
  metrics().then(
    (text) => answer("200 OK", "text/plain; version=0.0.4; charset=utf-8", text),
    () => answer("500 Internal Server Error", "text/plain; charset=utf-8", "the metrics could not be read\n"),
  );
}

function statusOf({ ready }: { readonly ready: boolean }): string {
  return ready ? "200 OK" : "503 Service Unavailable";
}

/** What load balancers ask for that want no body. */
function answerHead(response: HttpResponse, status: string): void {
  response.cork(() => {
    response.writeStatus(status).writeHeader("Cache-Control", "no-store").endWithoutBody(0, true);
  });
}

function answerJson(response: HttpResponse, status: string, body: unknown): void {
  response.cork(() => {
    response.writeStatus(status);
    finish(response, "application/json", `${JSON.stringify(body)}\n`);
  });
}

function answerText(response: HttpResponse, status: string, text: string): void {
  response.cork(() => {
    response.writeStatus(status);
    finish(response, "text/plain; charset=utf-8", text);
  });
}

function finish(response: HttpResponse, type: string, body: string): void {
  response.writeHeader("Content-Type", type).writeHeader("Cache-Control", "no-store").end(body, true);
}
