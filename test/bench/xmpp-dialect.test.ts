import { describe, expect, it } from "vitest";
import type { DeviceEvents } from "../../bench/generator/dialect.js";
import {
  COUNTER_OFFSET,
  fillPayload,
  SENDER_OFFSET,
  STAMP_OFFSET,
  TARGET_OFFSET,
} from "../../bench/generator/payload.js";
import { RawScanner } from "../../bench/generator/raw-scanner.js";
import { ReadMemory } from "../../bench/generator/reads.js";
import { XmppDialect } from "../../bench/generator/xmpp-dialect.js";

const PAYLOAD_BYTES = 256;
const ACK_REQUEST = "<r xmlns='urn:xmpp:sm:3'/>";
const STREAM =
  "<?xml version='1.0'?><stream:stream id='1' version='1.0' xml:lang='en' " +
  "xmlns:stream='http://etherx.jabber.org/streams' from='localhost' xmlns='jabber:client'>";

/** A dialect of two devices, what it wrote, and what it told the workload. */
function setUp({ takesWrites = true } = {}) {
  const written: Uint8Array[] = [];
  const events: unknown[][] = [];
  const memory = new ReadMemory();
  const tell: DeviceEvents = {
    ready: (...told) => events.push(["ready", ...told]),
    delivered: (device, at) => {
      const words = [TARGET_OFFSET, SENDER_OFFSET, COUNTER_OFFSET, STAMP_OFFSET];
      events.push(["delivered", device, ...words.map((offset) => memory.view.getUint32(at + offset, true))]);
    },
    receipted: (...told) => events.push(["receipted", ...told]),
    refused: (...told) => events.push(["refused", ...told]),
    broken: (...told) => events.push(["broken", ...told]),
  };
  const dialect = new XmppDialect({
    events: tell,
    wire: {
      write(_device, bytes) {
        // Without a copy: a slab that is written to again before it was taken shows.
        written.push(takesWrites ? bytes.slice() : bytes);
        return takesWrites;
      },
    },
    devices: 2,
    payloadBytes: PAYLOAD_BYTES,
    domain: { domain: "localhost", password: "secret" },
  });
  const scanner = new RawScanner(2, memory, dialect);
  const receive = (device: number, text: string) => {
    memory.readBuffer.write(text, "latin1");
    scanner.scan(device, text.length);
  };
  const texts = () => written.map((bytes) => Buffer.from(bytes).toString("latin1"));
  return { dialect, written, texts, events, receive };
}

function payloadOf(words: { target: number; sender: number; counter: number; stamp: number }): Buffer {
  const payload = Buffer.alloc(PAYLOAD_BYTES);
  fillPayload(payload);
  payload.writeUInt32LE(words.target, TARGET_OFFSET);
  payload.writeUInt32LE(words.sender, SENDER_OFFSET);
  payload.writeUInt32LE(words.counter, COUNTER_OFFSET);
  payload.writeUInt32LE(words.stamp, STAMP_OFFSET);
  return payload;
}

/** A message as a server hands it on, with an attribute that holds what ends a tag elsewhere. */
function delivery(counter: number): string {
  const payload = payloadOf({ target: 0, sender: 1, counter, stamp: 0xfedcba98 });
  return (
    "<message xml:lang='en' to='d0000000@localhost/b' from='d0000001@localhost/b' type='chat' odd='/>'>" +
    `<body>${payload.toString("base64")}</body></message>`
  );
}

function deliveredOf(counter: number): unknown[] {
  return ["delivered", 0, 0, 1, counter, 0xfedcba98];
}

