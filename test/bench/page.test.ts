/**
 * The page of results, made by the command as a user would (needs dist, which
 * `npm test` builds first) and opened in a real browser where there is one.
 */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ResultsFile } from "../../bench/report/schema.js";
import { bareRowOf, loadOf, openLoopOf, resultsOf, rowOf } from "./made-up-results.js";

const run = promisify(execFile);
const chromium = ["chromium", "chromium-browser", "google-chrome"]
  .flatMap((name) => (process.env.PATH ?? "").split(":").map((directory) => join(directory, name)))
  .find((path) => existsSync(path));

const results = resultsOf(
  [
    rowOf(),
    bareRowOf(),
    rowOf({ inFlight: 8, lost: 2 }),
    bareRowOf({ inFlight: 8 }),
    rowOf({ system: "</script>" }),
  ],
  {
    openLoop: openLoopOf([1000, 5000, 20_000]),
    load: loadOf(),
    idle: [
      {
        system: "interline",
        connections: 15_000,
        rssBeforeBytes: 1e8,
        rssAfterBytes: 2e8,
        bytesPerConnection: 4456,
        anonymousBytesPerConnection: null,
        connectMs: 3000,
      },
    ],
  },
);

let directory = "";
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "interline-bench-page-"));
});
afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

/** Where the page of these results is. */
async function pageOf(file: ResultsFile): Promise<string> {
  const [json, html] = [join(directory, "results.json"), join(directory, "results.html")];
  await writeFile(json, JSON.stringify(file));
  await run(process.execPath, ["dist/bench/main.js", "page", json, html]);
  return html;
}

/** The document after its scripts have run. */
async function opened(html: string): Promise<string> {
  const options = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    `--user-data-dir=${join(directory, "profile")}`,
  ];
  const { stdout } = await run(
    chromium as string,
    [...options, "--virtual-time-budget=5000", "--dump-dom", pathToFileURL(html).href],
    { maxBuffer: 1 << 26, timeout: 50_000 },
  );
  return stdout;
}

describe("the page of results", () => {
  it("needs nothing from outside, and escapes what it is given", async () => {
    const page = await readFile(await pageOf(results), "utf8");
    expect(page).not.toMatch(/(src|href)="(?!data:)/);
    expect(page).not.toMatch(/@import|url\(|fetch\(/);
    expect(page).toContain("Made-up &lt;CPU&gt; &amp; co");
    expect(page.match(/<\/script>/g)).toHaveLength(4);
  });

  it("says what went wrong, and has a table of every section", async () => {
    const page = await readFile(await pageOf(results), "utf8");
    expect(page).toContain('<p class="warning">WRONG: pairs: interline with 8 in flight: 2 lost');
    for (const heading of ["Throughput and cost", "Latency and correctness", "Idle connections", "Load"]) {
      expect(page).toContain(`<h2>${heading}</h2>`);
    }
    expect(page).not.toContain("Restart with full queues");
  });

  it("draws every plot in a browser, without an error", async ({ skip }) => {
    if (chromium === undefined) skip("no Chromium is installed");
    const dom = await opened(await pageOf(results));
    expect(dom).not.toMatch(/<html[^>]*data-error/);
    expect(dom).toMatch(/<html[^>]*data-ready="true"/);
    const figures = dom.split("<figure>").slice(1);
    // Throughput and CPU; percentiles and rounds of two numbers in flight; the open loop; percentiles and time of the load.
    expect(figures).toHaveLength(2 + 2 * 2 + 1 + 2);
    for (const figure of figures) expect(figure).toMatch(/<canvas|<svg class="bars"/);
  });

  it("is readable without any rows", async ({ skip }) => {
    if (chromium === undefined) skip("no Chromium is installed");
    const dom = await opened(await pageOf({ ...results, rows: [], openLoop: undefined, load: undefined }));
    expect(dom).toMatch(/<html[^>]*data-ready="true"/);
    expect(dom).not.toContain("<figure>");
  });
});
