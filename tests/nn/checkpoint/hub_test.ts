import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { downloadModel, type DownloadOptions } from "../../../nn/checkpoint/hub.ts";
import { openCheckpoint } from "../../../nn/checkpoint/open.ts";
import { writeHuggingFace } from "../../../nn/checkpoint/huggingface.ts";
import { llama, withFolder } from "../specs.ts";
import { assertSameTensors, madeCheckpoint } from "./checkpoints.ts";

const COMMIT = "0123456789abcdef0123456789abcdef01234567";

/** What a test can make the fake hub do. */
interface Behaviour {
  /** Bytes after which each of the first answers with this file breaks off. */
  breaks?: Record<string, number[]>;
  /** Served in place of a file's real bytes. */
  replaced?: Record<string, Uint8Array>;
  /** Whether the listing leaves out sizes and hashes. */
  bare?: boolean;
  ignoreRange?: boolean;
  token?: string;
  extraFiles?: string[];
  redirect?: string;
}

interface Hub {
  readonly endpoint: string;
  /** Each request as "host path range authorization". */
  readonly requests: {
    path: string;
    range: string | null;
    token: string | null;
    stored: boolean;
  }[];
}

/** Runs a hub that lists a model's files and redirects large ones to a second server. */
async function withHub(
  files: Record<string, Uint8Array>,
  behaviour: Behaviour,
  test: (hub: Hub, folder: string) => Promise<void>,
): Promise<void> {
  const requests: Hub["requests"] = [];
  const note = (request: Request, stored: boolean) =>
    requests.push({
      path: decodeURIComponent(new URL(request.url).pathname),
      range: request.headers.get("range"),
      token: request.headers.get("authorization"),
      stored,
    });
  const listen = { hostname: "127.0.0.1", port: 0, onListen: () => {} };
  const store = Deno.serve(listen, (request) => {
    note(request, true);
    return fileResponse(request, files, behaviour);
  });
  const hub = Deno.serve(listen, (request) => {
    note(request, false);
    if (behaviour.token && request.headers.get("authorization") !== `Bearer ${behaviour.token}`) {
      return new Response(null, { status: 401 });
    }
    const path = decodeURIComponent(new URL(request.url).pathname);
    if (path.startsWith("/api/models/org/model/revision/")) return listing(files, behaviour);
    if (!path.startsWith("/org/model/resolve/")) return new Response(null, { status: 404 });
    if (!path.endsWith(".safetensors")) return fileResponse(request, files, behaviour);
    const location = behaviour.redirect ?? `http://127.0.0.1:${store.addr.port}${path}`;
    const etag = `"${sha256(files[path.split("/").at(-1)!])}"`;
    return new Response(null, { status: 302, headers: { location, "x-linked-etag": etag } });
  });
  try {
    await withFolder((folder) =>
      test({ endpoint: `http://127.0.0.1:${hub.addr.port}/`, requests }, folder)
    );
  } finally {
    await Promise.all([hub.shutdown(), store.shutdown()]);
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function gitSha1(bytes: Uint8Array): string {
  return createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
}

function listing(
  files: Record<string, Uint8Array>,
  { bare, extraFiles = [] }: Behaviour,
): Response {
  const siblings = Object.entries(files).map(([rfilename, bytes]) => {
    if (bare) return { rfilename };
    const lfs = rfilename.endsWith(".safetensors") ? { lfs: { sha256: sha256(bytes) } } : {};
    return { rfilename, size: bytes.length, blobId: gitSha1(bytes), ...lfs };
  });
  const extra = extraFiles.map((rfilename) => ({ rfilename, size: 1 }));
  return Response.json({ sha: COMMIT, siblings: [...siblings, ...extra] });
}

function fileResponse(
  request: Request,
  files: Record<string, Uint8Array>,
  { breaks, replaced, ignoreRange }: Behaviour,
): Response {
  const name = new URL(request.url).pathname.split("/").at(-1)!;
  const bytes = replaced?.[name] ?? files[name];
  const begin = ignoreRange ? 0 : Number(/\d+/.exec(request.headers.get("range") ?? "0")![0]);
  if (begin >= bytes.length && begin > 0) return new Response(null, { status: 416 });
  const rest = bytes.slice(begin);
  const headers: Record<string, string> = {
    etag: `"${name.endsWith(".safetensors") ? sha256(files[name]) : gitSha1(files[name])}"`,
    ...(begin > 0 ? { "content-range": `bytes ${begin}-${bytes.length - 1}/${bytes.length}` } : {}),
  };
  const breakAt = breaks?.[name]?.shift() ?? rest.length;
  return new Response(rest.slice(0, breakAt), { status: begin > 0 ? 206 : 200, headers });
}

/** The files of a small model, as a folder holds them. */
function modelFiles(): Record<string, Uint8Array> {
  const folder = Deno.makeTempDirSync();
  try {
    writeHuggingFace(folder, madeCheckpoint(llama), { maxShardBytes: 20_000 });
    const names = [...Deno.readDirSync(folder)].map(({ name }) => name);
    const files = Object.fromEntries(names.map((n) => [n, Deno.readFileSync(join(folder, n))]));
    return {
      ...files,
      "tokenizer.json": new TextEncoder().encode("{}"),
      "README.md": new Uint8Array(3),
    };
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

/** Options under which nothing waits and nothing comes from the environment. */
function options(hub: Hub, folder: string, more: DownloadOptions = {}): DownloadOptions {
  return {
    endpoint: hub.endpoint,
    token: "",
    folder: join(folder, "model"),
    retryDelayMs: 0,
    ...more,
  };
}

Deno.test("a model is downloaded, checked, opened, and not fetched twice", async () => {
  const files = modelFiles();
  await withHub(files, {}, async (hub, folder) => {
    const seen = new Set<string>();
    const path = await downloadModel(
      "org/model",
      options(hub, folder, { onProgress: (p) => seen.add(p.file) }),
    );
    using opened = openCheckpoint(path);
    assertSameTensors(opened, madeCheckpoint(llama));
    assert.deepEqual(opened.files, [join(path, "tokenizer.json")]);
    const wanted = Object.keys(files).filter((name) => name !== "README.md").sort();
    assert.deepEqual([...seen].sort(), wanted);
    assert.deepEqual([...Deno.readDirSync(path)].map(({ name }) => name).sort(), wanted);
    const before = hub.requests.length;
    await downloadModel("org/model", options(hub, folder));
    assert.deepEqual(hub.requests.slice(before).map(({ path }) => path), [
      "/api/models/org/model/revision/main",
    ]);
  });
});

Deno.test("the token goes to the hub and not to where its files are stored", async () => {
  await withHub(modelFiles(), { token: "secret" }, async (hub, folder) => {
    await downloadModel("org/model", options(hub, folder, { token: "secret", revision: "v1/x" }));
    assert.ok(hub.requests.some(({ stored }) => stored));
    for (const { stored, token } of hub.requests) {
      assert.equal(token, stored ? null : "Bearer secret");
    }
    assert.equal(hub.requests[0].path, "/api/models/org/model/revision/v1/x");
  });
});

Deno.test("a broken download goes on where it broke, in the same run and in the next", async () => {
  const files = modelFiles();
  const shard = "model-00001-of-00005.safetensors";
  assert.ok(shard in files, Object.keys(files).join());
  await withHub(files, { breaks: { [shard]: [100, 50, 0] } }, async (hub, folder) => {
    await assert.rejects(downloadModel("org/model", options(hub, folder, { retries: 1 })));
    const part = join(folder, "model", `${shard}.part`);
    assert.equal(Deno.statSync(part).size, 150);
    const path = await downloadModel("org/model", options(hub, folder, { retries: 1 }));
    assert.deepEqual(Deno.readFileSync(join(path, shard)), files[shard]);
    const ranges = hub.requests.filter((r) => r.stored && r.path.endsWith(shard)).map((r) =>
      r.range
    );
    assert.deepEqual(ranges, [null, "bytes=100-", "bytes=150-", "bytes=150-"]);
  });
});

Deno.test("a connection that breaks keeps what came", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const answering = (async () => {
    for await (const connection of listener) {
      await connection.read(new Uint8Array(4096));
      const answer = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nabc";
      await connection.write(new TextEncoder().encode(answer));
      connection.close();
    }
  })();
  const redirect = `http://127.0.0.1:${listener.addr.port}/`;
  await withHub(modelFiles(), { redirect }, async (hub, folder) => {
    const accept = (name: string) => name === "model-00001-of-00005.safetensors";
    await assert.rejects(downloadModel("org/model", options(hub, folder, { accept, retries: 2 })));
    const part = join(folder, "model", "model-00001-of-00005.safetensors.part");
    assert.equal(Deno.readTextFileSync(part), "abc");
  });
  listener.close();
  await answering;
});

Deno.test("a server without ranges starts the file again", async () => {
  const files = modelFiles();
  const breaks = { "config.json": [10] };
  await withHub(files, { breaks, ignoreRange: true }, async (hub, folder) => {
    const path = await downloadModel("org/model", options(hub, folder));
    assert.deepEqual(Deno.readFileSync(join(path, "config.json")), files["config.json"]);
  });
});

Deno.test("wrong bytes are refused and not kept, whatever says what is right", async () => {
  const files = modelFiles();
  for (const name of ["config.json", "model-00002-of-00005.safetensors"]) {
    const wrong = files[name].slice();
    wrong[wrong.length - 1] ^= 1;
    for (const bare of [false, true]) {
      await withHub(files, { replaced: { [name]: wrong }, bare }, async (hub, folder) => {
        await assert.rejects(downloadModel("org/model", options(hub, folder)), {
          name: "DownloadError",
          message: /has the wrong content, hash [0-9a-f]+ \([0-9a-f]+ listed\)/,
        });
        const left = [...Deno.readDirSync(join(folder, "model"))].map((entry) => entry.name);
        assert.ok(!left.includes(name) && !left.includes(`${name}.part`), left.join());
      });
    }
  }
});

Deno.test("a file that changed on disk is downloaded again", async () => {
  const files = modelFiles();
  await withHub(files, {}, async (hub, folder) => {
    const path = await downloadModel("org/model", options(hub, folder));
    const changed = files["config.json"].slice().fill(32);
    Deno.writeFileSync(join(path, "config.json"), changed);
    Deno.writeFileSync(join(path, "tokenizer.json.part"), new Uint8Array(99));
    Deno.removeSync(join(path, "tokenizer.json"));
    await downloadModel("org/model", options(hub, folder));
    for (const name of ["config.json", "tokenizer.json"]) {
      assert.deepEqual(Deno.readFileSync(join(path, name)), files[name]);
    }
  });
});

Deno.test("two downloads of one model at once do not disturb each other", async () => {
  const files = modelFiles();
  await withHub(files, {}, async (hub, folder) => {
    const run = () => downloadModel("org/model", options(hub, folder));
    const [path] = await Promise.all([run(), run(), run()]);
    using opened = openCheckpoint(path);
    assertSameTensors(opened, madeCheckpoint(llama));
    const fetched = hub.requests.filter(({ path }) => path.endsWith("config.json"));
    assert.equal(fetched.length, 1);
  });
});

Deno.test("refusals say what to do", async () => {
  const download = (behaviour: Behaviour, name: string, more: DownloadOptions = {}) =>
    withHub(modelFiles(), behaviour, async (hub, folder) => {
      await downloadModel(name, options(hub, folder, more));
    });
  await assert.rejects(download({ token: "secret" }, "org/model"), {
    status: 401,
    message: /Set HF_TOKEN/,
  });
  await assert.rejects(download({}, "org/other"), { status: 404, message: /Check the name/ });
  await assert.rejects(download({}, "../model"), /is not a model name/);
  await assert.rejects(download({}, "a/b/c"), /is not a model name/);
  await assert.rejects(
    download({}, "org/model", { accept: () => false }),
    /no files of the asked kind/,
  );
  for (const name of ["../x.safetensors", "/etc/x", "a/../../b", "a\\..\\b", "", "C:x"]) {
    await assert.rejects(
      download({ extraFiles: [name] }, "org/model"),
      /the hub lists the file .* Refused/,
    );
  }
  const redirect = "file:///etc/hostname";
  await assert.rejects(
    download({ redirect }, "org/model", { retries: 0 }),
    /leads to file: addresses/,
  );
  const endpoint = "http://127.0.0.1:1";
  await assert.rejects(download({}, "org/model", { endpoint, retries: 0 }), /no answer/);
});

Deno.test("a download can be given up", async () => {
  await withHub(modelFiles(), {}, async (hub, folder) => {
    const stop = new AbortController();
    const onProgress = () => stop.abort(new Error("enough"));
    const running = downloadModel(
      "org/model",
      options(hub, folder, { signal: stop.signal, onProgress }),
    );
    await assert.rejects(running, /enough/);
  });
});
