import { delimiter, join, resolve } from "node:path";
import { cacheDirectory, cpuIdentity, digest } from "./cache.ts";
import { LoadError } from "./library.ts";

/** A C compiler that was tried and works, with the flags that it takes on this machine. */
export interface Compiler {
  /** The program: an absolute path. */
  readonly path: string;
  /** First line of what it prints for `--version`. */
  readonly version: string;
  /** What it compiles for, as `x86_64-linux-gnu`. */
  readonly target: string;
  /** The flags for this CPU, for OpenMP and for loops that it accepted, for instance `["-march=native", "-fopenmp"]`. */
  readonly flags: readonly string[];
}

/** One wish, the flags that may grant it (best first), and what is lost when none does. */
interface Wish {
  readonly candidates: readonly string[];
  readonly source: string;
  /** Null when nothing is lost. */
  readonly loss: string | null;
}

const CPU: Wish = {
  candidates: Deno.build.arch === "aarch64"
    ? ["-mcpu=native", "-march=native"]
    : ["-march=native", "-mcpu=native"],
  source: "#include <math.h>\n#include <stdint.h>\nint probe(void) { return 0; }\n",
  loss: "kernels are compiled for any CPU of this kind and are slower",
};

const THREADS: Wish = {
  candidates: ["-fopenmp"],
  source: "#include <omp.h>\nint probe(void) { return omp_get_max_threads(); }\n",
  loss: "kernels run on one thread. Install the compiler's OpenMP library (libgomp or libomp-dev)",
};

// GCC's -O2 leaves most loops scalar unless it is told to weigh each; Clang vectorises without being told.
const LOOPS: Wish = {
  candidates: ["-fvect-cost-model=dynamic"],
  source: CPU.source,
  loss: null,
};

const WISHES: readonly Wish[] = [CPU, THREADS, LOOPS];

/**
 * Finds a C compiler that can build a shared library.
 *
 * `DENOTRON_CC` names it (a path, or a name to look up in `PATH`); `DENOTRON_CC=none` means there is none. Otherwise the
 * first of `cc`, `gcc` and `clang` that works is taken. What is lacking (no compiler flag for this CPU, no OpenMP) is
 * reported on stderr. A compiler that lacks nothing is remembered in the cache, so that the next process need not start it.
 *
 * @returns The compiler, or null when there is none, or on Windows, where kernels are not compiled.
 * @throws {LoadError} When `DENOTRON_CC` names a compiler that is not there or does not work.
 *
 * @example
 * ```ts
 * import { findCompiler } from "@denotron/denotron/ffi";
 * import assert from "node:assert/strict";
 *
 * const compiler = findCompiler();
 * assert.ok(compiler === null || compiler.version.length > 0);
 * ```
 */
export function findCompiler(): Compiler | null {
  const wanted = Deno.env.get("DENOTRON_CC");
  if (wanted === "none" || Deno.build.os === "windows") return null;
  if (wanted) return namedCompiler(wanted);
  for (const name of ["cc", "gcc", "clang"]) {
    const path = programPath(name);
    const found = path === null ? "not in PATH" : probed(path);
    if (typeof found !== "string") return found;
    if (path !== null) console.error(`denotron: ${path} cannot compile: ${found}`);
  }
  return null;
}

function namedCompiler(name: string): Compiler {
  const path = programPath(name);
  const found = path === null ? "no such program" : probed(path);
  if (typeof found !== "string") return found;
  throw new LoadError(
    `compiler: DENOTRON_CC does not name a working C compiler, "${name}" (${found}). ` +
      `Unset it to look for cc, gcc and clang, or set it to none to run without compiled kernels.`,
    [path ?? name],
  );
}

/** The absolute path of a program given by path or by name, or null. */
function programPath(name: string): string | null {
  const places = name.includes("/")
    ? [name]
    : (Deno.env.get("PATH") ?? "").split(delimiter).map((directory) => join(directory, name));
  for (const place of places) {
    try {
      const { isFile, mode } = Deno.statSync(place);
      if (isFile && (mode === null || (mode & 0o111) !== 0)) return resolve(place);
    } catch (error) {
      if (
        !(error instanceof Deno.errors.NotFound) && !(error instanceof Deno.errors.NotADirectory)
      ) {
        throw error;
      }
    }
  }
  return null;
}

/** A compiler as {@link probe} finds it, remembered under the program's size and time and this CPU. */
function probed(path: string): Compiler | string {
  const { size, mtime } = Deno.statSync(path);
  const wishes = WISHES.flatMap(({ candidates }) => candidates);
  const key = digest([path, String(size), String(mtime?.getTime()), cpuIdentity(), ...wishes]);
  const memory = join(cacheDirectory(), `compiler-${key.slice(0, 32)}.json`);
  try {
    return JSON.parse(Deno.readTextFileSync(memory)) as Compiler;
  } catch {
    // Not probed yet, or not readable: either way the compiler itself knows.
  }
  const directory = Deno.makeTempDirSync({ prefix: "denotron-probe-" });
  try {
    const found = probe(path, directory);
    if (typeof found === "string") return found;
    if (!found.lacks) remember(memory, found.compiler);
    return found.compiler;
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

/** Asks a compiler who it is and what it can do; returns its complaint when it cannot build a library at all. */
function probe(path: string, directory: string): { compiler: Compiler; lacks: boolean } | string {
  const version = run(path, ["--version"], directory);
  if (!version.ok) return version.text;
  const bare = build(path, CPU.source, [], directory);
  if (!bare.ok) return bare.text;
  const flags: string[] = [];
  let lacks = false;
  for (const { candidates, source, loss } of WISHES) {
    const flag = candidates.find((candidate) => build(path, source, [candidate], directory).ok);
    if (flag !== undefined) flags.push(flag);
    else if (loss !== null) {
      lacks = true;
      console.error(`denotron: ${path} does not take ${candidates.join(" or ")}: ${loss}.`);
    }
  }
  const target = run(path, ["-dumpmachine"], directory).text.trim();
  return { compiler: { path, version: version.text.split("\n")[0]!, target, flags }, lacks };
}

function build(path: string, source: string, flags: string[], directory: string): Output {
  Deno.writeTextFileSync(join(directory, "probe.c"), source);
  return run(path, [...flags, "-shared", "-fPIC", "probe.c", "-o", "probe.so"], directory);
}

interface Output {
  readonly ok: boolean;
  readonly text: string;
}

function run(path: string, args: string[], cwd: string): Output {
  try {
    const { success, stdout, stderr } = new Deno.Command(path, { args, cwd }).outputSync();
    return { ok: success, text: new TextDecoder().decode(success ? stdout : stderr).trim() };
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    return { ok: false, text: (error as Error).message };
  }
}

/** Writes a file that others may be reading: whole or not at all. A cache that cannot be written costs only time. */
function remember(file: string, compiler: Compiler): void {
  try {
    Deno.mkdirSync(cacheDirectory(), { recursive: true });
    const draft = Deno.makeTempFileSync({ dir: cacheDirectory(), prefix: "working-" });
    Deno.writeTextFileSync(draft, JSON.stringify(compiler));
    Deno.renameSync(draft, file);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
  }
}
