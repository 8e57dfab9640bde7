/**
 * What a device of the benchmark writes in XMPP (RFC 6120, 6121; stream
 * management: XEP-0198), as text. Names and base64 need no escaping.
 */
const XMPP_RESOURCE = "b";

/** The id of the one request that a device makes. */
export const BIND_ID = "bind";

const STREAM_MANAGEMENT = "urn:xmpp:sm:3";

export function streamHeader(domain: string): string {
  return (
    `<?xml version='1.0'?><stream:stream to='${domain}' version='1.0' ` +
    "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
  );
}

/** SASL PLAIN (RFC 4616). */
export function plainAuth(name: string, password: string): string {
  const response = Buffer.from(`\0${name}\0${password}`, "utf8").toString("base64");
  return `<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>${response}</auth>`;
}

export function bindRequest(): string {
  return (
    `<iq type='set' id='${BIND_ID}'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>` +
    `<resource>${XMPP_RESOURCE}</resource></bind></iq>`
  );
}

/** Available for messages, and every stanza from here on is acked by the other side. */
export function presenceAndManagement(): string {
  return `<presence/><enable xmlns='${STREAM_MANAGEMENT}' resume='true'/>`;
}

/** Digits of the count in an answer: leading zeros are allowed, and keep it of one length. */
export const HANDLED_DIGITS = 10;
export const HANDLED_HEAD = `<a xmlns='${STREAM_MANAGEMENT}' h='`;
export const HANDLED_TAIL = "'/>";

/** In front of the target's name, and between it and the payload's base64. */
export const MESSAGE_HEAD = "<message type='chat' to='";
export function messageMiddle(domain: string): string {
  return `@${domain}/${XMPP_RESOURCE}'><body>`;
}
export const MESSAGE_TAIL = "</body></message>";

/** In-band registration (XEP-0077), before sign-in. */
export function registerRequest(id: number, name: string, password: string): string {
  return (
    `<iq type='set' id='${id}'><query xmlns='jabber:iq:register'>` +
    `<username>${name}</username><password>${password}</password></query></iq>`
  );
}
