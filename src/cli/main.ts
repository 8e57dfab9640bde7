#!/usr/bin/env node
/**
 * The program `interline`. Here is what belongs to the process: its streams,
 * its signals and its exit code; everything else is in program.ts.
 */
import { existsSync, readFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { exitCodes } from "./output.js";
import { runProgram } from "./program.js";

const interruption = new AbortController();
/** Only a verb that has something to finish looks at the signal; without one the process ends at once. */
let isWatched = false;
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    if (!isWatched || interruption.signal.aborted) process.exit(exitCodes.failed);
    interruption.abort();
  });
}
// A reader that has seen enough (`| head`) is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(exitCodes.ok);
  throw error;
});

process.exitCode = await runProgram(
  process.argv.slice(2),
  {
    out: process.stdout,
    err: process.stderr,
    environment: process.env,
    workingDirectory: process.cwd(),
    invocation: invocation(process.argv[1] ?? ""),
    get interrupted() {
      isWatched = true;
      return interruption.signal;
    },
  },
  ownVersion(),
);
// Whatever still holds the event loop (a socket that is being cut, a key being fetched) has no say any more.
process.stdout.write("", () => process.exit());

/** How to start this program again from the working directory. */
function invocation(script: string): string {
  if (basename(script) !== "main.js") return script.includes("node_modules") ? "npx interline" : "interline";
  const path = relative(process.cwd(), script);
  return `node ${path.startsWith("..") ? script : path}`;
}

function ownVersion(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, "package.json"))) directory = dirname(directory);
  return JSON.parse(readFileSync(join(directory, "package.json"), "utf8")).version;
}
