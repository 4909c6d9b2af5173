import { join } from "node:path";
import { cacheDirectory, CacheError, digest, workDirectory } from "./cache.ts";

/**
 * The text of a source file of this package: read from disk, or, when the package itself was loaded over the network,
 * fetched once into the cache. Synchronous, because kernels are compiled on the first call of an op.
 *
 * @param url Where the file is, as `new URL("./rms_norm.c", import.meta.url)`.
 * @throws {CacheError} When the cache cannot be written.
 * @throws {Error} When the file cannot be read or fetched.
 */
export function readSource(url: URL): string {
  if (url.protocol === "file:") return Deno.readTextFileSync(url);
  const cached = placeOf(url);
  try {
    return Deno.readTextFileSync(cached);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw new CacheError(cacheDirectory(), error);
  }
  fetchSources([url]);
  return Deno.readTextFileSync(cached);
}

/**
 * Fetches those of many source files that are on a network and not in the cache yet, all at once: {@linkcode readSource}
 * then finds them there.
 *
 * @throws {CacheError} When the cache cannot be written.
 * @throws {Error} When a file cannot be fetched.
 */
export function fetchSources(urls: readonly URL[]): void {
  const missing = urls.filter((url) => url.protocol !== "file:" && !isFile(placeOf(url)));
  if (missing.length === 0) return;
  const work = workDirectory(cacheDirectory());
  try {
    fetchInChild(missing.map(({ href }) => href)).forEach((text, i) => {
      const file = join(work, "source");
      Deno.writeTextFileSync(file, text);
      Deno.renameSync(file, placeOf(missing[i]));
    });
  } finally {
    Deno.removeSync(work, { recursive: true });
  }
}

/** Where a fetched file is kept. */
function placeOf({ href }: URL): string {
  return join(cacheDirectory(), `source-${digest([href])}`);
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw new CacheError(cacheDirectory(), error);
  }
}

/** Fetches in a child process, because there is no synchronous fetch. */
function fetchInChild(urls: readonly string[]): string[] {
  const script = `const texts = await Promise.all(${JSON.stringify(urls)}.map(async (url) => {
      const reply = await fetch(url);
      if (!reply.ok) throw new Error(url + " (" + reply.status + " " + reply.statusText + ")");
      return await reply.text();
    }));
    await new Response(JSON.stringify(texts)).body.pipeTo(Deno.stdout.writable);`;
  const { success, stdout, stderr } = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-config", script],
  }).outputSync();
  const decoder = new TextDecoder();
  if (success) return JSON.parse(decoder.decode(stdout)) as string[];
  const what = urls.length === 1 ? urls[0] : `${urls.length} files`;
  throw new Error(`source: cannot fetch ${what}. ${decoder.decode(stderr).trim()}`);
}
