/**
 * The lock of a data directory: one node at a time, without native code.
 *
 * A node that wants the directory creates a file of its own, under a name that
 * nobody else ever uses, and then looks around. It owns the directory if no
 * other such file belongs to a living process. Of two that start at once, the
 * one that creates its file later sees the other's when it looks; so two
 * owners cannot be, but both may step back, and try again after a random
 * pause. The file of a dead process is removed by whoever sees it, which is
 * safe because its name never comes back. It is never renamed: a directory
 * listing that runs meanwhile could miss both names.
 *
 *   lock.<pid>.<start>.<pid namespace>.<boot>.<random>   content "starting", then "owner"
 *
 * Who is alive: same boot, same pid namespace, and a process of that pid that
 * started at that time (clock ticks, /proc/<pid>/stat; a pid alone may belong
 * to somebody else by now). A lock of another boot is dead. One of another pid
 * namespace — a container that shares the directory — cannot be seen from
 * here: a living holder touches its file every limits.lockHeartbeatMs, and one
 * that does not for several beats, while watched, is dead.
 *
 * Where there is no /proc (macOS) its parts are 0 and only the pid counts: a
 * pid that was given to another process keeps a dead lock alive, and the
 * message says which file to remove. Not for network file systems, as LMDB is
 * not.
 */
import { randomBytes } from "node:crypto";
import {
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { limits } from "../rules/limits.js";
import { CodedError } from "../wire/coded-error.js";

const FILE_NAME = /^lock\.(\d+)\.(\d+)\.(\d+)\.([0-9a-f-]+)\.[0-9a-f]{24}$/;

/** Who holds a lock, as its file's name says. */
export interface LockHolder {
  readonly pid: number;
  readonly start: string;
  readonly namespace: string;
  readonly boot: string;
}

function textOf(read: () => string): string {
  try {
    return read().trim();
  } catch {
    return "";
  }
}

/** Clock ticks from boot to the start of a process; "0" when there is no such process or no /proc. */
function startOf(pid: number): string {
  const stat = textOf(() => readFileSync(`/proc/${pid}/stat`, "utf8"));
  const fieldsAfterName = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fieldsAfterName[19] ?? "0";
}

export function lockHolderHere(): LockHolder {
  const namespace = textOf(() => readlinkSync("/proc/self/ns/pid")).replace(/\D/g, "");
  const boot = textOf(() => readFileSync("/proc/sys/kernel/random/boot_id", "utf8"));
  return { pid: process.pid, start: startOf(process.pid), namespace: namespace || "0", boot: boot || "0" };
}

export function lockFileName({ pid, start, namespace, boot }: LockHolder): string {
  return `lock.${pid}.${start}.${namespace}.${boot}.${randomBytes(12).toString("hex")}`;
}

function holderIn(fileName: string): LockHolder | undefined {
  const match = FILE_NAME.exec(fileName);
  if (!match) return undefined;
  const [, pid, start, namespace, boot] = match as unknown as [string, string, string, string, string];
  return { pid: Number(pid), start, namespace, boot };
}

function doesExist(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** `unseen` when the holder's pid means nothing here. */
function stateOf(holder: LockHolder, here: LockHolder): "alive" | "dead" | "unseen" {
  if (holder.boot !== here.boot) return "dead";
  if (holder.namespace !== here.namespace) return "unseen";
  if (!doesExist(holder.pid)) return "dead";
  return holder.start === startOf(holder.pid) ? "alive" : "dead";
}

function removeFile(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

/** Watches a file that its holder, if alive, touches. */
async function isTouched(path: string, heartbeatMs: number): Promise<boolean> {
  const timeOf = (): number | undefined => statSync(path, { throwIfNoEntry: false })?.mtimeMs;
  const before = timeOf();
  for (let look = 0; look < 4 * limits.lockBeatsWatched; look++) {
    await sleep(heartbeatMs / 4);
    const now = timeOf();
    if (now === undefined) return false;
    if (now !== before) return true;
  }
  return false;
}

interface Rival {
  readonly path: string;
  readonly holder: LockHolder;
  readonly isOwner: boolean;
}

/** The first other lock that belongs to a living process; those of dead ones are removed on the way. */
async function findRival(
  directory: string,
  ownName: string,
  { here, heartbeatMs }: { here: LockHolder; heartbeatMs: number },
): Promise<Rival | undefined> {
  for (const name of readdirSync(directory)) {
    const holder = holderIn(name);
    if (holder === undefined || name === ownName) continue;
    const path = join(directory, name);
    const state = stateOf(holder, here);
    if (state === "alive" || (state === "unseen" && (await isTouched(path, heartbeatMs)))) {
      return { path, holder, isOwner: textOf(() => readFileSync(path, "utf8")) === "owner" };
    }
    removeFile(path);
  }
  return undefined;
}

export interface DirectoryLock {
  release(): void;
}

/** A lock file that is touched until it is removed. */
function createLockFile(path: string, heartbeatMs: number): DirectoryLock {
  writeFileSync(path, "starting", { flag: "wx", mode: 0o600 });
  const heartbeat = setInterval(() => {
    const now = new Date();
    try {
      utimesSync(path, now, now);
    } catch {
      // Only somebody in another pid namespace, starting just now, could miss this beat.
    }
  }, heartbeatMs).unref();
  return {
    release: () => {
      clearInterval(heartbeat);
      removeFile(path);
    },
  };
}

/** Takes the directory, which must exist. Throws CodedError directoryInUse, naming the pid. */
export async function lockDirectory(
  directory: string,
  { heartbeatMs = limits.lockHeartbeatMs }: { readonly heartbeatMs?: number } = {},
): Promise<DirectoryLock> {
  const here = lockHolderHere();
  for (let attempt = 1; ; attempt++) {
    const name = lockFileName(here);
    const lock = createLockFile(join(directory, name), heartbeatMs);
    try {
      const rival = await findRival(directory, name, { here, heartbeatMs });
      if (rival === undefined) {
        writeFileSync(join(directory, name), "owner");
        return lock;
      }
      if (rival.isOwner || attempt === limits.lockAttemptsMax) {
        const detail = `${directory} is in use by process ${rival.holder.pid}; if that is no Interline node, remove ${rival.path}`;
        throw new CodedError("directoryInUse", { fatal: true, detail });
      }
    } catch (error) {
      lock.release();
      throw error;
    }
    lock.release();
    await sleep(5 + Math.random() * 50);
  }
}

/** Who owns the directory now, as far as can be seen from here. */
export function currentOwner(directory: string): LockHolder | undefined {
  const here = lockHolderHere();
  for (const name of readdirSync(directory)) {
    const holder = holderIn(name);
    if (holder === undefined || stateOf(holder, here) === "dead") continue;
    if (textOf(() => readFileSync(join(directory, name), "utf8")) === "owner") return holder;
  }
  return undefined;
}
