/**
 * `interline demo`: a short story on a real node in this process, over real
 * sockets, in a temporary directory. Three people on three brands write to each
 * other; one is away; the node restarts meanwhile; a send is repeated. In the
 * end every message must have been decrypted exactly once by every device it
 * was for, and the data directory must hold none of the plaintext.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import type { InterlineNode } from "../index.js";
import { DemoDevice, type Person } from "./demo-device.js";
import { type CliContext, CliError, exitCodes, Output } from "./output.js";

interface Tally {
  sent: number;
  receipted: number;
  decrypted: number;
  duplicatesShown: number;
  canariesFound: number;
  restarts: number;
}

const alice: Person = { brand: "whatsapp", account: "alice" };
const bob: Person = { brand: "instagram", account: "bob" };
const carol: Person = { brand: "messenger", account: "carol" };

/** Every plaintext of the story holds it, so that it can be searched for. */
const CANARY = "interline-demo-plaintext";
const ARRIVAL_TIMEOUT_MS = 10_000;

export function demoCommand(context: CliContext): Command {
  return new Command("demo")
    .summary("watch messages cross between three brands")
    .description(
      "Runs a node in this process on a temporary directory and lets three people on three brands write to each other: one away, a restart, a repeated send.\n" +
        "The cipher is a stand-in from WebCrypto; `npm run demo` in the repository shows the same with the Signal protocol (libsignal).",
    )
    .option("--json", "print one JSON object in place of the story")
    .addHelpText("after", "\nExamples:\n  interline demo\n  interline demo --json")
    .action((flags: { readonly json?: boolean }) => run(new Output(context, flags)));
}

async function run(out: Output): Promise<void> {
  const dataDirectory = mkdtempSync(join(tmpdir(), "interline-demo-"));
  const story = new Story(dataDirectory, out);
  try {
    await story.play();
    const { tally } = story;
    tally.canariesFound = countCanaries(dataDirectory);
    const ok = story.isComplete && tally.canariesFound === 0;
    out.line();
    out.line(
      `${tally.sent} envelopes sent, ${tally.receipted} receipts that say disk, ${tally.decrypted} decryptions, ` +
        `${tally.duplicatesShown} shown twice, ${tally.canariesFound} traces of plaintext on disk`,
    );
    out.json({ ok, ...tally });
    if (!ok)
      throw new CliError("the story did not come out as it should", exitCodes.failed, { isInResult: true });
    out.line(out.green("Every device read every message exactly once, and the engine none."));
  } finally {
    await story.end();
    rmSync(dataDirectory, { recursive: true, force: true });
  }
}

class Story {
  readonly tally: Tally = {
    ...{ sent: 0, receipted: 0, decrypted: 0, duplicatesShown: 0, canariesFound: 0, restarts: 0 },
  };
  readonly #dataDirectory: string;
  readonly #out: Output;
  readonly #devices: DemoDevice[] = [];
  #node: InterlineNode | undefined;
  #expected = 0;

  constructor(dataDirectory: string, out: Output) {
    this.#dataDirectory = dataDirectory;
    this.#out = out;
  }

  get isComplete(): boolean {
    const { sent, receipted, decrypted, duplicatesShown } = this.tally;
    return receipted === sent && decrypted === this.#expected && duplicatesShown === 0;
  }

