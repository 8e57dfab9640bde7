/** `npm run bench`; bench/README.md says how to read what it prints. */
import { runBench } from "./program.js";

await runBench(process.argv.slice(2));
