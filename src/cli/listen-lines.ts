/**
 * What `interline listen` prints of each thing that comes.
 *
 *   time  sender  text                              an envelope
 *   time  sender  [group]  text                     … to a group, whose id is shortened
 *   time  sealed  text                              … whose sender the node does not know
 *   time  sender  [group]  signal: text             time is ours: a signal has none
 *   time  account is here
 *   time  group brand/id: version 3, added by …     and a line for each account that it is about
 *   (…)                                             a gap or another notice
 *
 * With --json an envelope is an object of its own; everything else is under its kind's name.
 */
import type { AccountAddress, DeviceAddress } from "../base/address.js";
import { toHex } from "../base/bytes.js";
import type { ClientEvents, Gap, Notice, SealedEnvelope } from "../client/client.js";
import type { BrandNames } from "./brand-names.js";
import type { Output } from "./output.js";
import { shortGroup } from "./recipients.js";

const SHOWN_BYTES_MAX = 64;
const INDENT = " ".repeat(new Date(0).toISOString().length + 2);

export class ListenLines {
  readonly #out: Output;
  readonly #names: BrandNames;

  constructor(out: Output, names: BrandNames) {
    this.#out = out;
    this.#names = names;
  }

  /** Of a sealed envelope there is no sender. */
  envelope(envelope: SealedEnvelope, sender?: DeviceAddress): void {
    const { sequence, id, timeMs, payload, block, group } = envelope;
    const from = sender && this.#names.format(sender);
    this.#line(timeMs, from ?? "sealed", ...this.#place(group?.address), shown(payload));
    this.#out.json({
      sequence,
      from: from ?? null,
      ...(group && { group: this.#names.format(group.address), version: group.version }),
      id: toHex(id),
      timeMs,
      ...inJson(payload),
      ...(block !== undefined && block.length > 0 && { block: base64(block) }),
    });
  }

  signal({ sender, group, payload }: ClientEvents["signal"]): void {
    const from = this.#names.format(sender);
    this.#line(Date.now(), from, ...this.#place(group), `signal: ${shown(payload)}`);
    const to = group && { group: this.#names.format(group) };
    this.#out.json({ signal: { from, ...to, ...inJson(payload) } });
  }

  presence({ account, isOnline }: ClientEvents["presence"]): void {
    const name = this.#names.format(account);
    this.#line(Date.now(), `${name} ${isOnline ? "is here" : "is away"}`);
    this.#out.json({ presence: { account: name, isOnline } });
  }

  groupEvent(change: ClientEvents["group"]): void {
    const { sequence, timeMs, version, event, role } = change;
    const [group, by] = [this.#names.format(change.group), this.#names.format(change.by)];
    const accounts = change.accounts.map((account) => this.#names.format(account));
    const promoted = change.promoted && this.#names.format(change.promoted);
    this.#line(timeMs, `group ${group}: version ${version}`);
    this.#out.line(`${INDENT}${event === "created" ? "created " : ""}by ${by}`);
    const what = { created: "", added: "added", removed: "removed", left: "left", role: `now ${role}:` }[
      event
    ];
    for (const account of accounts) this.#out.line(`${INDENT}${what} ${account}`);
    if (promoted) this.#out.line(`${INDENT}now admin: ${promoted}`);
    this.#out.json({
      groupEvent: {
        ...{ sequence, timeMs, group, version, event, by, accounts },
        ...(role && { role }),
        ...(promoted && { promoted }),
      },
    });
  }

  gap({ sequence, count, reason }: Gap): void {
    this.#aside(`${count} earlier entries were removed undelivered: ${reason}`);
    this.#out.json({ gap: { sequence, count, reason } });
  }

  notice({ sequence, timeMs, body }: Notice): void {
    const { notice, ...more } = body;
    const told = Object.entries(more).map(([name, value]) => [name, this.#told(name, value)]);
    this.#aside([`notice ${notice}`, ...told.map(([name, value]) => `${name} ${value}`)].join(", "));
    this.#out.json({ notice: { sequence, timeMs, notice, ...Object.fromEntries(told) } });
  }

  /** What stands in a notice, by docs/protocol.md. */
  #told(name: string, value: unknown): unknown {
    if (!(value instanceof Uint8Array)) return value;
    return name === "device" ? this.#names.format(value) : toHex(value);
  }

  #place(group: AccountAddress | undefined): string[] {
    return group === undefined ? [] : [`[${shortGroup(group, this.#names)}]`];
  }

  #line(timeMs: number, ...cells: readonly string[]): void {
    this.#out.line([this.#out.dim(new Date(timeMs).toISOString()), ...cells].join("  "));
  }

  #aside(text: string): void {
    this.#out.line(this.#out.dim(`(${text})`));
  }
}

/** On a line: what ends with a line break, as most files and pipes do, is a line; what has more of them would look like several. */
function shown(payload: Uint8Array): string {
  const line = textOf(payload)?.replace(/\r?\n$/, "");
  return line === undefined || /[\t\n\r]/.test(line) ? shownBytes(payload) : line;
}

function inJson(payload: Uint8Array): { readonly payload: string; readonly text?: string } {
  const text = textOf(payload);
  return { payload: base64(payload), ...(text !== undefined && { text }) };
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");

/** The payload as text when it is text without control characters but tabs and line breaks: a terminal obeys those. */
function textOf(payload: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(payload);
    return /(?![\t\n\r])[\p{Cc}\p{Cf}\p{Co}\p{Zl}\p{Zp}]/u.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}

function shownBytes(payload: Uint8Array): string {
  const rest = payload.length > SHOWN_BYTES_MAX ? "…" : "";
  return `${payload.length} bytes: ${toHex(payload.subarray(0, SHOWN_BYTES_MAX))}${rest}`;
}
