/**
 * Reads a workload from its file:
 *
 *   { "verb": "pairs", "name": "many-devices", "full": { every parameter }, "smoke": { those that differ } }
 *
 * `smoke` may be absent: then both sizes are the same. What is wrong is said
 * with the file's name and the place in it.
 */
import { readFileSync } from "node:fs";
import { z } from "zod";
import { wrongCommand } from "../exit-codes.js";
import { schemas, type Verb, type Workload } from "./schemas.js";

export interface SizedWorkload<V extends Verb> {
  readonly full: Workload<V>;
  readonly smoke: Workload<V>;
}

/** Throws an error for people when the file is not a workload of this verb. */
export function readWorkload<V extends Verb>(file: string, verb: V): SizedWorkload<V> {
  const schema: z.ZodObject = schemas[verb];
  const head = z.object({ verb: z.string() }).safeParse(parsed(file));
  if (head.success && head.data.verb !== verb) {
    throw wrongCommand(`${file} is a workload of "${head.data.verb}", not of "${verb}"`);
  }
  const whole = z.strictObject({
    verb: z.literal(verb),
    name: z.string().min(1).max(40),
    full: schema,
    smoke: schema.partial().default({}),
  });
  const result = whole.safeParse(parsed(file));
  if (!result.success) throw wrongCommand(`${file} is not a workload:\n${z.prettifyError(result.error)}`);
  const { name, full, smoke } = result.data;
  // The schema of this very verb has checked both.
  return { full: { name, ...full } as Workload<V>, smoke: { name, ...full, ...smoke } as Workload<V> };
}

function parsed(file: string): unknown {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw wrongCommand(`the workload cannot be read: ${(error as Error).message}`);
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw wrongCommand(`${file} is not JSON: ${(error as Error).message}`);
  }
}
