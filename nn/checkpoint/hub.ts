import { createHash } from "node:crypto";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { isObject } from "./config_reader.ts";
import { DownloadError, request, type Session, statusError } from "./hub_request.ts";
import { CARRIED_FILES } from "./huggingface.ts";

export { DownloadError } from "./hub_request.ts";

/** How far a download is. */
export interface DownloadProgress {
  /** The file's name in the model. */
  readonly file: string;
  /** Bytes of this file that are on disk. */
  readonly bytes: number;
  /** Bytes of the whole file; null when the server doesn't say. */
  readonly total: number | null;
}

/** Where {@linkcode downloadModel} gets a model from, and where it puts it. */
export interface DownloadOptions {
  /** A branch, tag or commit. Default "main". */
  readonly revision?: string;
  /** The folder to fill. Default: the commit's own folder in the cache. */
  readonly folder?: string;
  /** Which files to take, by name. Default: config, safetensors, tokenizer and the like. */
  readonly accept?: (file: string) => boolean;
  /** The hub's address. Default: `HF_ENDPOINT`, else https://huggingface.co. */
  readonly endpoint?: string;
  /** An access token. Default: `HF_TOKEN`; none is sent when both are absent. */
  readonly token?: string;
  /** How often a broken connection is tried again, from where it broke. Default 5. */
  readonly retries?: number;
  /** The wait before the first retry, doubled each time, in milliseconds. Default 500. */
  readonly retryDelayMs?: number;
  /** Gives the download up; what came is kept and goes on next time. */
  readonly signal?: AbortSignal;
  /** Called after each piece that was written. */
  readonly onProgress?: (progress: DownloadProgress) => void;
}

/** One file as the hub lists it; `sha256` for large files, `gitSha1` for the others. */
interface HubFile {
  readonly name: string;
  readonly size: number | null;
  readonly sha256: string | null;
  readonly gitSha1: string | null;
}

const MODEL_NAME = /^[\w-][\w.-]*(\/[\w-][\w.-]*)?$/;
const WEIGHTS = /^(config\.json|[^/]*\.safetensors|model\.safetensors\.index\.json)$/;

/**
 * Downloads a model from a Hugging Face hub by name and returns its folder, ready for
 * `openCheckpoint`. Files already there are kept; a broken download goes on where it broke; each
 * file is checked against the hash that the hub lists, and appears under its name only then.
 * Throws {@linkcode DownloadError}.
 *
 * @param name such as `"org/model"`
 */
export async function downloadModel(name: string, options: DownloadOptions = {}): Promise<string> {
  if (!MODEL_NAME.test(name)) {
    throw new DownloadError(`download: "${name}" is not a model name. Give owner/name.`);
  }
  const token = options.token ?? Deno.env.get("HF_TOKEN");
  const endpoint = options.endpoint ?? Deno.env.get("HF_ENDPOINT") ?? "https://huggingface.co";
  const session: Session = {
    endpoint: endpoint.replace(/\/+$/, ""),
    token: token || null,
    signal: options.signal ?? null,
  };
  const { commit, files } = await listFiles(session, name, options.revision ?? "main");
  const accept = options.accept ?? ((file) => WEIGHTS.test(file) || CARRIED_FILES.test(file));
  const wanted = files.filter((file) => accept(file.name));
  if (wanted.length === 0) {
    throw new DownloadError(
      `download: ${name} has no files of the asked kind, ${files.length} others. ` +
        `Choose a model with safetensors.`,
    );
  }
  const folder = options.folder ?? join(cacheFolder(), "models", ...name.split("/"), commit);
  for (const file of wanted) {
    const encoded = file.name.split("/").map(encodeURIComponent).join("/");
    const url = `${session.endpoint}/${name}/resolve/${commit}/${encoded}`;
    await downloadFile(session, url, file, join(folder, file.name), options);
  }
  return folder;
}

/** `$DENOTRON_CACHE`, else `$XDG_CACHE_HOME/denotron`, else `~/.cache/denotron`. */
function cacheFolder(): string {
  const own = Deno.env.get("DENOTRON_CACHE");
  if (own) return resolve(own);
  const shared = Deno.env.get("XDG_CACHE_HOME");
  return shared ? resolve(shared, "denotron") : join(homedir(), ".cache", "denotron");
}

async function listFiles(
  session: Session,
  name: string,
  revision: string,
): Promise<{ commit: string; files: HubFile[] }> {
  const path = `api/models/${name}/revision/${encodeURIComponent(revision)}`;
  const url = `${session.endpoint}/${path}?blobs=true`;
  const response = await request(session, url);
  const listing: unknown = response.status === 200 ? await response.json().catch(() => null) : null;
  if (response.status !== 200) {
    await response.body?.cancel();
    throw statusError(name, response.status);
  }
  if (!isObject(listing) || !/^[0-9a-f]{40}$/.test(String(listing.sha))) {
    throw new DownloadError(`download: ${url} did not answer with a model. Check HF_ENDPOINT.`);
  }
  const siblings = Array.isArray(listing.siblings) ? listing.siblings.filter(isObject) : [];
  return { commit: String(listing.sha), files: siblings.map(hubFile) };
}

