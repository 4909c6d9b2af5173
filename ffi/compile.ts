import { join } from "node:path";
import { cacheDirectory, cpuIdentity, digest, workDirectory } from "./cache.ts";
import type { Compiler } from "./cc.ts";

/** A C source file and the flags that it alone is compiled with. */
export interface Unit {
  /** File name, as the compiler's messages show it: `rms_norm.c`. */
  readonly name: string;
  /** The C text. */
  readonly source: string;
  /** Flags for this unit, for instance `["-DREAL_BF16"]`. */
  readonly flags?: readonly string[];
}

/** A file that units include by name. */
export interface Header {
  /** File name, as in `#include "kernel.h"`. */
  readonly name: string;
  /** The C text. */
  readonly text: string;
}

/** What {@link compileLibrary} makes a library from. */
export interface LibrarySource {
  /** Name of the library: letters, digits, `_` and `-`. */
  readonly name: string;
  /** The translation units. Two may share name and source when their flags differ. */
  readonly units: readonly Unit[];
  /** The headers that units include; all of them count for all units. */
  readonly headers: readonly Header[];
  /** The compiler, from `findCompiler()`. */
  readonly compiler: Compiler;
  /** Where to keep the result; `cacheDirectory()` unless given. */
  readonly cacheDirectory?: string;
}

/** A unit that the compiler refused, or a library that did not link. */
export class CompileError extends Error {
  /** The class's name, which messages begin with. */
  override readonly name = "CompileError";

  /**
   * Describes what the compiler refused.
   *
   * @param unit Name of the unit, or of the library when linking failed.
   * @param status Exit status of the compiler.
   * @param output What the compiler printed, unchanged.
   * @param summary The first line of the message.
   */
  constructor(
    readonly unit: string,
    readonly status: number,
    readonly output: string,
    summary: string,
  ) {
    super(`${summary}\n${output.trimEnd()}`);
  }
}

// Strict where C is lax: a call to an undeclared function and an undefined symbol would otherwise fail at run time only.
// Without -ffast-math, which would let a result depend on how the compiler vectorised a loop.
const COMPILE_FLAGS: readonly string[] = [
  "-std=gnu17",
  "-O2", // with vector loops as fast as -O3, and compiled in two thirds of the time
  "-ftree-vectorize",
  "-fPIC",
  "-fno-math-errno",
  "-fno-trapping-math",
  "-Werror=implicit-function-declaration",
];
const LINK_FLAGS: readonly string[] = Deno.build.os === "darwin" ? [] : ["-Wl,--no-undefined"];
const ENGLISH = { LC_ALL: "C" }; // so that a reported message can be searched for
const NOTICE_SECONDS = 2;
const INTERRUPTED = 130; // what shells report for a command that Ctrl-C ended

interface Job {
  readonly unit: Unit;
  readonly object: string; // path in the cache
}

/**
 * Compiles C into a shared library, once: the result is kept in the cache under a hash of everything that it depends on.
 *
 * Units are compiled in parallel, one compiler per CPU thread, while the caller waits. Each object is cached on its own, so
 * an edit to one unit compiles one unit. Processes that compile the same library at the same time do not disturb each
 * other: each works in its own directory and renames what it has finished. Longer than two seconds is reported on stderr.
 *
 * @returns Path of the library.
 * @throws {CompileError} When a unit does not compile or the library does not link.
 * @throws {CacheError} When the cache cannot be written.
 * @throws {TypeError} When a name is not that of a C file, or two different files share one.
 *
 * @example
 * ```ts
 * import { compileLibrary, findCompiler, openLibrary, symbolTable } from "@denotron/denotron/ffi";
 * import assert from "node:assert/strict";
 *
 * const source = "int answer(const unsigned long long *args) { return 42; }";
 * const compiler = findCompiler();
 * if (compiler !== null) {
 *   const units = [{ name: "answer.c", source }];
 *   const path = compileLibrary({ name: "answer", units, headers: [], compiler });
 *   using library = openLibrary(path, symbolTable(["answer"]));
 *   assert.equal(library.symbols.answer(null), 42);
 * }
 * ```
 */
