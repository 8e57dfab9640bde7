/** A node with development brands in a directory of its own, and commands that speak to it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toHex } from "../../src/base/bytes.js";
import { accountIdFor } from "../../src/directory/development-brands.js";
import { createNode, type InterlineNode, type NodeOptions } from "../../src/index.js";
import { type CliOutcome, type CliRun, runCli, startCli } from "./run-cli.js";

export class CliStage {
  readonly directory: string;
  readonly node: InterlineNode;

  private constructor(directory: string, node: InterlineNode) {
    this.directory = directory;
    this.node = node;
  }

  static async open(options: Partial<NodeOptions> = {}): Promise<CliStage> {
    const directory = mkdtempSync(join(tmpdir(), "interline-cli-"));
    const dataDirectory = join(directory, "interline-data");
    return new CliStage(directory, await createNode({ port: 0, ...options, dataDirectory }));
  }

  async close(): Promise<void> {
    await this.node.stop();
    rmSync(this.directory, { recursive: true });
  }

  run(...parameters: string[]): Promise<CliOutcome> {
    return runCli(this.#setting(), ...parameters);
  }

  start(...parameters: string[]): CliRun {
    return startCli(this.#setting(), ...parameters);
  }

  /** Signs the device in once, so that it is on its account's roster. */
  async registers(who: readonly string[]): Promise<void> {
    await this.run("roster", ...who, "whatsapp/nobody");
  }

  #setting() {
    return { workingDirectory: this.directory, environment: { INTERLINE_URL: this.node.url as string } };
  }
}

/** The options of a device. */
export function as(person: string, device = 1): string[] {
  const [brand, account] = person.split("/") as [string, string];
  return ["-b", brand, "-a", account, "-n", String(device)];
}

/** How the account is printed. */
export function printed(person: string): string {
  const [brand, account] = person.split("/") as [string, string];
  return `${brand}/${toHex(accountIdFor(account))}`;
}

/** What a failed command has to be like: nothing on standard output, one sentence on standard error, no stack. */
export function told({ code, out, err }: CliOutcome): { code: number; says: string } {
  if (out !== "" || err.includes("    at ")) throw new Error(`not a plain failure: ${out}${err}`);
  return { code, says: err };
}
