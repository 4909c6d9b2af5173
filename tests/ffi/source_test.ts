import { readSource } from "@denotron/denotron/ffi";
import assert from "node:assert/strict";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { runScript, TemporaryDirectory } from "./support.ts";

Deno.test("a source on disk is read as it is now", () => {
  using directory = new TemporaryDirectory();
  const path = join(directory.path, "a b.c");
  for (const text of ["int first;\n", "int second;\n"]) {
    Deno.writeTextFileSync(path, text);
    assert.equal(readSource(pathToFileURL(path)), text);
  }
});

Deno.test("a source on a server is fetched once and then read from the cache", async () => {
  using directory = new TemporaryDirectory();
  const asked: string[] = [];
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    const { pathname } = new URL(request.url);
    asked.push(pathname);
    return pathname === "/kernel.c"
      ? new Response("int kernel; // é\n")
      : new Response("no", { status: 404 });
  });
  const base = `http://127.0.0.1:${server.addr.port}`;
  // In another process, because reading is synchronous and the server answers from this one.
  const read = (path: string) =>
    runScript(
      `try { console.log(ffi.readSource(new URL("${base}${path}"))); }
       catch (error) { console.log(error.message); }`,
      { DENOTRON_CACHE: directory.path },
    );
  for (let i = 0; i < 2; i++) {
    const { stdout } = await read("/kernel.c");
    assert.equal(stdout, "int kernel; // é");
  }
  assert.deepEqual(asked, ["/kernel.c"]);

  const { stdout } = await read("/absent.c");
  assert.match(stdout, new RegExp(`^source: cannot fetch ${base}/absent\\.c\\. [^]*404 Not Found`));
});

Deno.test("sources on a server are fetched together, and found in the cache afterwards", async () => {
  using directory = new TemporaryDirectory();
  let asked = 0;
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    asked++;
    return new Response(new URL(request.url).pathname);
  });
  const base = `http://127.0.0.1:${server.addr.port}`;
  const { stdout } = await runScript(
    `const urls = ["a.c", "b.h", "c.h"].map((name) => new URL(name, "${base}"));
     ffi.fetchSources(urls.slice(1));
     ffi.fetchSources(urls);
     console.log(urls.map(ffi.readSource).join(" "));`,
    { DENOTRON_CACHE: directory.path },
  );
  assert.equal(stdout, "/a.c /b.h /c.h");
  assert.equal(asked, 3);
});
