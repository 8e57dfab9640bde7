/** `page`: the page of results that were measured before. */
import { writeFile } from "node:fs/promises";
import type { Command } from "commander";
import { resultsPage } from "../report/page/page.js";
import { readResults } from "../report/schema.js";

export function addPage(program: Command): void {
  program
    .command("page")
    .description("a page with plots from a result file, as --html writes it")
    .argument("<results>", "a file that --json has written")
    .argument("<page>", "where the page goes")
    .addHelpText("after", "\nExample:\n  npm run bench -- page results.json results.html")
    .action(async (results: string, page: string) => {
      await writeFile(page, resultsPage(await readResults(results)));
    });
}
