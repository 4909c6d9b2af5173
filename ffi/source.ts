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
  const cache = cacheDirectory(), cached = join(cache, `source-${digest([url.href])}`);
  try {
    return Deno.readTextFileSync(cached);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw new CacheError(cache, error);
  }
  const text = fetchInChild(url), work = workDirectory(cache), file = join(work, "source");
  Deno.writeTextFileSync(file, text);
  Deno.renameSync(file, cached);
  Deno.removeSync(work);
  return text;
}

/** Fetches in a child process, because there is no synchronous fetch. */
function fetchInChild(url: URL): string {
  const script = `const reply = await fetch(${JSON.stringify(url.href)});
    if (!reply.ok) throw new Error(reply.status + " " + reply.statusText);
    await Deno.stdout.write(new Uint8Array(await reply.arrayBuffer()));`;
  const { success, stdout, stderr } = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-config", script],
  }).outputSync();
  const decoder = new TextDecoder();
  if (success) return decoder.decode(stdout);
  throw new Error(`source: cannot fetch ${url.href}. ${decoder.decode(stderr).trim()}`);
}
