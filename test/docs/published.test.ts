/** What `npm publish` would publish is whole: nothing in it imports, runs or refers to what stays behind. */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, posix, resolve } from "node:path";
import { describe, expect, it } from "vitest";

const root = resolve(import.meta.dirname, "../..");
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const listing = execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
  cwd: root,
  encoding: "utf8",
  stdio: ["ignore", "pipe", "ignore"],
});
const paths: string[] = JSON.parse(listing)[0].files.map(({ path }: { path: string }) => path);
const published = new Set(paths);

/** Folders, too: a document may refer to one. */
const folders = new Set(paths.flatMap((path) => ancestors(path)));

function ancestors(path: string): string[] {
  const up = dirname(path);
  return up === "." ? [] : [up, ...ancestors(up)];
}

/** Why a specifier in a published file leads nowhere; undefined when it does not. */
function lost(file: string, specifier: string): string | undefined {
  if (isBuiltin(specifier)) return undefined;
  if (specifier.startsWith(".")) {
    const target = posix.normalize(posix.join(dirname(file), specifier));
    const types = target.replace(/\.js$/, ".d.ts");
    return published.has(file.endsWith(".d.ts") ? types : target) ? undefined : `${file}: ${specifier}`;
  }
  const name = specifier.split("/").slice(0, specifier.startsWith("@") ? 2 : 1);
  return name.join("/") in manifest.dependencies ? undefined : `${file}: ${specifier}`;
}

const code = paths.filter((path) => path.endsWith(".js") || path.endsWith(".d.ts"));
const importsOf = (text: string): string[] =>
  [
    ...text.matchAll(
      /^(?:import|export)\b[^;]*?\bfrom "([^"\n]+)"|^import "([^"]+)"|\bimport\("([^"]+)"\)/gm,
    ),
  ].map((match) => (match[1] ?? match[2] ?? match[3]) as string);
const urlsOf = (text: string): string[] =>
  [...text.matchAll(/new URL\("(\.[^"$]+\.js)", import\.meta\.url\)/g)].map((match) => match[1] as string);

describe("the published package", () => {
  it("has every file that its code imports, and depends on every package", () => {
    let specifiers = 0;
    const missing = code.flatMap((file) => {
      const text = readFileSync(join(root, file), "utf8");
      const all = [...importsOf(text), ...urlsOf(text)];
      specifiers += all.length;
      return all.flatMap((specifier) => lost(file, specifier) ?? []);
    });
    expect(specifiers).toBeGreaterThan(1_000);
    expect(missing).toEqual([]);
  });

  it("has what its manifest names, and both builds of the kernel", () => {
    const named = [
      manifest.bin.interline,
      ...Object.values<Record<string, string>>(manifest.exports).flatMap((entry) =>
        Object.values(entry).map((path) => path.replace("./", "")),
      ),
    ];
    expect(named.filter((path) => !published.has(path))).toEqual([]);
    expect(paths.filter((path) => path.endsWith(".wasm")).length).toBeGreaterThanOrEqual(2);
  });

  it("has source maps that bring their sources along, which stay behind themselves", () => {
    // What an older build has left here is not packed: `prepack` builds anew.
    const isOfToday = (path: string): boolean =>
      existsSync(join(root, path.replace(/^dist\/(.*?)(\.d)?\.[jt]s\.map$/, "$1.ts")));
    const maps = paths.filter((path) => path.endsWith(".map") && isOfToday(path));
    const without = maps.filter((path) => {
      const { sources, sourcesContent } = JSON.parse(readFileSync(join(root, path), "utf8"));
      return sourcesContent?.length !== sources.length;
    });
    expect(maps.length).toBeGreaterThan(100);
    expect(without).toEqual([]);
  });

  it("has types that a strict project without the DOM compiles, with nothing skipped", () => {
    const project = mkdtempSync(join(tmpdir(), "interline-types-"));
    const compilerOptions = {
      ...{ target: "es2023", module: "nodenext", lib: ["es2023"], strict: true, noEmit: true },
      ...{ exactOptionalPropertyTypes: true, skipLibCheck: false },
      ...{ types: ["node"], typeRoots: [join(root, "node_modules/@types")] },
    };
    const files = Object.values<{ types: string }>(manifest.exports).map(({ types }) => join(root, types));
    writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions, files }));
    const { stdout } = spawnSync("npx", ["tsc", "-p", project], { cwd: root, encoding: "utf8" });
    rmSync(project, { recursive: true });
    expect(stdout).toBe("");
  });

  /** Said in the text itself to be of the repository. */
  const ofTheRepository = /^test\/(ciphers|interop)$/;
  /** A source is there as what was built of it, comments included. */
  const builtOf = (path: string): string => path.replace(/^(src\/.*)\.ts$/, "dist/$1.d.ts");

  const pages = paths.filter((path) => path.endsWith(".md"));

  it("has no rows of a table that stand under no head", () => {
    const isRow = (line = ""): boolean => line.startsWith("|");
    const stray = pages.flatMap((page) => {
      const lines = readFileSync(join(root, page), "utf8").split("\n");
      return lines
        .map((_, i) => i)
        .filter((i) => isRow(lines[i]) && !isRow(lines[i - 1]) && !/^\|[ :|-]+\|$/.test(lines[i + 1] ?? ""))
        .map((i) => `${page}:${i + 1}`);
    });
    expect(stray).toEqual([]);
  });

  it("has what its documents link to", () => {
    const missing = pages.flatMap((page) =>
      [...readFileSync(join(root, page), "utf8").matchAll(/\]\(([^)#:\s]+)(?:#[^)]*)?\)/g)]
        .map((match) => builtOf(posix.normalize(posix.join(dirname(page), match[1] as string))))
        .filter((target) => !published.has(target) && !folders.has(target) && !ofTheRepository.test(target))
        .map((target) => `${page}: ${target}`),
    );
    expect(pages.length).toBeGreaterThan(5);
    expect(missing).toEqual([]);
  });
});
