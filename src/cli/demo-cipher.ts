/**
 * A stand-in for the apps' end-to-end encryption, for `interline demo` only: a
 * fresh ECDH P-256 key for each payload, HKDF-SHA-256, AES-256-GCM.
 *
 *   payload  | ephemeral public key 65 | iv 12 | ciphertext and tag |
 *
 * It hides plaintext from the engine, which is what the demo shows. It
 * authenticates nobody and forgets no key: it is not a messaging protocol. The
 * repository's `npm run demo` shows the same with the Signal protocol.
 */
const CURVE = { name: "ECDH", namedCurve: "P-256" } as const;
const PUBLIC_KEY_BYTES = 65;
const IV_BYTES = 12;
const LABEL = new TextEncoder().encode("interline demo");

type KeyPair = Awaited<ReturnType<typeof generate>>;
type PublicKey = KeyPair["publicKey"];
type PrivateKey = KeyPair["privateKey"];

/** One device's keys. */
export class DemoCipher {
  readonly #keys: KeyPair;

  private constructor(keys: KeyPair) {
    this.#keys = keys;
  }

  static async create(): Promise<DemoCipher> {
    return new DemoCipher(await generate());
  }

  /** What other devices encrypt to. */
  get publicKey(): PublicKey {
    return this.#keys.publicKey;
  }

  async decrypt(payload: Uint8Array): Promise<string> {
    const head = PUBLIC_KEY_BYTES + IV_BYTES;
    const theirs = await crypto.subtle.importKey("raw", payload.slice(0, PUBLIC_KEY_BYTES), CURVE, true, []);
    const key = await agree(this.#keys.privateKey, theirs);
    const iv = payload.slice(PUBLIC_KEY_BYTES, head);
    const plain = await crypto.subtle.decrypt({ name: "AES-GCM", iv }, key, payload.slice(head));
    return new TextDecoder().decode(plain);
  }
}

export async function encryptFor(publicKey: PublicKey, text: string): Promise<Uint8Array> {
  const ours = await generate();
  const key = await agree(ours.privateKey, publicKey);
  const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES));
  const plain = new TextEncoder().encode(text);
  const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, plain);
  const head = await crypto.subtle.exportKey("raw", ours.publicKey);
  return Buffer.concat([new Uint8Array(head), iv, new Uint8Array(sealed)]);
}

function generate() {
  return crypto.subtle.generateKey(CURVE, true, ["deriveBits"]);
}

async function agree(ours: PrivateKey, theirs: PublicKey) {
  const bits = await crypto.subtle.deriveBits({ name: "ECDH", public: theirs }, ours, 256);
  const secret = await crypto.subtle.importKey("raw", bits, "HKDF", false, ["deriveKey"]);
  const derivation = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(32), info: LABEL };
  return crypto.subtle.deriveKey(derivation, secret, { name: "AES-GCM", length: 256 }, false, [
    "encrypt",
    "decrypt",
  ]);
}