describe("the generator's XMPP", () => {
  it("signs in with a password, binds, says that it is present, and is ready when its stream is managed", () => {
    const { dialect, texts, events, receive } = setUp();
    dialect.opened(1);
    receive(
      1,
      `${STREAM}<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>` +
        "<mechanism>PLAIN</mechanism><mechanism>X-OAUTH2</mechanism></mechanisms></stream:features>",
    );
    receive(1, "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    receive(
      1,
      `${STREAM}<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>`,
    );
    receive(
      1,
      "<iq xml:lang='en' type='result' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>" +
        "<jid>d0000001@localhost/b</jid></bind></iq>",
    );
    expect(events).toEqual([]);
    receive(1, "<enabled xmlns='urn:xmpp:sm:3' id='x' resume='true'/>");
    expect(events).toEqual([["ready", 1]]);
    const said = texts();
    expect(said).toHaveLength(5);
    expect(said[0]).toMatch(/^<\?xml version='1.0'\?><stream:stream to='localhost' version='1.0' /);
    expect(said[1]).toContain(`>${Buffer.from("\0d0000001\0secret").toString("base64")}</auth>`);
    expect(said[2]).toBe(said[0]);
    expect(said[3]).toMatch(/^<iq type='set' id='bind'>.*<resource>b<\/resource>/);
    expect(said[4]).toBe("<presence/><enable xmlns='urn:xmpp:sm:3' resume='true'/>");
  });

  it("says what the server refuses, sends back or ends", () => {
    const { events, receive } = setUp();
    receive(0, "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>");
    receive(0, `<message type='error' from='x'><body>${"A".repeat(344)}</body><error/></message>`);
    receive(0, "<message type='chat'><composing/></message>");
    receive(0, "<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>");
    receive(0, "</stream:stream>");
    expect(events.map(([name]) => name)).toEqual(new Array(5).fill("broken"));
  });

  it("writes messages with the target's address and the payload's own words", () => {
    const { dialect, texts } = setUp();
    dialect.send(1, 0, 11, 0x89abcdef);
    dialect.send(1, 1, 12, 22);
    dialect.flush(1);
    const message = (name: string, payload: Buffer) =>
      `<message type='chat' to='${name}@localhost/b'><body>${payload.toString("base64")}</body></message>`;
    expect(texts()).toEqual([
      message("d0000000", payloadOf({ target: 0, sender: 1, counter: 11, stamp: 0x89abcdef })) +
        message("d0000001", payloadOf({ target: 1, sender: 1, counter: 12, stamp: 22 })),
    ]);
  });

  it("answers a request for an ack with the stanzas since management began, in front of what it sends", () => {
    const { dialect, texts, events, receive } = setUp();
    receive(0, "<presence from='d0000000@localhost/b'/><enabled xmlns='urn:xmpp:sm:3'/>");
    receive(0, `<presence to='d0000000@localhost/b'/>${delivery(1)}${delivery(2)}${ACK_REQUEST}`);
    dialect.send(0, 1, 1, 1);
    dialect.flush(0);
    expect(events).toEqual([["ready", 0], deliveredOf(1), deliveredOf(2)]);
    expect(texts()).toHaveLength(1);
    expect(texts()[0]).toMatch(/^<a xmlns='urn:xmpp:sm:3' h='0000000003'\/><message /);
    dialect.flush(0);
    expect(texts()).toHaveLength(1);
    receive(0, ACK_REQUEST);
    dialect.flush(0);
    expect(texts()[1]).toBe("<a xmlns='urn:xmpp:sm:3' h='0000000003'/>");
  });

  it("reads the same wherever the stream is cut", () => {
    const stream = `${STREAM}<enabled xmlns='urn:xmpp:sm:3'/>\n${delivery(1)}${ACK_REQUEST} ${delivery(2)}`;
    const run = (cut: number) => {
      const { dialect, texts, events, receive } = setUp();
      receive(0, stream.slice(0, cut));
      receive(0, stream.slice(cut));
      dialect.flush(0);
      return { texts: texts(), events };
    };
    const whole = run(stream.length);
    expect(whole.events).toEqual([["ready", 0], deliveredOf(1), deliveredOf(2)]);
    expect(whole.texts).toEqual(["<a xmlns='urn:xmpp:sm:3' h='0000000002'/>"]);
    for (let cut = 0; cut < stream.length; cut++) expect(run(cut)).toEqual(whole);
  });

  it("leaves bytes alone that the kernel has not taken", () => {
    const { dialect, written } = setUp({ takesWrites: false });
    dialect.send(0, 1, 1, 1);
    dialect.flush(0);
    const pending = written.at(-1)!;
    const before = pending.slice();
    dialect.send(0, 0, 2, 2);
    dialect.flush(0);
    expect(pending).toEqual(before);
  });

  it("writes more sends of one read than one write holds", () => {
    const { dialect, texts } = setUp();
    for (let i = 0; i < 300; i++) dialect.send(0, 1, i + 1, 0);
    dialect.flush(0);
    expect(
      texts()
        .join("")
        .match(/<message /g),
    ).toHaveLength(300);
    expect(texts().length).toBeGreaterThan(1);
  });
});