function hubFile(sibling: Record<string, unknown>): HubFile {
  const name = sibling.rfilename;
  const parts = typeof name === "string" ? name.split(/[\\/]/) : [""];
  // The name becomes a path on this machine: it must stay inside the model's folder.
  if (typeof name !== "string" || parts.some((part) => /^\.*$|:/.test(part))) {
    throw new DownloadError(`download: the hub lists the file ${JSON.stringify(name)}. Refused.`);
  }
  const lfs = isObject(sibling.lfs) ? sibling.lfs : {};
  const text = (value: unknown) => typeof value === "string" ? value.toLowerCase() : null;
  const sha256 = text(lfs.sha256);
  return {
    name,
    size: typeof sibling.size === "number" ? sibling.size : null,
    sha256,
    gitSha1: sha256 === null ? text(sibling.blobId) : null,
  };
}

async function downloadFile(
  session: Session,
  url: string,
  file: HubFile,
  path: string,
  options: DownloadOptions,
): Promise<void> {
  if (await isComplete(path, file)) return;
  await Deno.mkdir(dirname(path), { recursive: true });
  const part = `${path}.part`;
  using target = await Deno.open(part, { read: true, write: true, create: true });
  // Two processes may want the same file: the second waits, then finds it done.
  await target.lock(true);
  if (await isComplete(path, file)) return;
  const listed = await fetchRest(session, url, file, target, options);
  const given = await digest(target, listed);
  const expected = listed.sha256 ?? listed.gitSha1;
  if (given !== expected) {
    // Wrong bytes must not be resumed.
    await Deno.remove(part);
    throw new DownloadError(
      `download: ${url} has the wrong content, hash ${given} (${expected} listed). ` +
        `Download it again.`,
    );
  }
  await target.sync();
  await Deno.rename(part, path);
}

/** Whether a file is there with the listed content. */
async function isComplete(path: string, file: HubFile): Promise<boolean> {
  try {
    using existing = await Deno.open(path);
    const { size } = await existing.stat();
    if (file.size !== null && size !== file.size) return false;
    return await digest(existing, { ...file, size }) === (file.sha256 ?? file.gitSha1);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Fetches what is missing, trying again after broken connections. Returns what to check against. */
async function fetchRest(
  session: Session,
  url: string,
  file: HubFile,
  target: Deno.FsFile,
  options: DownloadOptions,
): Promise<HubFile> {
  const { retries = 5, retryDelayMs = 500, signal } = options;
  for (let attempt = 0;; attempt++) {
    try {
      return await fetchOnce(session, url, file, target, options);
    } catch (error) {
      signal?.throwIfAborted();
      const answered = error instanceof DownloadError && error.status !== null;
      const lasting = answered && error.status! < 500 && error.status !== 429;
      if (lasting || attempt >= retries) throw error;
      await new Promise((resolve) => setTimeout(resolve, retryDelayMs * 2 ** attempt));
    }
  }
}

async function fetchOnce(
  session: Session,
  url: string,
  file: HubFile,
  target: Deno.FsFile,
  { onProgress }: DownloadOptions,
): Promise<HubFile> {
  let begin = (await target.stat()).size;
  if (file.size !== null && begin >= file.size) {
    if (begin === file.size) return file;
    begin = 0;
  }
  const range: Record<string, string> = begin > 0 ? { range: `bytes=${begin}-` } : {};
  const response = await request(session, url, range);
  const { status, headers, body } = response;
  if (status === 416) {
    // The part is longer than the file: start over.
    await body?.cancel();
    await target.truncate(0);
    throw new DownloadError(`download: ${url} has no bytes after ${begin}. Try again.`);
  }
  if ((status !== 200 && status !== 206) || body === null) {
    await body?.cancel();
    throw statusError(url, status);
  }
  const resumed = status === 206 &&
    headers.get("content-range")?.startsWith(`bytes ${begin}-`) === true;
  if (!resumed) begin = 0;
  await target.truncate(begin);
  await target.seek(begin, Deno.SeekMode.Start);
  const length = headers.get("content-length");
  const total = file.size ?? (length === null ? null : begin + Number(length));
  let bytes = begin;
  for await (const chunk of body) {
    for (let done = 0; done < chunk.length;) done += await target.write(chunk.subarray(done));
    bytes += chunk.length;
    onProgress?.({ file: file.name, bytes, total });
  }
  if (total !== null && bytes !== total) {
    throw new DownloadError(`download: ${url} broke off, (${bytes} of ${total} bytes). Try again.`);
  }
  return withHash(file, response.etag, bytes);
}

/** Where the listing has no hash, the entity tag is one: SHA-256 of large files, git's otherwise. */
function withHash(file: HubFile, etag: string | null, size: number): HubFile {
  if (file.sha256 !== null || file.gitSha1 !== null) return { ...file, size };
  const hash = etag?.replace(/^W\//, "").replaceAll('"', "") ?? "";
  return {
    ...file,
    size,
    sha256: /^[0-9a-f]{64}$/.test(hash) ? hash : null,
    gitSha1: /^[0-9a-f]{40}$/.test(hash) ? hash : null,
  };
}

/** The hash that the hub lists for a file; null when it lists none. */
async function digest(target: Deno.FsFile, file: HubFile): Promise<string | null> {
  if (file.sha256 === null && file.gitSha1 === null) return null;
  const hash = createHash(file.sha256 !== null ? "sha256" : "sha1");
  // Git hashes a file together with its length.
  if (file.sha256 === null) hash.update(`blob ${file.size}\0`);
  const buffer = new Uint8Array(1 << 20);
  await target.seek(0, Deno.SeekMode.Start);
  for (let count = await target.read(buffer); count !== null; count = await target.read(buffer)) {
    hash.update(buffer.subarray(0, count));
  }
  return hash.digest("hex");
}
