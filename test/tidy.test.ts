/**
 * Style that the test suite holds: imports follow the layer table, no file is dead, the README's source map is the
 * tree, and what is banned names its replacement. The numbers are ratchets: they may fall.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, it } from "vitest";

const root = resolve(import.meta.dirname, "..");

/** What each folder of src may import, besides itself; the same table is in the README. */
const layers: Record<string, readonly string[]> = {
  base: [],
  wire: ["base"],
  rules: ["base", "wire"],
  kernel: ["base"],
  store: ["base", "wire", "rules"],
  path: ["base", "wire", "rules", "kernel", "store"],
  directory: ["base", "wire", "rules", "store"],
  edge: ["base", "wire", "rules"],
  admin: ["base", "wire", "rules", "store"],
  push: ["base", "wire", "rules"],
  ops: ["base", "wire", "rules"],
  client: ["base", "wire"],
  cli: ["base", "wire", "rules", "directory", "store", "client", "ops", "."],
  ".": [
    ...["base", "wire", "rules", "kernel", "store", "path"],
    ...["directory", "edge", "admin", "push", "ops", "client"],
  ],
};

/** Packages that only one folder may import, and the file that outsiders import instead. */
const owners: Record<string, string> = {
  "uWebSockets.js": "edge",
  lmdb: "store",
  jose: "directory",
  msgpackr: "wire",
  pino: "ops",
  "prom-client": "ops",
  fastify: "admin",
  "web-push": "push",
};

const fronts: Record<string, string> = {
  store: "store.ts",
  kernel: "kernel.ts",
  edge: "edge.ts",
  admin: "server.ts",
  path: "path.ts",
  client: "client.ts",
};

/** Files of a folder that others import besides its front, with the reason. */
const sideDoors = new Map([
  ["client/transfer.ts", "an entry of its own, loaded only by who uses it"],
  ["store/inspect.ts", "read-only views for the CLI, which must not open the store"],
  ["store/data-directory.ts", "for who puts a file of its own beside the store's, before there is a store"],
  ["store/check.ts", "verification for the CLI, which must not open the store"],
]);

function files(folder: string, extension = ".ts"): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(extension) && !name.endsWith(".d.ts"))
    .map((name) => join(folder, name).replaceAll("\\", "/"));
}

interface Import {
  readonly from: string;
  readonly to: string;
  readonly isPackage: boolean;
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(root, file), "utf8");
  const found = text.matchAll(
    /(?:^|\n)\s*(?:import|export)\b[^;'"]*?\bfrom\s*["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']\s*\)/g,
  );
  return [...found].map((match) => {
    const target = (match[1] ?? match[2]) as string;
    const isPackage = !target.startsWith(".");
    const to = isPackage
      ? target
      : relative(root, resolve(root, dirname(file), target))
          .replace(/\.js$/, ".ts")
          .replaceAll("\\", "/");
    return { from: file, to: file.startsWith("assembly/") && !isPackage ? `${to}.ts` : to, isPackage };
  });
}

function folderOf(file: string): string {
  const parts = file.split("/");
  return parts.length === 2 ? "." : (parts[1] as string);
}

const sources = files("src");
const imports = sources.flatMap(importsOf);

