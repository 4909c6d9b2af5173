import assert from "node:assert/strict";
import { join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { exists } from "../tools/files.ts";

// Which folders may import which. Everything may import itself; tests, benches, examples and tools may import all of these.
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  ffi: [],
  tensor: ["ffi"],
  nn: ["tensor"],
  text: [],
  engine: ["nn", "tensor", "text"],
  train: ["engine", "nn", "tensor", "text"],
  serve: ["engine", "nn", "tensor", "text"],
  cli: ["train", "serve", "engine", "nn", "text", "tensor", "ffi"],
};

const root = fileURLToPath(new URL("..", import.meta.url));

/** One import: both ends are paths from the root, with forward slashes. */
interface Import {
  readonly from: string;
  readonly to: string;
  /** Whether `from` cannot run before `to` has: neither type-only nor `import()`. */
  readonly value: boolean;
}

/** The imports of all source files, as `deno info` resolves them. */
async function readImports(): Promise<Import[]> {
  const directory = await Deno.makeTempDir({ prefix: "denotron-test-" });
  try {
    const entry = join(directory, "all.ts");
    const lines = sourceFiles().map((path) =>
      `import ${JSON.stringify(pathToFileURL(path).href)};`
    );
    await Deno.writeTextFile(entry, lines.join("\n"));
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["info", "--json", "--config", join(root, "deno.json"), entry],
    }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
    const { modules } = JSON.parse(new TextDecoder().decode(stdout)) as { modules: InfoModule[] };
    const imports = modules.flatMap(importsOf).filter(({ from }) => !from.startsWith(".."));
    assert.ok(imports.length > 0, "deno info reported no imports");
    return imports;
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** The part of a module in the output of `deno info --json` that is read here. */
interface InfoModule {
  readonly specifier: string;
  readonly error?: string;
  readonly dependencies?: readonly {
    readonly code?: { readonly specifier: string };
    readonly type?: { readonly specifier: string };
    readonly isDynamic?: boolean;
  }[];
}

function importsOf({ specifier, error, dependencies = [] }: InfoModule): Import[] {
  assert.equal(error, undefined);
  return dependencies.flatMap(({ code, type, isDynamic = false }) => {
    const target = code?.specifier ?? type?.specifier;
    if (!target?.startsWith("file:")) return [];
    const value = code !== undefined && !isDynamic;
    return [{ from: fromRoot(specifier), to: fromRoot(target), value }];
  });
}

function fromRoot(url: string): string {
  return relative(root, fileURLToPath(url)).replaceAll("\\", "/");
}

function sourceFiles(): string[] {
  const folders = Object.keys(ALLOWED).map((folder) => join(root, folder));
  return [...folders.flatMap(typeScriptFiles), join(root, "mod.ts")].filter(exists);
}

function typeScriptFiles(folder: string): string[] {
  if (!exists(folder)) return [];
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) => {
    const path = join(folder, name);
    if (isDirectory) return typeScriptFiles(path);
    return /\.tsx?$/.test(name) ? [path] : [];
  });
}

/** What the table forbids, one line per import. */
function forbiddenImports(imports: readonly Import[]): string[] {
  return imports.flatMap(({ from, to }) => {
    const [source, target] = [folderOf(from), folderOf(to)];
    const allowed = ALLOWED[source];
    if (to === "deno.json") return []; // the package's name and version, for anyone who tells them
    if (allowed === undefined || source === target || allowed.includes(target)) return [];
    const may = allowed.length === 0 ? "no other folder" : `only ${allowed.join(", ")}`;
    return [`${from} imports ${to}, but ${source}/ may import ${may}`];
  });
}

function folderOf(path: string): string {
  return path.includes("/") ? path.slice(0, path.indexOf("/")) : ".";
}

/** Paths of a cycle of value imports, first and last the same, or null when there is none. */
function findCycle(imports: readonly Import[]): string[] | null {
  const values = Map.groupBy(imports.filter(({ value }) => value), ({ from }) => from);
  const finished = new Set<string>();
  const visit = (path: readonly string[]): string[] | null => {
    const current = path.at(-1)!;
    const start = path.indexOf(current);
    if (start < path.length - 1) return path.slice(start);
    if (finished.has(current)) return null;
    for (const { to } of values.get(current) ?? []) {
      const cycle = visit([...path, to]);
      if (cycle !== null) return cycle;
    }
    finished.add(current);
    return null;
  };
  for (const start of values.keys()) {
    const cycle = visit([start]);
    if (cycle !== null) return cycle;
  }
  return null;
}

Deno.test("folders import only what the layers allow", async () => {
  const forbidden = forbiddenImports(await readImports());
  assert.equal(forbidden.length, 0, forbidden.join("\n"));
});

Deno.test("no module needs itself to be loaded first", async () => {
  const cycle = findCycle(await readImports());
  assert.equal(
    cycle,
    null,
    `a cycle of imports: ${cycle?.join(" -> ")}. Make one of them import type.`,
  );
});

Deno.test("only ffi opens native libraries", () => {
  const folders = [...Object.keys(ALLOWED), "bench", "examples", "tools", "tests"];
  const openers = folders.filter((folder) => folder !== "ffi")
    .flatMap((folder) => typeScriptFiles(join(root, folder)))
    .filter((path) => /\bDeno\.dlopen\(/.test(Deno.readTextFileSync(path)))
    .map((path) => relative(root, path));
  assert.deepEqual(openers, []);
});

Deno.test("a forbidden import and a cycle would be found", () => {
  const edge = (from: string, to: string, value = true): Import => ({ from, to, value });
  assert.deepEqual(
    forbiddenImports([
      edge("tensor/a.ts", "ffi/mod.ts"),
      edge("tensor/a.ts", "nn/b.ts", false),
      edge("text/a.ts", "mod.ts"),
      edge("mod.ts", "serve/app.ts"),
      edge("tests/a.ts", "serve/app.ts"),
    ]),
    [
      "tensor/a.ts imports nn/b.ts, but tensor/ may import only ffi",
      "text/a.ts imports mod.ts, but text/ may import no other folder",
    ],
  );
  const [a, b, c, d] = ["nn/a.ts", "nn/b.ts", "nn/c.ts", "nn/d.ts"] as const;
  assert.deepEqual(findCycle([edge(d, a), edge(a, b), edge(b, c), edge(c, a)]), [a, b, c, a]);
  assert.deepEqual(findCycle([edge(a, a)]), [a, a]);
  assert.equal(findCycle([edge(a, b), edge(a, c), edge(b, d), edge(c, d)]), null);
  assert.equal(findCycle([edge(a, b), edge(b, a, false)]), null);
});
