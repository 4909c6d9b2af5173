import assert from "node:assert/strict";
import { join } from "node:path";
import { compiler, compilerTest, FakeCompiler, runScript, TemporaryDirectory } from "./support.ts";

const FIND = `try { console.log(JSON.stringify(ffi.findCompiler())); }
  catch (error) { console.log(error.name + ": " + error.message); }`;

Deno.test("DENOTRON_CC=none means that there is no compiler", async () => {
  const { stdout, stderr } = await runScript(FIND, { DENOTRON_CC: "none" });
  assert.equal(stdout, "null");
  assert.equal(stderr, "");
});

Deno.test("without a compiler in PATH there is none", async () => {
  using directory = new TemporaryDirectory();
  const { stdout, stderr } = await runScript(FIND, { PATH: directory.path, DENOTRON_CC: "" });
  assert.equal(stdout, "null");
  assert.equal(stderr, "");
});

Deno.test("DENOTRON_CC must name a program", async () => {
  const { stdout } = await runScript(FIND, { DENOTRON_CC: "no-such-cc" });
  assert.equal(
    stdout,
    'LoadError: compiler: DENOTRON_CC does not name a working C compiler, "no-such-cc" ' +
      "(no such program). Unset it to look for cc, gcc and clang, or set it to none to run " +
      "without compiled kernels.",
  );
});

Deno.test("DENOTRON_CC must name a compiler that works", async () => {
  using directory = new TemporaryDirectory();
  const broken = new FakeCompiler(directory.path, 'echo "stdint.h: not found" >&2; exit 1');
  const env = { DENOTRON_CC: broken.path, DENOTRON_CACHE: directory.path };
  const { stdout } = await runScript(FIND, env);
  assert.match(stdout, /^LoadError: compiler: .*fake-cc" \(stdint\.h: not found\)\. Unset it/);
});

compilerTest("DENOTRON_CC is a path, or a name in PATH", async ({ path, version }) => {
  using directory = new TemporaryDirectory();
  const fake = new FakeCompiler(directory.path, `exec '${path}' "$@"`);
  const env = { DENOTRON_CACHE: directory.path, PATH: `${directory.path}:${Deno.env.get("PATH")}` };
  for (const name of [fake.path, "fake-cc"]) {
    const { stdout } = await runScript(FIND, { ...env, DENOTRON_CC: name });
    const found = JSON.parse(stdout);
    assert.equal(found.path, fake.path);
    assert.equal(found.version, version);
  }
});

compilerTest("a candidate that does not work is passed over with a word", async ({ path }) => {
  using directory = new TemporaryDirectory();
  const broken = new FakeCompiler(directory.path, 'echo "no headers" >&2; exit 1', "cc");
  const working = new FakeCompiler(directory.path, `exec '${path}' "$@"`, "gcc");
  const { stdout, stderr } = await runScript(FIND, {
    DENOTRON_CC: "",
    DENOTRON_CACHE: directory.path,
    PATH: directory.path + ":/usr/bin:/bin",
  });
  assert.equal(JSON.parse(stdout).path, working.path);
  assert.equal(stderr, `denotron: ${broken.path} cannot compile: no headers`);
});

compilerTest("what a compiler does not take is said and done without", async ({ path }) => {
  using directory = new TemporaryDirectory();
  const limited = new FakeCompiler(
    directory.path,
    `case "$*" in *native*|*-fopenmp*|*-fvect*) exit 1 ;; esac\nexec '${path}' "$@"`,
  );
  const env = { DENOTRON_CC: limited.path, DENOTRON_CACHE: directory.path };
  const { stdout, stderr } = await runScript(FIND, env);
  assert.deepEqual(JSON.parse(stdout).flags, []);
  assert.match(
    stderr,
    /does not take -m\w+=native or -m\w+=native: kernels are compiled for any CPU/,
  );
  assert.match(stderr, /does not take -fopenmp: kernels run on one thread\. Install/);
  assert.doesNotMatch(stderr, /-fvect/); // nothing is lost without it
});

compilerTest("a compiler that lacks nothing is remembered and not started again", async (real) => {
  using directory = new TemporaryDirectory();
  const fake = new FakeCompiler(directory.path, `exec '${real.path}' "$@"`);
  const env = { DENOTRON_CC: fake.path, DENOTRON_CACHE: join(directory.path, "cache") };
  const first = await runScript(FIND, env);
  const calls = fake.calls.length;
  assert.ok(calls > 0);
  const second = await runScript(FIND, env);
  assert.equal(second.stdout, first.stdout);
  assert.equal(fake.calls.length, calls);
}, compiler?.flags.length === 2 ? null : "the compiler lacks something");

compilerTest(
  "a cache that cannot be written does not keep the compiler from being found",
  async () => {
    using directory = new TemporaryDirectory();
    const file = join(directory.path, "file");
    Deno.writeTextFileSync(file, "");
    const { stdout } = await runScript(FIND, { DENOTRON_CACHE: join(file, "cache") });
    assert.ok(JSON.parse(stdout).version);
  },
);

Deno.test("the cache directory follows the environment", async () => {
  const show = "console.log(ffi.cacheDirectory());";
  const unset = { DENOTRON_CACHE: "", XDG_CACHE_HOME: "", HOME: "/home/someone" };
  const cases = [
    [unset, "/home/someone/.cache/denotron"],
    [{ ...unset, XDG_CACHE_HOME: "/var/xdg" }, "/var/xdg/denotron"],
    [{ ...unset, XDG_CACHE_HOME: "/var/xdg", DENOTRON_CACHE: "/var/own" }, "/var/own"],
  ] as const;
  for (const [env, expected] of cases) {
    const { stdout } = await runScript(show, env);
    assert.equal(stdout, expected);
  }
});
