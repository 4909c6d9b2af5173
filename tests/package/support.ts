/**
 * The package as others get it: from a registry, or as a tarball.
 *
 * @module
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { cacheDirectory } from "../../ffi/mod.ts";
import { device } from "../../tensor/mod.ts";

/** The project's folder. */
export const root: string = fileURLToPath(new URL("../..", import.meta.url));

/** What is read of `deno.json`. */
export interface PackageFile {
  readonly name: string;
  readonly version: string;
  readonly exports: Readonly<Record<string, string>>;
  readonly imports: Readonly<Record<string, string>>;
  readonly publish: { readonly include: readonly string[] };
}

/** What the package says of itself. */
export function readPackageFile(): PackageFile {
  return JSON.parse(Deno.readTextFileSync(join(root, "deno.json"))) as PackageFile;
}

/** Every file that is published, by its path from the root. */
export function publishedFiles({ publish }: PackageFile): string[] {
  const below = (path: string): string[] => {
    if (Deno.statSync(path).isFile) return [path];
    return [...Deno.readDirSync(path)].flatMap(({ name }) => below(join(path, name)));
  };
  return publish.include.flatMap((path) => below(join(root, path)))
    .map((path) => relative(root, path));
}

/** A program that ran. */
export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly errors: string;
}

/** Runs a program in a folder, with more or other variables. */
export async function runIn(
  cwd: string,
  [program, ...args]: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Outcome> {
  const { INIT_CWD: _, ...inherited } = Deno.env.toObject();
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    cwd,
    env: { ...inherited, ...env },
    clearEnv: true,
  }).output();
  const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
  return { code, out: decode(stdout), errors: decode(stderr) };
}

/** A program that trains a decoder to go on with a sequence, and says how much it learned. */
export function trainingProgram(specifier: string): string {
  return `import { adamw, Decoder, device, linearCrossEntropy, scope, Tensor } from "${specifier}";
const ids = Tensor.from([1, 2, 3, 1, 2, 3, 1, 2, 3], [9], { dtype: "i32" });
using model = new Decoder({
  vocab: 4, dim: 16, context: 16, headDim: 8, tied: true,
  norm: { kind: "rms_norm", eps: 1e-5 },
  rope: { theta: 10_000, fraction: 1, scaling: null },
  blocks: [{ attention: { kind: "gqa", heads: 2, kvHeads: 1 }, ffn: { kind: "relu2", hidden: 16 } }],
});
const { master, gradient } = model.arena!, m = Tensor.zeros(master.shape), v = Tensor.zeros(master.shape);
const losses: number[] = [];
for (let step = 1; step <= 10; step++) {
  gradient.fill(0);
  losses.push(scope(() => {
    const { loss } = linearCrossEntropy(model.hidden(ids.slice(0, 0, 8)), model.headWeight, ids.slice(0, 1));
    loss.backward();
    return loss.item();
  }));
  adamw({ master, gradient, m, v }, { lr: 0.05, step });
}
console.log(JSON.stringify({ first: losses[0], last: losses.at(-1), at: device().name }));
`;
}

/** Starts a server, looks at its page, asks it for a completion and stops it. */
export async function tryServer(
  cwd: string,
  [program, ...args]: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  const { INIT_CWD: _, ...inherited } = Deno.env.toObject();
  await using child = new Deno.Command(program, {
    ...{ args, cwd, clearEnv: true, stdout: "piped", stderr: "piped" },
    env: { ...inherited, ...env },
  }).spawn();
  const errors = new Response(child.stderr).text();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { value } = await reader.read(), address = value?.trim();
  if (address === undefined) throw new Error(await errors);
  const page = await fetch(address);
  assert.match(await page.text(), /<html/);
  const answer = await fetch(`${address}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ prompt: "hello", max_tokens: 4 }),
  });
  assert.equal(answer.status, 200, await answer.clone().text());
  await answer.body?.cancel();
  child.kill("SIGTERM");
  assert.equal((await child.status).code, 0, await errors);
  await reader.cancel();
}

/** A cache with the compiled kernels of this machine, and none of their sources: those have to be fetched. */
export function cacheWithoutSources(folder: string): string {
  device().warm();
  Deno.mkdirSync(folder);
  for (const { name } of Deno.readDirSync(cacheDirectory())) {
    if (/^(source|working)-/.test(name)) continue;
    Deno.symlinkSync(join(cacheDirectory(), name), join(folder, name));
  }
  return folder;
}

/** A registry that has this package alone, as JSR would after publishing it. */
export interface MockRegistry extends AsyncDisposable {
  /** For the variable JSR_URL. */
  readonly url: string;
  /** `127.0.0.1:port`, for `--allow-import`. */
  readonly host: string;
  /** Paths that were asked for. */
  readonly asked: readonly string[];
}

/** Starts it. */
export function openRegistry(): MockRegistry {
  const own = readPackageFile(), { name, version } = own, asked: string[] = [];
  const files = new Map(
    publishedFiles(own).map((path) => [`/${path}`, contentOf(path, own)]),
  );
  const manifest = Object.fromEntries(
    files.entries().map(([path, bytes]) => [path, {
      size: bytes.length,
      checksum: `sha256-${createHash("sha256").update(bytes).digest("hex")}`,
    }]),
  );
  const answers = new Map<string, Uint8Array | string>([
    [`/${name}/meta.json`, JSON.stringify({ name, latest: version, versions: { [version]: {} } })],
    [`/${name}/${version}_meta.json`, JSON.stringify({ manifest, exports: own.exports })],
    ...files.entries().map(([path, bytes]) => [`/${name}/${version}${path}`, bytes] as const),
  ]);
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, ({ url }) => {
    const { pathname } = new URL(url), answer = answers.get(pathname);
    asked.push(pathname);
    return answer === undefined
      ? new Response("no such file", { status: 404 })
      : new Response(answer as BodyInit, { headers: { "content-type": typeOf(pathname) } });
  });
  const host = `127.0.0.1:${server.addr.port}`;
  return {
    ...{ url: `http://${host}/`, host, asked },
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

function typeOf(path: string): string {
  if (path.endsWith(".ts")) return "application/typescript";
  return path.endsWith(".json") ? "application/json" : "text/plain";
}

/** A published file: bare imports say which package they mean, as publishing writes them. */
function contentOf(path: string, { imports }: PackageFile): Uint8Array<ArrayBuffer> {
  const bytes = Deno.readFileSync(join(root, path));
  if (!path.endsWith(".ts")) return bytes;
  const text = new TextDecoder().decode(bytes);
  const rewritten = text.replace(
    /^(.*\bfrom |import\(|import )"([^".][^"]*)"/gm,
    (whole, before: string, specifier: string) => {
      const key =
        Object.keys(imports).filter((one) =>
          specifier === one || (one.endsWith("/") && specifier.startsWith(one))
        ).sort((a, b) => b.length - a.length)[0];
      return key === undefined ? whole : `${before}"${imports[key]}${specifier.slice(key.length)}"`;
    },
  );
  return new TextEncoder().encode(rewritten);
}