describe("structure", () => {
  it("imports inside src follow the layer table", () => {
    const wrong = imports
      .filter((entry) => !entry.isPackage && entry.to.startsWith("src/"))
      .filter((entry) => {
        const from = folderOf(entry.from);
        const to = folderOf(entry.to);
        return from !== to && !(layers[from] ?? []).includes(to);
      });
    expect(wrong).toEqual([]);
  });

  it("no files of src or bench import each other in a circle, types or not", () => {
    const wanted = new Map<string, string[]>();
    for (const { from, to, isPackage } of [...imports, ...files("bench").flatMap(importsOf)])
      if (!isPackage) wanted.set(from, [...(wanted.get(from) ?? []), to]);
    const done = new Set<string>();
    const circleAt = (file: string, way: readonly string[]): readonly string[] | undefined => {
      const met = way.indexOf(file);
      if (met >= 0) return [...way.slice(met), file];
      if (done.has(file)) return undefined;
      for (const next of wanted.get(file) ?? []) {
        const found = circleAt(next, [...way, file]);
        if (found !== undefined) return found;
      }
      done.add(file);
      return undefined;
    };
    let circle: readonly string[] | undefined;
    for (const file of wanted.keys()) circle ??= circleAt(file, []);
    expect(circle ?? []).toEqual([]);
  });

  it("a folder with a front file is entered through it", () => {
    const wrong = imports
      .filter((entry) => !entry.isPackage && entry.to.startsWith("src/"))
      .filter((entry) => {
        const to = folderOf(entry.to);
        const front = fronts[to];
        if (front === undefined || folderOf(entry.from) === to) return false;
        return entry.to !== `src/${to}/${front}` && !sideDoors.has(entry.to.slice("src/".length));
      });
    expect(wrong).toEqual([]);
  });

  it("a package that belongs to one folder is imported nowhere else in src", () => {
    const wrong = imports.filter((entry) => {
      const owner = owners[entry.to];
      return entry.isPackage && owner !== undefined && folderOf(entry.from) !== owner;
    });
    expect(wrong).toEqual([]);
  });

  it("only the kernel's host reads the kernels' layout", () => {
    const readers = imports.filter((entry) => entry.to.startsWith("assembly/")).map((entry) => entry.from);
    expect(readers.filter((reader) => !reader.startsWith("src/kernel/"))).toEqual([]);
    expect(readers).toContain("src/kernel/kernel.ts");
  });

  it("published code imports no development dependency and nothing under the AGPL", () => {
    const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    const allowed = new Set(Object.keys(manifest.dependencies));
    const wrong = [...sources, ...files("bench")]
      .flatMap(importsOf)
      .filter((entry) => entry.isPackage && !entry.to.startsWith("node:") && !allowed.has(entry.to));
    expect(wrong).toEqual([]);
  });

  it("every file is reached from an entry point", () => {
    const all = [...sources, ...files("bench"), ...files("assembly")];
    const entries = [
      "src/index.ts",
      "src/client/client.ts",
      "src/client/transfer.ts",
      "src/client/encrypted-client.ts",
      "src/cli/main.ts",
      "src/store/journal-thread.ts",
      "bench/main.ts",
      "assembly/index.ts",
    ];
    const edges = all.flatMap(importsOf).filter((entry) => !entry.isPackage);
    const spawned = all.filter((file) => all.some((other) => other !== file && mentions(other, file)));
    const reached = new Set<string>();
    const visit = (file: string): void => {
      if (reached.has(file)) return;
      reached.add(file);
      for (const edge of edges) if (edge.from === file) visit(edge.to);
    };
    for (const entry of [...entries, ...spawned]) visit(entry);
    expect(all.filter((file) => !reached.has(file))).toEqual([]);
  });

  it("the README's source map names every folder and file of src, assembly and bench that it should", () => {
    const readme = readFileSync(join(root, "README.md"), "utf8");
    const named = [...readme.matchAll(/^\| `((?:src|assembly|bench|test)\/[^`]*)` \|/gm)].map(
      (match) => match[1] as string,
    );
    expect(named.length).toBeGreaterThan(0);
    for (const place of named)
      expect(existsSync(join(root, place)), `${place} is in the source map`).toBe(true);
    const folders = readdirSync(join(root, "src"), { withFileTypes: true }).map((entry) =>
      entry.isDirectory() ? `src/${entry.name}/` : `src/${entry.name}`,
    );
    expect(folders.filter((place) => !named.includes(place))).toEqual([]);
  });

  it("the top level holds only what belongs there", () => {
    const tracked = execFileSync("git", ["ls-files"], { cwd: root, encoding: "utf8" })
      .split("\n")
      .filter(Boolean);
    const top = new Set(tracked.map((file) => file.split("/")[0] as string));
    const allowed =
      /^(package\.json|package-lock\.json|tsconfig\.json|asconfig\.json|biome\.json|assembly|src|bench|test|docs|README\.md|LICENSE|NOTICE|CHANGELOG\.md|\..+)$/;
    expect([...top].filter((name) => !allowed.test(name))).toEqual([]);
  });
});

/** A program that is started as a process is named by the URL of its compiled file. */
function mentions(other: string, file: string): boolean {
  const name = (file.split("/").pop() as string).replace(/\.ts$/, ".js");
  const url = new RegExp(`new URL\\(\\s*"[^"]*/${name.replaceAll(".", "\\.")}"`);
  return url.test(readFileSync(join(root, other), "utf8"));
}

/** A file's text without its comments. */
function codeOf(file: string): string {
  return readFileSync(join(root, file), "utf8").replace(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*/g, "");
}

describe("style", () => {
  const banned: readonly (readonly [RegExp, string])[] = [
    [/\b(TODO|FIXME|XXX|HACK)\b/, "finish it, or file an issue"],
    [/\bconsole\.(log|error|warn)\b/, "write to process.stdout or use the log"],
    [/: any\b|\bas any\b/, "unknown, and a check"],
    [/@ts-ignore(?!: decorator)/, "types that fit"],
  ];

  it.each(banned)("no file in src, assembly or bench has %s (instead: %s)", (pattern) => {
    const found = [...sources, ...files("assembly"), ...files("bench")].filter((file) =>
      pattern.test(pattern.source.includes("any") ? codeOf(file) : readFileSync(join(root, file), "utf8")),
    );
    expect(found).toEqual([]);
  });

  it("no test is skipped or alone", () => {
    const found = files("test").filter(
      (file) =>
        file !== "test/tidy.test.ts" &&
        /\b(it|test|describe)\.(skip|only|todo)\(/.test(readFileSync(join(root, file), "utf8")),
    );
    expect(found).toEqual([]);
  });

  it("no file in src or assembly has more than 480 lines", () => {
    const long = [...sources, ...files("assembly")].filter(
      (file) => readFileSync(join(root, file), "utf8").split("\n").length > 480,
    );
    expect(long).toEqual([]);
  });

  it("a file that a comment of src, assembly or bench names is there", () => {
    const tracked = execFileSync("git", ["ls-files"], { cwd: root, encoding: "utf8" }).split("\n");
    const paths = tracked.map((path) => `/${path}`);
    const named = [...sources, ...files("assembly"), ...files("bench")].flatMap((file) =>
      [
        ...readFileSync(join(root, file), "utf8").matchAll(/(?<![\w./"-])(?:[\w-]+\/)*[\w-]+\.ts\b(?!")/g),
      ].map(([name]) => `${file} names ${name}`),
    );
    expect(named.length).toBeGreaterThan(100);
    const isThere = (mention: string): boolean =>
      paths.some((path) => path.endsWith(`/${mention.split(" ")[2]}`));
    expect(named.filter((mention) => !isThere(mention))).toEqual([]);
  });

  it("every file of src and assembly opens with a comment that says what it is", () => {
    const bare = [...sources, ...files("assembly")].filter((file) => {
      const text = readFileSync(join(root, file), "utf8").replace(/^#!.*\n/, "");
      return !text.startsWith("/**");
    });
    expect(bare).toEqual([]);
  });
});
