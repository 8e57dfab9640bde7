/**
 * The one registry of refusals. A code is never reused or renumbered.
 * Ranges: 1xx frames, 2xx sign-in, 3xx the send itself, 4xx capacity,
 * 5xx the connection's end, 6xx requests (64x own sends, and the transfers that
 * devices make with them), 7xx the data directory and the start of a node
 * (never on the wire).
 *
 * `retry`: `never` — the same bytes will be refused again; `repair` — after
 * the change the refusal names; `now`; `later` — after `retryAfterMs`.
 * When a code ends a connection the WebSocket close code is 4000 + code.
 */
export type RetryAdvice = "never" | "repair" | "now" | "later";

interface CodeEntry {
  readonly code: number;
  readonly retry: RetryAdvice;
  readonly message: string;
}

export const codes = {
  badFrame: {
    code: 101,
    retry: "never",
    message: "the message holds bytes that are not a frame of this protocol",
  },
  frameTooLarge: { code: 102, retry: "never", message: "the message is larger than messageBytesMax" },
  payloadTooLarge: { code: 103, retry: "never", message: "a payload is larger than payloadBytesMax" },
  tooManyRecipients: {
    code: 104,
    retry: "never",
    message: "the send names more accounts or devices than allowed",
  },
  helloExpected: {
    code: 105,
    retry: "never",
    message: "the first frame must be hello, and nothing may precede welcome",
  },
  helloTimeout: { code: 106, retry: "now", message: "no hello arrived in time" },

  tokenInvalid: { code: 201, retry: "repair", message: "the token was not accepted" },
  tokenExpired: { code: 202, retry: "repair", message: "the token has expired; get a fresh one" },
  signInUnavailable: { code: 203, retry: "later", message: "the brand's keys cannot be read now" },
  tooManyDevices: { code: 204, retry: "never", message: "the account has as many devices as it may have" },
  tokenRevoked: {
    code: 205,
    retry: "repair",
    message: "the token is older than the removal of its device or account; a newer one may help",
  },
  deviceUnknown: { code: 206, retry: "repair", message: "nobody has registered this device" },
  nameTaken: { code: 207, retry: "never", message: "the name belongs to another account" },
  tooManyNames: { code: 208, retry: "never", message: "the account has as many names as it may have" },

  deliveryTokenRefused: {
    code: 220,
    retry: "repair",
    message: "this delivery token opens no such account",
  },
  sealedTooFast: {
    code: 221,
    retry: "later",
    message: "the connection sends more sealed envelopes than it may in this time",
  },
  unidentified: {
    code: 222,
    retry: "never",
    message: "an unidentified connection sends sealed envelopes, requests and pings, nothing else",
  },

  rosterStale: {
    code: 301,
    retry: "repair",
    message: "the send does not cover exactly the devices listed by the rosters",
  },
  brandsClosed: { code: 302, retry: "never", message: "envelopes do not cross between these two brands" },
  repeatedRecipient: {
    code: 303,
    retry: "never",
    message: "the send names an account or a device twice, or the sending device itself",
  },
  groupUnknown: { code: 310, retry: "never", message: "no group of this address has the sender as a member" },
  groupStale: { code: 311, retry: "repair", message: "the group's roster has another version by now" },
  blockSurplus: {
    code: 312,
    retry: "repair",
    message: "a block is for a device that does not get the send",
  },

  overloaded: { code: 401, retry: "later", message: "the node holds as much uncommitted work as it may" },
  diskLow: {
    code: 402,
    retry: "later",
    message: "the node's disk is nearly full: delivery goes on, sends wait",
  },
  brandQuota: { code: 403, retry: "later", message: "the recipient's brand has as much queued as it may" },
  tooManyConnections: { code: 404, retry: "later", message: "the node has as many connections as it may" },
  rateLimited: {
    code: 405,
    retry: "later",
    message: "more of this was asked for than is allowed in this time",
  },

  replaced: { code: 501, retry: "never", message: "a newer connection of the same device took over" },
  draining: { code: 502, retry: "later", message: "the node is going down; connect again later" },
  tooSlow: {
    code: 503,
    retry: "now",
    message: "the connection read too slowly; what it missed stays queued",
  },
  silent: { code: 504, retry: "now", message: "the connection showed no progress in time" },
  storageFailed: { code: 505, retry: "later", message: "the node's storage failed and the node stops" },
  revoked: { code: 510, retry: "never", message: "the device was removed from its account" },

  requestUnknown: { code: 601, retry: "never", message: "no request of this kind is known" },
  positionAhead: { code: 602, retry: "repair", message: "the position is beyond what this queue ever held" },

  badRequest: { code: 610, retry: "never", message: "the body of the request is not what the method takes" },
  notFound: { code: 611, retry: "never", message: "it does not exist, or is not for the one who asks" },
  notAllowed: { code: 612, retry: "never", message: "the one who asks may not do this" },
  tooManyRequests: {
    code: 613,
    retry: "later",
    message: "as many requests of this connection are under way as may be",
  },

  keysMissing: { code: 620, retry: "later", message: "the device has no keys of this suite" },
  tooManyKeys: { code: 621, retry: "never", message: "more keys of a kind than a device may have stored" },
  keyTooLarge: { code: 622, retry: "never", message: "a key is larger than keyBytesMax" },
  groupFull: {
    code: 630,
    retry: "never",
    message: "the group would have more members than a group may have",
  },
  memberAlready: {
    code: 631,
    retry: "repair",
    message: "an account is to be added that is a member already, or is named twice",
  },
  memberUnknown: {
    code: 632,
    retry: "repair",
    message: "an account is named that is no member of the group",
  },
  lastAdmin: { code: 633, retry: "never", message: "the group would have no admin" },
  groupBusy: {
    code: 634,
    retry: "later",
    message: "the members have yet to be told of an earlier change of the group",
  },
  tooManyGroups: {
    code: 635,
    retry: "never",
    message: "an account is in as many groups as it may be",
  },

  deviceNotOwn: { code: 640, retry: "repair", message: "the account has no other device of this number" },
  transferCancelled: { code: 641, retry: "never", message: "the transfer was given up" },
  transferTampered: {
    code: 642,
    retry: "never",
    message: "a message of the transfer is not as the other device sent it",
  },
  transferTooLarge: { code: 643, retry: "never", message: "the transfer is larger than it may be" },
  transferChanged: { code: 644, retry: "never", message: "what is sent is not what the transfer began with" },
  transferBroken: { code: 645, retry: "later", message: "parts of the transfer go missing again and again" },
  invitationBad: {
    code: 646,
    retry: "never",
    message: "the invitation cannot be read, or is not of another device of this account",
  },
  tooManyContacts: {
    code: 650,
    retry: "repair",
    message: "the account has agreed with as many others as it may",
  },

  directoryInUse: { code: 701, retry: "later", message: "another node has the data directory open" },
  directoryUnknown: {
    code: 702,
    retry: "never",
    message: "the data directory is not of a format that this node can read",
  },
  directoryDamaged: { code: 703, retry: "never", message: "the data directory cannot be opened" },

  badConfiguration: { code: 711, retry: "repair", message: "the configuration cannot be used" },
  cannotListen: { code: 712, retry: "repair", message: "the node cannot listen for connections" },
  unsupportedPlatform: { code: 713, retry: "repair", message: "the node cannot run on this platform" },
} as const satisfies Record<string, CodeEntry>;

export type CodeName = keyof typeof codes;

const byNumber = new Map<number, CodeName>(
  (Object.keys(codes) as CodeName[]).map((name) => [codes[name].code, name]),
);

/** The registry's name for a number, or undefined for a number from a newer server. */
export function codeName(code: number): CodeName | undefined {
  return byNumber.get(code);
}

/** The WebSocket close code for a registry code. */
export function closeCode(name: CodeName): number {
  return 4000 + codes[name].code;
}
