import { describe, expect, it } from "vitest";
import { NatsOperation, operations } from "../../bench/generator/nats-operation.js";

/** Everything that is whole in these bytes, and where reading stopped. */
function readAll(bytes: Uint8Array, from = 0, end = bytes.length) {
  const operation = new NatsOperation();
  const found: unknown[] = [];
  let at = from;
  for (;;) {
    const next = operation.read(bytes, at, end);
    if (next < 0) return { found, at };
    at = next;
    const { kind, subscription, replyFrom, replyTo } = operation;
    if (kind !== operations.message) found.push([kind, operation.text(bytes)]);
    else {
      const reply = Buffer.from(bytes.subarray(replyFrom, replyTo)).toString();
      found.push([kind, subscription, reply, operation.text(bytes)]);
    }
  }
}

const stream = Buffer.from(
  'INFO {"server_id":"N","headers":true}\r\n' +
    "PONG\r\n" +
    "MSG device.d0000007 1 5\r\nhello\r\n" +
    "MSG device.d0000007 12 $JS.ACK.DEVICES.d0000007.1.120.9.1700000000000000000.0 11\r\nMSG a 1 \r\n3\r\n" +
    "MSG receipt.d0000007 2  2\r\n{}\r\n" +
    "PING\r\n" +
    "+OK\r\n" +
    "MSG device.d0000007 1 0\r\n\r\n" +
    "-ERR 'Slow Consumer'\r\n",
);
const all = [
  [operations.info, 'INFO {"server_id":"N","headers":true}'],
  [operations.pong, "PONG"],
  [operations.message, 1, "", "hello"],
  [operations.message, 12, "$JS.ACK.DEVICES.d0000007.1.120.9.1700000000000000000.0", "MSG a 1 \r\n3"],
  [operations.message, 2, "", "{}"],
  [operations.ping, "PING"],
  [operations.ok, "+OK"],
  [operations.message, 1, "", ""],
  [operations.error, "-ERR 'Slow Consumer'"],
];

describe("operations of a NATS server", () => {
  it("are lines, and messages with or without a reply subject and payload", () => {
    expect(readAll(stream)).toEqual({ found: all, at: stream.length });
  });

  it("are the same wherever the stream is cut", () => {
    for (let cut = 0; cut <= stream.length; cut++) {
      const first = readAll(stream, 0, cut);
      const rest = readAll(stream, first.at);
      expect([...first.found, ...rest.found]).toEqual(all);
    }
  });

  it("never read beyond what has come, whatever lies there from an earlier read", () => {
    const memory = Buffer.alloc(200, "9\r\n");
    Buffer.from("MSG device.d0000007 1 1").copy(memory);
    expect(new NatsOperation().read(memory, 0, 23)).toBe(-1);
    expect(new NatsOperation().read(memory, 0, 24)).toBe(-1);
  });

  it("are refused when they are none", () => {
    const read = (text: string) => () => readAll(Buffer.from(text));
    expect(read("HMSG a 1 12 17\r\nNATS/1.0\r\n\r\nhello\r\n")).toThrow(/begins with byte 72/);
    expect(read("MSG a 1 x\r\nhello\r\n")).toThrow(/how long/);
    expect(read("MSG a 1 4\r\nhello\r\n")).toThrow(/ends where it said/);
  });
});
