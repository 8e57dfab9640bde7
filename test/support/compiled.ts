/** Programs of the tests that run in processes of their own: the build compiles them beside the engine. */
import { resolve } from "node:path";

/** The compiled form of `test/support/<name>.ts`. */
export function compiledProgram(name: string): string {
  return resolve("dist/test/support", `${name}.js`);
}
