/** Which dialect a run's devices speak (dialect.ts), with what it needs to know, and the scanner that goes with it. */
import type { DeviceEvents, Dialect, Wire } from "./dialect.js";
import { InterlineDialect, type InterlineManners, type SignIn, type Windows } from "./interline-dialect.js";
import { JetStreamDialect } from "./jetstream-dialect.js";
import type { Mix } from "./mix.js";
import { MqttDialect } from "./mqtt-dialect.js";
import { NatsDialect } from "./nats-dialect.js";
import { RawScanner } from "./raw-scanner.js";
import type { ReadMemory, Scanner } from "./reads.js";
import { RedisDialect } from "./redis-dialect.js";
import { RelayDialect, type RelayManners } from "./relay-dialect.js";
import { FrameScanner } from "./scanner.js";
import { type GroupName, SizedSends } from "./sized-sends.js";
import { SocketIoDialect } from "./socket-io-dialect.js";
import { XmppDialect, type XmppDomain } from "./xmpp-dialect.js";

export type DialectChoice =
  | { readonly name: "relay"; readonly manners: RelayManners }
  | { readonly name: "mqtt" }
  | { readonly name: "nats" | "jetstream" | "socket.io" }
  | { readonly name: "redis"; readonly durability: number }
  | { readonly name: "xmpp"; readonly domain: XmppDomain }
  | {
      readonly name: "interline";
      readonly signIns: readonly SignIn[];
      readonly windows: Windows;
      readonly manners?: InterlineManners;
      /** Of a mix's groups. */
      readonly groups?: readonly GroupName[];
    };

interface DialectNeeds {
  readonly devices: number;
  readonly payloadBytes: number;
  readonly dialect: DialectChoice;
}

export function newScanner(devices: number, memory: ReadMemory, dialect: Dialect): Scanner {
  return dialect.framing === "raw"
    ? new RawScanner(devices, memory, dialect)
    : new FrameScanner(devices, memory, dialect);
}

export function newDialect(
  options: DialectNeeds,
  events: DeviceEvents,
  memory: ReadMemory,
  wire: Wire,
  mix: Mix | undefined,
): Dialect {
  const { devices, dialect, payloadBytes } = options;
  const common = { events, wire, devices, payloadBytes };
  switch (dialect.name) {
    case "relay":
      return new RelayDialect(events, wire, payloadBytes, dialect.manners);
    case "mqtt":
      return new MqttDialect(common);
    case "nats":
      return new NatsDialect(common);
    case "jetstream":
      return new JetStreamDialect(common);
    case "redis":
      return new RedisDialect({ ...common, durability: dialect.durability });
    case "socket.io":
      return new SocketIoDialect(common);
    case "xmpp":
      return new XmppDialect({ ...common, domain: dialect.domain });
    case "interline": {
      const { signIns, windows, manners = {}, groups = [] } = dialect;
      const { view } = memory;
      return new InterlineDialect({
        events,
        wire,
        view,
        payloadBytes,
        signIns,
        windows,
        manners,
        ...(mix && { sized: new SizedSends(mix, groups) }),
      });
    }
  }
}
