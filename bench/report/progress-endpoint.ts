/**
 * A load run's progress for whoever scrapes it, in Prometheus' text format, on
 * 127.0.0.1: `GET /metrics` answers with the last look (measure/load-monitor.ts).
 */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { Counter, Gauge, Registry } from "prom-client";
import { type LoadStatus, loadPhases } from "../measure/load-monitor.js";

interface Reading {
  readonly name: string;
  readonly help: string;
  readonly kind: typeof Counter | typeof Gauge;
  /** Null where nothing is known. */
  readonly read: (status: LoadStatus) => number | null;
}

const seconds = (ms: number | null) => (ms === null ? null : ms / 1000);

const readings: readonly Reading[] = [
  { name: "sent_total", help: "Sends made.", kind: Counter, read: ({ sent }) => sent },
  {
    name: "delivered_total",
    help: "Messages that arrived at their device.",
    kind: Counter,
    read: ({ delivered }) => delivered,
  },
  {
    name: "receipted_total",
    help: "Sends with a receipt.",
    kind: Counter,
    read: ({ receipted }) => receipted,
  },
  {
    name: "refused_total",
    help: "Sends refused for overload, and repeated.",
    kind: Counter,
    read: ({ refused }) => refused,
  },
  {
    name: "unanswered",
    help: "Sends with neither receipt nor refusal, or pushed back.",
    kind: Gauge,
    read: ({ unanswered }) => unanswered,
  },
  {
    name: "sent_per_second",
    help: "Sends per second since the last look.",
    kind: Gauge,
    read: ({ sentPerSec }) => sentPerSec,
  },
  {
    name: "delivered_per_second",
    help: "Deliveries per second since the last look.",
    kind: Gauge,
    read: ({ deliveredPerSec }) => deliveredPerSec,
  },
  {
    name: "delivery_p99_seconds",
    help: "From meaning to send to arrival, 99th percentile since the window opened.",
    kind: Gauge,
    read: ({ deliveryP99Ms }) => seconds(deliveryP99Ms),
  },
  {
    name: "receipt_p99_seconds",
    help: "From meaning to send to the receipt, 99th percentile since the window opened.",
    kind: Gauge,
    read: ({ receiptP99Ms }) => seconds(receiptP99Ms),
  },
  {
    name: "generator_lag_p99_seconds",
    help: "From meaning to send to handing it to a socket, 99th percentile since the window opened.",
    kind: Gauge,
    read: ({ lagP99Ms }) => seconds(lagP99Ms),
  },
  {
    name: "remaining_seconds",
    help: "Until the window closes.",
    kind: Gauge,
    read: ({ remainingMs }) => seconds(remainingMs),
  },
];

const PREFIX = "interline_load_";

export class ProgressEndpoint {
  readonly port: number;
  #status: LoadStatus | undefined;
  readonly #server: Server;

  private constructor(server: Server, registry: Registry) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
    const status = () => this.#status;
    for (const reading of readings) register(registry, reading, status);
    new Gauge({
      name: `${PREFIX}phase`,
      help: "What the run is doing: 1 for that, 0 for the rest.",
      labelNames: ["phase"],
      registers: [registry],
      collect() {
        const phase = status()?.phase ?? loadPhases[0];
        for (const name of loadPhases) this.set({ phase: name }, name === phase ? 1 : 0);
      },
    });
  }

  /** Port 0: any that is free. Rejects when the port is taken. */
  static async start(port: number): Promise<ProgressEndpoint> {
    const registry = new Registry();
    const server = createServer(async (request, response) => {
      const isMetrics = request.url === "/metrics";
      response.writeHead(isMetrics ? 200 : 404, { "content-type": registry.contentType });
      response.end(isMetrics ? await registry.metrics() : "see /metrics\n");
    });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject).listen(port, "127.0.0.1", resolve);
    });
    return new ProgressEndpoint(server, registry);
  }

  tell(status: LoadStatus): void {
    this.#status = status;
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

function register(registry: Registry, reading: Reading, status: () => LoadStatus | undefined): void {
  const value = () => {
    const present = status();
    return present === undefined ? null : reading.read(present);
  };
  const common = { name: PREFIX + reading.name, help: reading.help, registers: [registry] };
  if (reading.kind === Gauge) {
    new Gauge({
      ...common,
      collect() {
        this.set(value() ?? Number.NaN);
      },
    });
    return;
  }
  new Counter({
    ...common,
    collect() {
      this.reset();
      this.inc(value() ?? 0);
    },
  });
}
