/** The literal messages of test/vectors/transfer.json, which strangers write transfers against: made with other code. */
import { createECDH } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { fromHex, toHex } from "../../src/base/bytes.js";
import { chainDigest, EMPTY_DIGEST, importPrivateKey, RunCipher } from "../../src/client/transfer-cipher.js";
import {
  endBody,
  formatInvitation,
  numberedNonce,
  offerBody,
  parseInvitation,
  progressBody,
  readCancel,
  readEnd,
  readMessage,
  readOffer,
  readProgress,
} from "../../src/client/transfer-format.js";
import { vectorBytes } from "../wire/vectors.js";

type Hex = string;
interface Party {
  readonly address: Hex;
  readonly privateKey: Hex;
  readonly publicKey: Hex;
}
const vectors: {
  readonly invitation: string;
  readonly transfer: Hex;
  readonly secret: Hex;
  readonly run: Hex;
  readonly newDevice: Party;
  readonly oldDevice: Party;
  readonly messages: readonly { name: string; from: "old" | "new"; body: Hex; hex: Hex }[];
  readonly digests: readonly { name: string; chunks: (Hex | { byte: Hex; times: number })[]; digest: Hex }[];
} = JSON.parse(readFileSync(new URL("../vectors/transfer.json", import.meta.url), "utf8"));

const bytesOf = (hex: Hex): Uint8Array => fromHex(hex) as Uint8Array;

/** WebCrypto takes no bare scalar: it is wrapped as PKCS #8 (RFC 5915), with its public key. */
async function privateKeyOf({ privateKey }: Party): Promise<CryptoKey> {
  const pair = createECDH("prime256v1");
  pair.setPrivateKey(Buffer.from(privateKey, "hex"));
  const head = "308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420";
  return importPrivateKey(bytesOf(`${head}${privateKey}a144034200${pair.getPublicKey("hex")}`));
}

async function cipherOf(side: "old" | "new"): Promise<RunCipher> {
  const { oldDevice, newDevice, invitation, run } = vectors;
  const [self, peer] = side === "old" ? [oldDevice, newDevice] : [newDevice, oldDevice];
  return RunCipher.derive({
    invitation: parseInvitation(invitation),
    run: bytesOf(run),
    self: bytesOf(self.address),
    peer: bytesOf(peer.address),
    privateKey: await privateKeyOf(self),
    peerPublicKey: bytesOf(peer.publicKey),
    oldPublicKey: bytesOf(oldDevice.publicKey),
  });
}

test("the invitation reads as what it is made of, and is made of it", () => {
  const parsed = parseInvitation(vectors.invitation);
  const { newDevice, transfer, secret } = vectors;
  const expected = { device: newDevice.address, transfer, secret, publicKey: newDevice.publicKey };
  expect(Object.fromEntries(Object.entries(parsed).map(([key, bytes]) => [key, toHex(bytes)]))).toEqual(
    expected,
  );
  expect(formatInvitation(parsed)).toBe(vectors.invitation);
});

describe("a message", () => {
  test.each(vectors.messages)(
    "$name of the $from device opens, and is sealed so",
    async ({ name, from, body, hex }) => {
      const bytes = bytesOf(hex);
      const message = readMessage(bytes);
      if (message === undefined) throw new Error("it is no message");
      expect(message.type).toBe(name);
      const opened = await (await cipherOf(from === "old" ? "new" : "old")).open(message);
      expect(toHex(opened)).toBe(body);
      const { nonce, publicKey, type } = message;
      const fields = publicKey.length > 0 ? { nonce, publicKey } : { nonce };
      expect(await (await cipherOf(from)).seal(type, opened, fields)).toEqual(bytes);
    },
  );

  test("says what the format says", () => {
    const [offer, first, , end, ask, last, gone] = vectors.messages.map(({ body }) =>
      bytesOf(body),
    ) as Uint8Array[];
    expect(readOffer(offer as Uint8Array)).toBe(1000);
    expect(offerBody(1000)).toEqual(offer);
    const nothing = { next: 0, bytes: 0, digest: EMPTY_DIGEST, wantsRepeat: false, isComplete: false };
    expect(readProgress(first as Uint8Array)).toEqual(nothing);
    const { bytes, digest } = readEnd(end as Uint8Array);
    expect([bytes, toHex(digest)]).toEqual([7, vectors.digests[1]?.digest]);
    expect(endBody({ bytes, digest })).toEqual(end);
    expect(ask).toHaveLength(0);
    const complete = { next: 2, bytes, digest, wantsRepeat: true, isComplete: true };
    expect(readProgress(last as Uint8Array)).toEqual(complete);
    expect(progressBody(complete)).toEqual(last);
    expect(readCancel(gone as Uint8Array)).toBe(641);
    expect(toHex(numberedNonce("end", 1))).toBe("030000000000000000000001");
  });

  test("of which any bit is turned does not open, or is none", async () => {
    const cipher = await cipherOf("new");
    const { hex } = vectors.messages[2] as { hex: Hex };
    for (let bit = 0; bit < hex.length * 4; bit++) {
      const bytes = bytesOf(hex);
      bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7));
      const message = readMessage(bytes);
      if (message === undefined) continue;
      await expect(cipher.open(message), `bit ${bit}`).rejects.toThrow(
        expect.objectContaining({ code: "transferTampered" }),
      );
    }
  });

  test("does not open for the side that sealed it", async () => {
    const message = readMessage(bytesOf((vectors.messages[2] as { hex: Hex }).hex));
    const cipher = await cipherOf("old");
    await expect(cipher.open(message as never)).rejects.toThrow(
      expect.objectContaining({ code: "transferTampered" }),
    );
  });
});

test.each(vectors.digests)("the digest of $name", async ({ chunks, digest }) => {
  let chain: Uint8Array = EMPTY_DIGEST;
  for (const hex of chunks) chain = await chainDigest(chain, vectorBytes({ hex: [hex] }));
  expect(toHex(chain)).toBe(digest);
});
