/**
 * Broken builds, one for each promise: the negative control of the test that
 * proves it. A mutant is a copy of dist/ in which named pieces of text are
 * replaced, each of them exactly once: a change of the engine that a mutation
 * no longer fits fails loudly instead of leaving a control that controls nothing.
 *
 * A mutation of the kernels is made in a copy of assembly/ and compiled.
 */
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { repositoryRoot } from "./node-process.js";

interface Replacement {
  /** In dist/, or in assembly/. */
  readonly file: string;
  readonly find: string;
  readonly put: string;
}

export const mutants = {
  /** A1, A2: receipts are due when the commit begins, and the commit reaches the system a little later. */
  receiptsBeforeFlush: [
    {
      file: "src/path/commit.js",
      find: "    const commit = state.store.commit({ records, dedupKeys, timeMs: moment.wallMs });",
      put: `    queueMicrotask(() => { state.kernel.committed(batch, moment.monotonicMs); state.wake(); });
    let begun;
    const copies = records.map(({ number, bytes }) => ({ number, bytes: bytes.slice() }));
    const commit = {
      durable: new Promise((resolve) => setTimeout(resolve, 60)).then(() => {
        begun = state.store.commit({ records: copies, dedupKeys, timeMs: moment.wallMs });
        return begun.durable;
      }),
      isDurable: (waitMs) => begun?.isDurable(waitMs) ?? false,
    };`,
    },
    {
      file: "src/path/commit.js",
      find: "    state.kernel.committed(underWay.batch, state.moment.monotonicMs);",
      put: "",
    },
  ],
  /** A7: sequences of a new run begin where those of the run before began. */
  epochStands: [
    {
      file: "src/store/recovery.js",
      find: "const epoch = number(metaKeys.epoch, 0) + 1;",
      put: "const epoch = Math.max(1, number(metaKeys.epoch, 0));",
    },
  ],
  /** A4: a write that failed counts as done. */
  failureIgnored: [
    {
      file: "src/store/journal-thread.js",
      find: "            Atomics.store(words, HAS_FAILED, 1);\n            say({ failure: error.message });\n",
      put: "",
    },
    {
      file: "src/store/writer.js",
      find: "await this.#database.write(batch);",
      put: "await this.#database.write(batch).catch(() => {});",
    },
  ],
  /** A6: every send is new. */
  dedupForgets: [
    {
      file: "assembly/dedup.ts",
      find: "  return isKnown(ordinal, id);\n",
      put: "  return false;\n",
    },
  ],
  /** A8: what comes from the disk is believed. */
  damageUnseen: [
    {
      file: "src/store/chunk-rows.js",
      find: "return row[4] === KIND_REFERENCE || readU32(row, 20) === crc32(row.subarray(headerBytesOf(row)));",
      put: "return true;",
    },
    {
      file: "src/store/journal-block.js",
      find: "|| readU32(block, 0) !== crc32(block.subarray(CRC_FROM))",
      put: "",
    },
  ],
  /** A9: what is removed leaves nothing in its place. */
  removedSilently: [
    {
      file: "src/store/queues.js",
      find: 'batch.put("queues", key, encodeRow(key, header, []));',
      put: "",
    },
  ],
  /** C3: accounts on disk go by their id alone. */
  brandOutOfKey: [
    {
      file: "src/store/schema.js",
      find: "    key[1] = partition;\n    key.set(address, 2);\n",
      put: "    key.set(address, 2);\n    key.fill(0, 0, 4);\n    key[3] = 1;\n",
    },
  ],
  /** C3: a key is found by its id alone, whoever it belongs to. */
  keyByIdAlone: [
    {
      file: "src/directory/sign-in.js",
      find: "const key = await brand.keys.find(algorithm, header.kid);",
      put: "let key; for (const other of this.#brands.values()) { key ??= await other.keys.find(algorithm, header.kid); }",
    },
  ],
  /** B2: one connection may make the host answer and load as much as it likes. */
  costUnbounded: [
    {
      file: "src/path/attachment.js",
      find: "return ++costs[what] <= max;",
      put: "return true;",
    },
  ],
  /** B6: every turn waits a little for each device that has been behind for some time. */
  slowAwaited: [
    {
      file: "src/path/catch-up.js",
      find: "export function catchUp(state) {\n",
      put: `export function catchUp(state) {
    for (const one of state.connections) {
        if (one === undefined) continue;
        one.behindSinceMs = state.kernel.isLive(one.slot) ? undefined : (one.behindSinceMs ?? performance.now());
        if (!(performance.now() - one.behindSinceMs > 200)) continue;
        for (const until = performance.now() + 1; performance.now() < until;);
    }
`,
    },
  ],
  /** B7: a peer may stay without ever saying hello. */
  helloAwaited: [
    {
      file: "src/edge/deadlines.js",
      find: 'link.end("helloTimeout", 0);',
      put: "link.slot = -1;",
    },
  ],
  /** Groups: a roster is written at once, and what tells of it a little later. */
  eventsApart: [
    {
      file: "src/store/groups.js",
      find: "            for (const notice of notices)\n                outbox.stageNotice(batch, notice);\n",
      put: `            setTimeout(() => void changes.add([], (later) => {
                for (const notice of notices) outbox.stageNotice(later, notice);
            }), 300);
`,
    },
  ],
  /** Groups: a change is written in two transactions: first without the newest member, then whole. */
  groupHalved: [
    {
      file: "src/store/groups.js",
      find: 'batch.put("groups", key, encodeGroup(key, group));',
      put: `{
                    const { members } = group;
                    batch.put("groups", key, encodeGroup(key, { ...group, members: members.slice(0, Math.max(1, members.length - 1)) }));
                    batch.whenWritten(() => void changes.add([], (later) => later.put("groups", key, encodeGroup(key, group))));
                }`,
    },
  ],
  /** C4: a device leaves its roster in one transaction, and its tokens are refused from the next. */
  tombstoneLater: [
    {
      file: "src/store/accounts.js",
      find: "tombstones.stageRemoval(batch, address, number, nowMs);",
      put: `tombstones.stageRemoval({
                    put: (table, key, row) => {
                        if (table !== "tombstones") batch.put(table, key, row);
                        else batch.whenWritten(() => void changes.add([], (later) => later.put(table, key, row)));
                    },
                }, address, number, nowMs);`,
    },
  ],
  /** A2: a spill gives up the journal's records with its first transaction. */
  releasedEarly: [
    {
      file: "src/store/spill.js",
      find: "const isDone = this.#stageSlice(batch, new Slice());",
      put: `if (!this.isReleased) this.#release(batch);
        this.isReleased = true;
        const isDone = this.#stageSlice(batch, new Slice());`,
    },
    { file: "src/store/spill.js", find: "            this.#release(batch);\n", put: "" },
  ],
  /** A6: what is spilled from the journal is not kept in mind any more. */
  dedupKeysSpilledAway: [{ file: "src/store/journal.js", find: "dedup.add(batch, spilled);", put: "" }],
  /** Signals: agreements are given before they are on the disk, where they come a little later. */
  agreementsBeforeFlush: [
    {
      file: "src/store/contacts.js",
      find: "return this.#change(account, other, (known) => known | covers);",
      put: `const changed = this.#change(account, other, (known) => known | covers);
        if (!this.#parts.isThere(account)) return changed;
        changed.catch(() => {});
        return Promise.resolve();`,
    },
    {
      file: "src/store/writer.js",
      find: "await this.#database.write(batch);",
      put: "await new Promise((resolve) => setTimeout(resolve, 15)); await this.#database.write(batch);",
    },
  ],
  /** C5: a claimed key leaves before its removal is on the disk, which comes a little later. */
  claimsBeforeFlush: [
    {
      file: "src/store/keys.js",
      find: "this.#staged = this.#waiting.splice(0, count);",
      put: `this.#staged = this.#waiting.splice(0, count);
        for (const job of this.#staged) job.result instanceof CodedError ? job.reject(job.result) : job.resolve(job.result);`,
    },
    {
      file: "src/store/writer.js",
      find: "await this.#database.write(batch);",
      put: "await new Promise((resolve) => setTimeout(resolve, 15)); await this.#database.write(batch);",
    },
  ],
  /** C5: an upload may bring back keys that were handed out. */
  claimedKeysReturn: [
    {
      file: "src/store/device-keys.js",
      find: "keys.filter(({ id }) => id > claimedThrough)",
      put: "keys.slice()",
    },
  ],
  /** C6: every claim is allowed. */
  claimsUnlimited: [
    {
      file: "src/rules/token-bucket.js",
      find: "if (missingMs <= ROUNDING_MS)",
      put: "if (emptyMs > 0)",
    },
  ],
  /** C9: a token that was not accepted is written to the log. */
  tokenLogged: [
    {
      file: "src/edge/edge.js",
      find: "const signedIn = await this.#handlers.signIn(hello.token);",
      put: "const signedIn = await this.#handlers.signIn(hello.token).catch((error) => { process.stderr.write('refused ' + hello.token); throw error; });",
    },
  ],
  /** C9: a sealed envelope is remembered and delivered under the id that its sender chose. */
  sealedIdKept: [
    {
      file: "src/path/sealed.js",
      find: "id: sealedId(account, frame.id),",
      put: "id: frame.id,",
    },
  ],
  /** C9: the same of one to several accounts. */
  sealedSharedIdKept: [
    {
      file: "src/path/sealed.js",
      find: "id: sealedSharedId(frame.id),",
      put: "id: frame.id,",
    },
  ],
  /** C9: where a connection comes from is logged. */
  sealedAddressLogged: [
    {
      file: "src/edge/edge.js",
      find: "const signedIn = await this.#handlers.signIn(hello.token);",
      put: "const signedIn = await this.#handlers.signIn(hello.token); process.stderr.write('in from ' + [...Buffer.from(link.address, 'latin1')].join('.') + '\\n');",
    },
  ],
  /** C9: delivery tokens are on disk as they are. */
  deliveryTokenKept: [
    {
      file: "src/rules/sealed.js",
      find: 'return createHash("sha256").update(token).digest();',
      put: "return Buffer.concat([token, token]);",
    },
  ],
  /** Admin API: any token of a back end opens it, whatever its scope. */
  scopeIgnored: [
    {
      file: "src/admin/server.js",
      find: "if (!scopes.includes(ADMIN_SCOPE))",
      put: "if (!scopes.includes(ADMIN_SCOPE) && ADMIN_SCOPE === undefined)",
    },
  ],
  /** C8: where no account takes sealed envelopes, that is said as soon as it is known. */
  sealedNobodyAtOnce: [
    {
      file: "src/path/sealed.js",
      find: 'code === "deliveryTokenRefused" ?',
      put: 'code === "deliveryTokenRefused" && parties.every(({ account }) => state.store.deliveryTokens(account).current[0] !== state.store.deliveryTokens(new Uint8Array(18)).current[0]) ?',
    },
  ],
  /** C8: the same of claims: an account that nobody has signed into is told of by another code, which is not held back. */
  sealedClaimAtOnce: [
    {
      file: "src/directory/keys.js",
      find: 'throw new CodedError("deliveryTokenRefused");',
      put: 'throw new CodedError(store.readAccount(accountOf(target)) === undefined ? "notFound" : "deliveryTokenRefused");',
    },
  ],
  /** C4: what was removed is not noted. */
  removalForgotten: [
    {
      file: "src/store/accounts.js",
      find: 'throw new CodedError("tokenRevoked");',
      put: "{ }",
    },
  ],
  /** C4: a removed device's connection stays. */
  removedStaysConnected: [
    {
      file: "src/path/connections.js",
      find: 'closeAttachment(state, attachment, "revoked");',
      put: "{ }",
    },
  ],
  /** C4: what was queued for a removed device waits for the next one of its number. */
  queueOutlivesRemoval: [
    {
      file: "src/store/tombstones.js",
      find: "        this.#through.set(nameOf(key), through);\n        this.#floors.add(key, through);\n",
      put: "        this.#through.set(nameOf(key), through);\n",
    },
  ],
  /** C4: … but only when the node dies in between. */
  erasureNotRecovered: [
    {
      file: "src/store/recovery.js",
      find: "const hasErasures = tombstones.recover(blocksBefore(run.epoch), parts.isRegistered);",
      put: "const hasErasures = false;",
    },
  ],
  /** Signals: what one side has agreed to is enough. */
  oneSideAgrees: [
    {
      file: "src/store/contacts.js",
      find: "        if (received === 0)\n            return 0;\n        return coversAt(mine, given, theirs) & coversAt(theirs, received, mine);",
      put: "        return coversAt(mine, given, theirs);",
    },
  ],
  /** Signals: whoever was a member while the group was looked at first gets those to the group ever after. */
  removedStayInAudience: [
    {
      file: "src/path/signals.js",
      find: "    for (const slot of audience.slots) {",
      put: `    const seen = ((globalThis.seen ??= new Map()).set(String(group), new Set([...(globalThis.seen.get(String(group)) ?? []), from.slot, ...audience.slots]))).get(String(group));
    for (const slot of seen) {
        if (slot === from.slot) continue;`,
    },
  ],
  /** Signals: those to a group go to all of it. */
  signalsComeBack: [
    {
      file: "src/path/signals.js",
      find: "    for (const slot of audience.slots) {",
      put: "    for (const slot of [from.slot, ...audience.slots]) {",
    },
  ],
  /** Signals: changes of agreements are answered before they are on the disk, where they come a little later. */
  withdrawalsBeforeFlush: [
    {
      file: "src/directory/contacts.js",
      find: "await store.contacts.withdraw(changer(caller), other, covers);",
      put: "void store.contacts.withdraw(changer(caller), other, covers);",
    },
    {
      file: "src/directory/contacts.js",
      find: "await store.contacts.allow(changer(caller), other, covers);",
      put: "void store.contacts.allow(changer(caller), other, covers);",
    },
    {
      file: "src/store/writer.js",
      find: "await this.#database.write(batch);",
      put: "await new Promise((resolve) => setTimeout(resolve, 15)); await this.#database.write(batch);",
    },
  ],
  /** Presence: whoever watches is told, if he has agreed himself. */
  presenceForAll: [
    {
      file: "src/directory/presence.js",
      find: "return mayReach(subject, watcher) && (store.contacts.both(subject, watcher) & coverage.presence) !== 0;",
      put: "return mayReach(subject, watcher);",
    },
  ],
  /** Presence: of ten things to tell, one is told to nobody. */
  presenceForgotten: [
    {
      file: "src/directory/presence.js",
      find: "const isTold = this.#parts.tell(present.address, () => frameOf(present.news));",
      put: `globalThis.toldCount = (globalThis.toldCount ?? 0) + 1;
            const isTold = globalThis.toldCount % 10 === 0 || this.#parts.tell(present.address, () => frameOf(present.news));`,
    },
  ],
  /** Presence: of two changes in one transaction the first is told as if the second had not been made. */
  changesToldOneByOne: [
    {
      file: "src/store/contacts.js",
      find: "for (const name of this.#staged.splice(0))\n                this.#drop(name);",
      put: "this.#drop(this.#staged.shift());",
    },
  ],
  /** C8: who may not be reached is answered as soon as that is known. */
  nobodyAtOnce: [
    {
      file: "src/directory/names.js",
      find: "            await beat;\n",
      put: "            if (record !== undefined || store.readName({ brand, name }) === undefined) await beat;\n",
    },
  ],
} as const satisfies Record<string, readonly Replacement[]>;