export function compileLibrary(source: LibrarySource): string {
  const { name, units, headers, compiler } = source;
  checkNames(source);
  const cache = source.cacheDirectory ?? cacheDirectory();
  const common = digest([
    compiler.version,
    compiler.target,
    cpuIdentity(),
    ...compiler.flags,
    ...COMPILE_FLAGS,
    ...LINK_FLAGS,
    ...headers.flatMap(({ name, text }) => [name, text]),
  ]);
  const keys = units.map((unit) => digest([common, unit.name, unit.source, ...unit.flags ?? []]));
  const library = join(cache, `${name}-${digest(keys).slice(0, 32)}.so`);
  if (exists(library)) return library;

  const jobs = units.map((unit, i) => ({
    unit,
    object: join(cache, `${keys[i]!.slice(0, 32)}.o`),
  }));
  const directory = workDirectory(cache);
  try {
    compileUnits(source, jobs.filter(({ object }) => !exists(object)), directory);
    link(source, jobs.map(({ object }) => object), library, directory);
    return library;
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

function compileUnits(source: LibrarySource, jobs: readonly Job[], directory: string): void {
  if (jobs.length === 0) return;
  const files = [
    ...source.headers.map(({ name, text }) => ({ name, text })),
    ...jobs.map(({ unit }) => ({ name: unit.name, text: unit.source })),
    { name: "compile.sh", text: compileScript(source, jobs) },
  ];
  for (const { name, text } of files) Deno.writeTextFileSync(join(directory, name), text);
  const args = ["./compile.sh"];
  const streams = { stdout: "null", stderr: "inherit" } as const;
  new Deno.Command("sh", { args, cwd: directory, env: ENGLISH, ...streams }).outputSync();

  const failed: { unit: Unit; status: number; output: string }[] = [];
  jobs.forEach(({ unit, object }, i) => {
    const status = Number(readIfAny(join(directory, `${i}.status`)) ?? INTERRUPTED);
    if (status === 0) Deno.renameSync(join(directory, `${i}.o`), object);
    else failed.push({ unit, status, output: readIfAny(join(directory, `${i}.stderr`)) ?? "" });
  });
  const [first] = failed;
  if (first === undefined) return;
  const flags = first.unit.flags?.length ? ` with ${first.unit.flags.join(" ")}` : "";
  const more = failed.length > 1 ? `, nor did ${failed.length - 1} more` : "";
  throw new CompileError(
    first.unit.name,
    first.status,
    first.output,
    `${source.name}: ${first.unit.name}${flags} did not compile${more} ` +
      `(${source.compiler.path}, exit status ${first.status}).`,
  );
}

/**
 * A shell script that compiles every job, several at a time.
 *
 * Deno has no synchronous way to wait for several processes, and POSIX `sh` none to wait for the next of several. So one
 * lane per CPU walks through all jobs and takes those that no other lane has taken; `mkdir` decides, because it is atomic.
 */
function compileScript({ name, compiler }: LibrarySource, jobs: readonly Job[]): string {
  const commands = jobs.map(({ unit }, i) => {
    const flags = [...COMPILE_FLAGS, ...compiler.flags, ...unit.flags ?? []];
    const command = [compiler.path, ...flags, "-c", unit.name, "-o", `${i}.o`];
    return `  ${i}) ${command.map(quoted).join(" ")} ;;`;
  });
  const lanes = Math.min(jobs.length, navigator.hardwareConcurrency);
  const files = `${jobs.length} C file${jobs.length === 1 ? "" : "s"}`;
  const notice = `denotron: compiling ${name} (${files}) with ${compiler.version}, once`;
  return `
compile() {
  case $1 in
${commands.join("\n")}
  esac
}
lane() {
  i=0
  while [ $i -lt ${jobs.length} ]; do
    if mkdir $i.taken 2>/dev/null; then
      compile $i >$i.stderr 2>&1
      echo $? >$i.status
    fi
    i=$((i + 1))
  done
}
(
  trap 'kill $sleeper; exit' TERM
  sleep ${NOTICE_SECONDS} >/dev/null 2>&1 &
  sleeper=$!
  wait $sleeper
  echo ${quoted(notice)} >&2
) &
notice=$!
lanes=
trap 'kill $lanes $notice; exit 130' INT TERM
${`lane & lanes="$lanes $!"\n`.repeat(lanes)}wait $lanes
kill $notice 2>/dev/null
`;
}

function link(source: LibrarySource, objects: string[], library: string, directory: string): void {
  const { compiler, name } = source;
  const draft = join(directory, "library.so");
  const args = [...compiler.flags, "-shared", ...LINK_FLAGS, ...objects, "-lm", "-o", draft];
  const { success, code, stderr } = new Deno.Command(compiler.path, { args, env: ENGLISH })
    .outputSync();
  if (!success) {
    const output = new TextDecoder().decode(stderr);
    const summary = `${name}: did not link (${compiler.path}, exit status ${code}).`;
    throw new CompileError(name, code, output, summary);
  }
  Deno.renameSync(draft, library);
}

/** Names become file names in one directory, so they may not lead out of it nor hide one another. */
function checkNames({ name, units, headers }: LibrarySource): void {
  if (!/^\w[\w-]*$/.test(name)) {
    throw new TypeError(
      `compileLibrary: not a library name, "${name}". Use letters, digits, _ and -.`,
    );
  }
  const texts = new Map<string, string>();
  const files = [...headers, ...units.map(({ name, source }) => ({ name, text: source }))];
  for (const { name, text } of files) {
    if (!/^\w[\w.-]*\.[ch]$/.test(name)) {
      throw new TypeError(`compileLibrary: not a C file name, "${name}". Use one like "add.c".`);
    }
    if ((texts.get(name) ?? text) !== text) {
      throw new TypeError(`compileLibrary: two different files are called "${name}". Rename one.`);
    }
    texts.set(name, text);
  }
}

/** Quotes a word for `sh`. */
function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch (error) {
    if (isAbsence(error)) return false;
    throw error;
  }
}

function readIfAny(path: string): string | null {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (isAbsence(error)) return null;
    throw error;
  }
}

function isAbsence(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory;
}