  async play(): Promise<void> {
    const out = this.#out;
    out.line(out.bold("Three brands, one back end"));
    out.line(
      out.dim("stand-in cipher: ECDH P-256 with AES-GCM; npm run demo in the repository uses libsignal"),
    );
    await this.#startNode(0);
    const phone = await this.#join(alice, 1, "Alice's phone");
    const laptop = await this.#join(alice, 2, "Alice's laptop");
    const bobs = await this.#join(bob, 1, "Bob's phone");
    const carols = await this.#join(carol, 1, "Carol's phone");

    out.line();
    await this.#say(phone, bob, "are you coming tonight?", [bobs, laptop]);
    await this.#say(bobs, carol, "Alice asks about tonight", [carols]);
    await this.#say(carols, alice, "we are both coming", [phone, laptop]);

    this.#scene("Bob's phone goes offline.");
    await bobs.leave();
    await this.#say(phone, bob, "bring the records", [laptop]);
    const repeat = await this.#say(laptop, bob, "and something to drink", [phone]);

    this.#scene("The node stops and starts again on the same directory.");
    const { port } = this.#running;
    await this.#running.stop();
    await this.#startNode(port ?? 0);
    this.tally.restarts++;
    await Promise.all([phone, laptop, carols].map((device) => device.isLive()));

    this.#scene("Alice's laptop repeats its last send, as after a lost receipt: same id, one delivery.");
    await this.#repeat(laptop, repeat);

    this.#scene("Bob's phone comes back and receives what was kept for it, in order.");
    this.#expected += 2;
    await bobs.join(this.#url, (text) => this.#shown(bobs, text));
    await this.#arrived([bobs], 3);
    await this.#say(bobs, alice, "on my way", [phone, laptop]);
  }

  async end(): Promise<void> {
    await Promise.all(this.#devices.map((device) => device.leave()));
    await this.#node?.stop();
  }

  get #running(): InterlineNode {
    if (this.#node === undefined) throw new CliError("the node is not running");
    return this.#node;
  }

  get #url(): string {
    return this.#running.url as string;
  }

  async #startNode(port: number): Promise<void> {
    // Devices of a node that goes down are told to come back after a random delay; nobody wants to watch that.
    const limits = { drainRetryMinMs: 50, drainRetryMaxMs: 200 };
    const { createNode } = await import("../index.js");
    this.#node = await createNode({ dataDirectory: this.#dataDirectory, port, limits });
  }

  async #join(person: Person, number: number, name: string): Promise<DemoDevice> {
    const device = await DemoDevice.create({
      person,
      number,
      name,
      mint: () => this.#running.mintToken({ ...person, device: number }),
      devices: this.#devices,
    });
    this.#devices.push(device);
    await device.join(this.#url, (text) => this.#shown(device, text));
    return device;
  }

  /** One envelope, its receipt, and its arrival at the devices that are there. */
  async #say(from: DemoDevice, to: Person, text: string, present: readonly DemoDevice[]) {
    this.#out.line(`${from.name} (${from.person.brand}) writes to ${to.account} (${to.brand}): “${text}”`);
    const counts = present.map((device) => device.texts.length);
    this.#expected += present.length;
    this.tally.sent++;
    const request = await from.prepare(to, this.#running, `${text} [${CANARY}]`);
    const receipt = await from.send(request);
    if (receipt.durability === "disk") this.tally.receipted++;
    this.#out.line(this.#out.dim(`    receipt: ${receipt.durability}`));
    await Promise.all(present.map((device, i) => this.#arrived([device], (counts[i] as number) + 1)));
    return request;
  }

  async #repeat(from: DemoDevice, request: Awaited<ReturnType<DemoDevice["prepare"]>>): Promise<void> {
    this.tally.sent++;
    const receipt = await from.send(request);
    if (receipt.durability === "disk") this.tally.receipted++;
    this.#out.line(this.#out.dim(`    receipt: ${receipt.durability}`));
  }

  #shown(device: DemoDevice, text: string): void {
    this.tally.decrypted++;
    if (device.texts.filter((earlier) => earlier === text).length > 1) this.tally.duplicatesShown++;
    this.#out.line(
      `    ${device.name} (${device.person.brand}) reads: “${text.replace(` [${CANARY}]`, "")}”`,
    );
  }

  async #arrived(devices: readonly DemoDevice[], count: number): Promise<void> {
    await Promise.all(devices.map((device) => device.hasRead(count, ARRIVAL_TIMEOUT_MS)));
  }

  #scene(text: string): void {
    this.#out.line();
    this.#out.line(this.#out.bold(text));
  }
}

/** How many files of the directory hold the plaintext's canary. */
function countCanaries(directory: string): number {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .filter((entry) => readFileSync(join(entry.parentPath, entry.name)).includes(CANARY)).length;
}