export type MutantName = keyof typeof mutants;

const KERNEL_FOLDER = "assembly/";

/** Builds the mutant; `remove` it afterwards. */
export function buildMutant(name: MutantName): { readonly build: string; remove(): void } {
  const root = repositoryRoot();
  const directory = mkdtempSync(join(tmpdir(), `interline-mutant-${name}-`));
  const build = join(directory, "dist");
  cpSync(join(root, "dist"), build, { recursive: true });
  for (const file of ["package.json", "asconfig.json"]) cpSync(join(root, file), join(directory, file));
  symlinkSync(join(root, "node_modules"), join(directory, "node_modules"));
  const replacements: readonly Replacement[] = mutants[name];
  const isKernel = replacements.some(({ file }) => file.startsWith(KERNEL_FOLDER));
  if (isKernel) cpSync(join(root, "assembly"), join(directory, "assembly"), { recursive: true });
  for (const replacement of replacements) {
    const isInKernel = replacement.file.startsWith(KERNEL_FOLDER);
    replaceOnce(join(isInKernel ? directory : build, replacement.file), replacement);
  }
  if (isKernel) compileKernels(directory);
  return { build, remove: () => rmSync(directory, { recursive: true, force: true }) };
}

/** How many places each replacement of a mutant fits, in the present build: every one must be 1. */
export function placesOf(name: MutantName): number[] {
  const replacements: readonly Replacement[] = mutants[name];
  return replacements.map(({ file, find }) => {
    const folder = file.startsWith(KERNEL_FOLDER) ? repositoryRoot() : join(repositoryRoot(), "dist");
    return placesIn(readFileSync(join(folder, file), "utf8"), find);
  });
}

function placesIn(text: string, find: string): number {
  return text.split(find).length - 1;
}

function replaceOnce(path: string, { file, find, put }: Replacement): void {
  const before = readFileSync(path, "utf8");
  const places = placesIn(before, find);
  if (places !== 1) throw new Error(`the mutation of ${file} fits ${places} places: ${find}`);
  writeFileSync(
    path,
    before.replace(find, () => put),
  );
}

/** Into the mutant's dist/kernel, as asconfig.json says. */
function compileKernels(directory: string): void {
  const compiler = join(directory, "node_modules", "assemblyscript", "bin", "asc.js");
  execFileSync(process.execPath, [compiler, "assembly/index.ts", "--target", "release"], {
    cwd: directory,
    stdio: "pipe",
  });
}
