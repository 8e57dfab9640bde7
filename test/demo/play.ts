/** What every scene has at hand. */
import type { Authorities } from "../ciphers/authorities.js";
import type { NodeProcess } from "../support/node-process.js";
import type { Company } from "./company.js";
import type { Evidence } from "./evidence.js";
import type { Stage } from "./stage.js";

export interface Play {
  readonly stage: Stage;
  readonly node: NodeProcess;
  readonly company: Company;
  readonly evidence: Evidence;
  /** Of the brands, for devices that write sealed. */
  readonly authorities: Authorities;
  /** The node's. */
  readonly dataDirectory: string;
  /** Prints one sentence of the story, with the time. */
  readonly tell: (sentence: string) => void;
  /** SIGKILLs so far. */
  kills: number;
}
