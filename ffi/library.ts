import { createHash } from "node:crypto";
import { join } from "node:path";

/** A native library or program that is needed and was not found, does not open, or is not the one expected. */
export class LoadError extends Error {
  /** The class's name, which messages begin with. */
  override readonly name = "LoadError";

  /**
   * Describes what was looked for.
   *
   * @param message What is missing, what was tried, and what to do.
   * @param tried Every path or name that was tried, in order.
   */
  constructor(message: string, readonly tried: readonly string[]) {
    super(message);
  }
}

/** What {@link findLibrary} looks for. */
export interface LibraryQuery {
  /** What people call the library, for messages: `cuBLAS`. */
  readonly name: string;
  /** Environment variable that holds the path of the library and overrides the search. */
  readonly variable?: string;
  /** File names to look for, best first: `["libcublas.so.13", "libcublas.so.12"]`. */
  readonly sonames: readonly string[];
  /** Directories to look in before the system loader's own. */
  readonly directories?: readonly string[];
  /** SHA-256 of the file, in hexadecimal; only a file with this checksum is accepted. */
  readonly sha256?: string;
  /** What to do when the library is nowhere: a sentence. */
  readonly hint: string;
}

/**
 * Finds a native library.
 *
 * In this order: the path in the environment variable, which must then be right; every soname in every directory; every
 * soname through the system loader. A file outside the loader's reach is not opened here, only looked at; with `sha256`
 * its checksum is verified, and the loader, which would not say which file it opens, is not asked.
 *
 * @returns An absolute path, or a soname that the system loader can open.
 * @throws {LoadError} When the library is nowhere; its message lists everything that was tried.
 *
 * @example
 * ```ts
 * import { findLibrary, LoadError } from "@denotron/denotron/ffi";
 * import assert from "node:assert/strict";
 *
 * const query = { name: "Nonesuch", sonames: ["libnonesuch.so.1"], hint: "There is none." };
 * assert.throws(() => findLibrary(query), LoadError);
 * ```
 */
export function findLibrary(query: LibraryQuery): string {
  const tried: string[] = [];
  const named = query.variable && Deno.env.get(query.variable);
  const files = named
    ? [named]
    : (query.directories ?? []).flatMap((directory) =>
      query.sonames.map((soname) => join(directory, soname))
    );
  for (const file of files) {
    const obstacle = fileObstacle(file, query.sha256);
    if (obstacle === null) return Deno.realPathSync(file);
    tried.push(`${file} (${obstacle})`);
  }
  if (!named && query.sha256 === undefined) {
    for (const soname of query.sonames) {
      const obstacle = loaderObstacle(soname);
      if (obstacle === null) return soname;
      tried.push(`${soname} (${obstacle})`);
    }
  }
  throw new LoadError(notFound(query, named || undefined, tried), tried);
}

/** An open library. Its functions must not be called once it is closed. */
export interface Library<Symbols extends Deno.ForeignLibraryInterface> extends Disposable {
  /** The functions, by name. Take those that are called often out of here once: `const { f } = library.symbols`. */
  readonly symbols: Deno.StaticForeignLibraryInterface<Symbols>;
}

/**
 * Opens a native library.
 *
 * @param path What {@link findLibrary} or `compileLibrary` returned.
 * @param symbols The functions wanted from it, as `Deno.dlopen` takes them.
 * @throws {LoadError} When the file cannot be opened or lacks a function.
 *
 * @example
 * ```ts
 * import { openLibrary } from "@denotron/denotron/ffi";
 * import assert from "node:assert/strict";
 *
 * if (Deno.build.os === "linux") {
 *   using math = openLibrary("libm.so.6", { cos: { parameters: ["f64"], result: "f64" } });
 *   assert.equal(math.symbols.cos(0), 1);
 * }
 * ```
 */
export function openLibrary<const Symbols extends Deno.ForeignLibraryInterface>(
  path: string,
  symbols: Symbols,
): Library<Symbols> {
  try {
    const library = Deno.dlopen(path, symbols);
    return { symbols: library.symbols, [Symbol.dispose]: () => library.close() };
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    throw new LoadError(
      `openLibrary: cannot open the library, "${path}" (${loaderReason(error)}). ` +
        `Delete the file if it is in the cache, reinstall its package if it is not.`,
      [path],
    );
  }
}

/** The type of every kernel: one block of arguments in, a status out. */
export interface KernelSymbol {
  /** `const uint64_t *args` */
  readonly parameters: readonly ["pointer"];
  /** 0, or an error that `check()` names. */
  readonly result: "i32";
}

/**
 * The symbols of a library of kernels, for {@link openLibrary}.
 *
 * @param names Names of the kernels, each `int32_t name(const uint64_t *args)`.
 *
 * @example
 * ```ts
 * import { symbolTable } from "@denotron/denotron/ffi";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(symbolTable(["add_f32"]), { add_f32: { parameters: ["pointer"], result: "i32" } });
 * ```
 */
export function symbolTable<Name extends string>(
  names: readonly Name[],
): Record<Name, KernelSymbol> {
  const kernel: KernelSymbol = { parameters: ["pointer"], result: "i32" };
  return Object.fromEntries(names.map((name) => [name, kernel])) as Record<Name, KernelSymbol>;
}

/** Why a file cannot be the library, or null when it can. */
function fileObstacle(file: string, sha256: string | undefined): string | null {
  try {
    if (!Deno.statSync(file).isFile) return "not a file";
    if (sha256 === undefined) return null;
    const actual = createHash("sha256").update(Deno.readFileSync(file)).digest("hex");
    return actual === sha256.toLowerCase() ? null : `SHA-256 is ${actual}, not ${sha256}`;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "no such file";
    if (error instanceof Deno.errors.NotADirectory) return "no such file";
    if (error instanceof Deno.errors.PermissionDenied) return "not readable";
    throw error;
  }
}

/** Why the system loader does not open a library, or null when it does. */
function loaderObstacle(soname: string): string | null {
  try {
    Deno.dlopen(soname, {}).close();
    return null;
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    const reason = loaderReason(error);
    return reason.includes("No such file") ? "unknown to the system loader" : reason;
  }
}

/** What the loader said, without the words that Deno puts before it. */
function loaderReason(error: unknown): string {
  return (error as Error).message.replace(/^(Could not open library: )+/, "");
}

function notFound(query: LibraryQuery, named: string | undefined, tried: string[]): string {
  const places = [...tried];
  if (query.variable !== undefined && named === undefined) {
    places.unshift(`$${query.variable} (not set)`);
  }
  if (named !== undefined) places[0] = `$${query.variable} = ${places[0]}`;
  const none = places.length === 0 ? "nowhere to look" : `tried ${places.join(", ")}`;
  return `${query.name}: library not found, ${none}. ${query.hint}`;
}
