/** `schema`: what a result file looks like, as JSON Schema. */
import type { Command } from "commander";
import { print } from "../report/output.js";
import { jsonSchema } from "../report/schema.js";

export function addSchema(program: Command): void {
  program
    .command("schema")
    .description("print the JSON Schema of result files")
    .addHelpText("after", "\nExample:\n  npm run bench --silent -- schema > results.schema.json")
    .action(() => print(JSON.stringify(jsonSchema(), null, 2)));
}
