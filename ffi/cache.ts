import { createHash } from "node:crypto";
import { cpus, homedir } from "node:os";
import { join, resolve } from "node:path";

const WORKING = "working-";

/** The cache of compiled code cannot be used. */
export class CacheError extends Error {
  /** The class's name, which messages begin with. */
  override readonly name = "CacheError";

  /**
   * Describes a cache directory that cannot be used.
   *
   * @param directory The directory.
   * @param cause What the system said.
   */
  constructor(readonly directory: string, cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    super(
      `cache: cannot write compiled code, "${directory}" (${reason}). ` +
        `Set DENOTRON_CACHE to a directory that you can write.`,
      { cause },
    );
  }
}

/**
 * Where compiled code is kept: `$DENOTRON_CACHE`, else `$XDG_CACHE_HOME/denotron`, else `~/.cache/denotron`.
 *
 * Nothing in it is precious: any of it can be deleted at any time and is made again when it is needed.
 */
export function cacheDirectory(): string {
  const own = Deno.env.get("DENOTRON_CACHE");
  if (own) return resolve(own);
  const shared = Deno.env.get("XDG_CACHE_HOME");
  return shared ? resolve(shared, "denotron") : join(homedir(), ".cache", "denotron");
}

/**
 * Makes a new empty directory inside the cache, for files that are later renamed into place.
 *
 * @throws {CacheError} When the cache cannot be written.
 */
export function workDirectory(cache: string): string {
  try {
    Deno.mkdirSync(cache, { recursive: true });
    removeAbandoned(cache);
    return Deno.makeTempDirSync({ dir: cache, prefix: WORKING });
  } catch (cause) {
    throw new CacheError(cache, cause);
  }
}

/** Removes what processes left behind that were killed while they worked here. */
function removeAbandoned(cache: string): void {
  const yesterday = Date.now() - 24 * 60 * 60 * 1000;
  for (const { name } of Deno.readDirSync(cache)) {
    if (!name.startsWith(WORKING)) continue;
    const path = join(cache, name);
    try {
      const modified = Deno.statSync(path).mtime?.getTime() ?? Date.now();
      if (modified < yesterday) Deno.removeSync(path, { recursive: true });
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error; // another process was faster
    }
  }
}

/**
 * The SHA-256 of some parts, in hexadecimal.
 *
 * Each part is preceded by its length, so that moving a byte from one part to the next changes the result.
 */
export function digest(parts: Iterable<string>): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(`${part.length}:`).update(part);
  return hash.digest("hex");
}

/**
 * What distinguishes this machine's CPU for `-march=native`: its model and its instruction sets.
 *
 * Virtual machines share one model name and differ in the instruction sets that they pass on. Reading those takes all
 * permissions (`/proc/cpuinfo`); without them the model has to do.
 */
export function cpuIdentity(): string {
  try {
    const lines = Deno.readTextFileSync("/proc/cpuinfo").split("\n");
    const first = (key: RegExp) => lines.find((line) => key.test(line)) ?? "";
    return [/^model name/, /^CPU part/, /^(flags|Features)/].map(first).join("\n");
  } catch {
    return cpus()[0]?.model ?? Deno.build.arch;
  }
}
