/**
 * Agreements with other accounts about signals and presence. They are the account's, not this device's. What passes is what
 * **both** sides have agreed to; what the other side has agreed to is not told, only seen by what comes.
 */
import { COVERS_ALL, coverage, readAgreements } from "../wire/contacts.js";
import { Fields } from "../wire/fields.js";
import { badFrame } from "../wire/msgpack.js";
import type { MsgpackMap } from "../wire/msgpack-value.js";
import type { PresenceFrame } from "../wire/server-frames.js";
import type { Emitter } from "./emitter.js";
import type { InterlineError } from "./errors.js";
import { accountOfLike } from "./requests.js";
import type { AccountLike, Agreement, AgreementScope, Ask, ClientEvents } from "./types.js";

/** Before a refusal that does not say when is tried again. */
const RETRY_MS = 250;

export class Contacts {
  readonly #ask: Ask;
  readonly #emitter: Emitter<ClientEvents>;
  #isWatching = false;
  /** What a connection is asked on its own account has no answer yet: if it is lost, the next one is asked the same. */
  #isAskedAgain = false;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(ask: Ask, emitter: Emitter<ClientEvents>) {
    this.#ask = ask;
    this.#emitter = emitter;
  }

  /**
   * Adds to what this account agrees to with the other: signals, presence, or both without `scope`. Durable, and in effect, when it
   * resolves. Rejects with `brandsClosed`, `tooManyContacts` and `rateLimited`; never for what the other account is.
   */
  async allow(account: AccountLike, scope?: AgreementScope): Promise<void> {
    await this.#change("contacts.allow", account, scope);
  }

  /** Takes back, everything without `scope`. When it resolves nothing passes any more. Rejects with `rateLimited`. */
  async withdraw(account: AccountLike, scope?: AgreementScope): Promise<void> {
    await this.#change("contacts.withdraw", account, scope);
  }

  /** What this account has agreed to, oldest first. */
  list(): Promise<readonly Agreement[]> {
    return this.#ask({ method: "contacts.list", isRepeatable: true }, (body) =>
      readAgreements(new Fields(body, badFrame)).map(({ account, covers }) => ({
        account,
        signals: (covers & coverage.signals) !== 0,
        presence: (covers & coverage.presence) !== 0,
      })),
    );
  }

  /**
   * From now on, over all connections, `presence` events say who of those with an agreement is here. Right after each
   * connection they say it of everybody in the list.
   */
  async watchPresence(): Promise<void> {
    this.#isWatching = true;
    await this.#watch();
  }

  async unwatchPresence(): Promise<void> {
    this.#isWatching = false;
    clearTimeout(this.#retryTimer);
    await this.#ask({ method: "presence.unwatch", isRepeatable: true }, nothing);
  }

  /** What an earlier connection asked for, this one has to ask for again. For Client. */
  welcomed(): void {
    clearTimeout(this.#retryTimer);
    if (this.#isWatching && !this.#isAskedAgain) void this.#watchAgain();
  }

  /**
   * Nobody waits for it, and nobody but it would notice that the node did not take it, because whatever else was open was
   * asked of the new connection first.
   */
  async #watchAgain(): Promise<void> {
    this.#isAskedAgain = true;
    const refused: InterlineError | undefined = await this.#watch().catch((error) => error);
    this.#isAskedAgain = false;
    if (refused?.retry !== "later" || !this.#isWatching) return;
    this.#retryTimer = setTimeout(() => this.welcomed(), refused.retryAfterMs || RETRY_MS);
  }

  #watch(): Promise<void> {
    return this.#ask({ method: "presence.watch", isRepeatable: true }, nothing);
  }

  /** For Client. */
  told({ online, offline }: PresenceFrame): void {
    for (const account of online) this.#emitter.emit("presence", { account, isOnline: true });
    for (const account of offline) this.#emitter.emit("presence", { account, isOnline: false });
  }

  #change(method: string, account: AccountLike, scope?: AgreementScope): Promise<void> {
    const body = { account: accountOfLike(account), covers: coversOf(scope) };
    return this.#ask({ method, body, isRepeatable: true }, nothing);
  }
}

function nothing(_body: MsgpackMap): void {}

function coversOf(scope: AgreementScope | undefined): number {
  return scope === undefined ? COVERS_ALL : coverage[scope];
}
