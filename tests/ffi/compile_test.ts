import {
  CompileError,
  compileLibrary,
  type Compiler,
  openLibrary,
  symbolTable,
  type Unit,
} from "@denotron/denotron/ffi";
import assert from "node:assert/strict";
import { join } from "node:path";
import {
  addressOf,
  compilerTest,
  FakeCompiler,
  openKernels,
  runScript,
  TemporaryDirectory,
} from "./support.ts";

const headers = [{ name: "shared.h", text: "#pragma once\n#define ANSWER 42\n" }];
const one: Unit = { name: "one.c", source: "int one(const void *args) { return 1; }\n" };
const answer: Unit = {
  name: "answer.c",
  source: '#include "shared.h"\nint answer(const void *args) { return ANSWER; }\n',
};

/** The real compiler behind a stand-in that notes each call. */
function noted(compiler: Compiler, directory: string): { compiler: Compiler; fake: FakeCompiler } {
  const fake = new FakeCompiler(directory, `exec '${compiler.path}' "$@"`);
  return { compiler: { ...compiler, path: fake.path }, fake };
}

/** Shell code that waits for a condition, and gives up rather than wait forever for something that failed. */
function waitUntil(condition: string): string {
  return `tries=0
    until ${condition}; do
      tries=$((tries + 1))
      [ $tries -lt 1500 ] || exit 9
      sleep 0.02
    done`;
}

function call(path: string, name: string): number {
  using library = openLibrary(path, symbolTable([name]));
  return library.symbols[name]!(null);
}

compilerTest("units and headers become one library", (compiler) => {
  using directory = new TemporaryDirectory();
  const source = { name: "both", units: [one, answer], headers, compiler };
  const path = compileLibrary({ ...source, cacheDirectory: directory.path });
  assert.match(path, /\/both-[0-9a-f]{32}\.so$/);
  assert.equal(call(path, "one"), 1);
  assert.equal(call(path, "answer"), 42);
});

compilerTest("one source compiles twice with different flags", (compiler) => {
  using directory = new TemporaryDirectory();
  const source = "int NAME(const void *args) { return VALUE; }\n";
  const units = [["a", 5], ["b", 6]].map(([name, value]) => (
    { name: "twice.c", source, flags: [`-DNAME=${name}`, `-DVALUE=${value}`] }
  ));
  const cacheDirectory = directory.path;
  const path = compileLibrary({ name: "twice", units, headers: [], compiler, cacheDirectory });
  assert.equal(call(path, "a"), 5);
  assert.equal(call(path, "b"), 6);
});

compilerTest("more units than processors are all compiled", (compiler) => {
  using directory = new TemporaryDirectory();
  const names = Array.from({ length: 4 * navigator.hardwareConcurrency + 1 }, (_, i) => `unit${i}`);
  const units = names.map((name, i) => (
    { name: `${name}.c`, source: `int ${name}(const void *args) { return ${i}; }` }
  ));
  const cacheDirectory = directory.path;
  const path = compileLibrary({ name: "many", units, headers: [], compiler, cacheDirectory });
  names.forEach((name, i) => assert.equal(call(path, name), i));
});

compilerTest("the result is found again without starting the compiler", (real) => {
  using directory = new TemporaryDirectory();
  const { compiler, fake } = noted(real, directory.path);
  const source = { name: "hit", units: [one], headers, compiler, cacheDirectory: directory.path };
  const path = compileLibrary(source);
  const calls = fake.calls.length;
  assert.equal(compileLibrary(source), path);
  assert.equal(fake.calls.length, calls);
});

compilerTest("an edit compiles what it touches and nothing else", (real) => {
  using directory = new TemporaryDirectory();
  const { compiler, fake } = noted(real, directory.path);
  const compile = (units: Unit[], shared = headers) =>
    compileLibrary({
      name: "edit",
      units,
      headers: shared,
      compiler,
      cacheDirectory: directory.path,
    });
  compile([one, answer]);
  assert.deepEqual(fake.compiled, ["answer.c", "one.c"]);
  const edited = { ...one, source: one.source.replace("return 1", "return 11") };
  assert.equal(call(compile([edited, answer]), "one"), 11);
  assert.deepEqual(fake.compiled, ["answer.c", "one.c", "one.c"]);
  const path = compile([edited, answer], [{ name: "shared.h", text: "#define ANSWER 43\n" }]);
  assert.equal(call(path, "answer"), 43);
  assert.equal(fake.compiled.length, 5);
});

compilerTest("another compiler version compiles again", (real) => {
  using directory = new TemporaryDirectory();
  const { compiler, fake } = noted(real, directory.path);
  const source = { name: "version", units: [one], headers, cacheDirectory: directory.path };
  compileLibrary({ ...source, compiler });
  compileLibrary({ ...source, compiler: { ...compiler, version: "another" } });
  assert.equal(fake.compiled.length, 2);
});

compilerTest("a compile error shows the unit, its flags, the line and the reason", (compiler) => {
  using directory = new TemporaryDirectory();
  const broken: Unit = {
    name: "rms_norm.c",
    source: "\n".repeat(11) + "int rms_norm(const void *args) { return undeclared; }\n",
    flags: ["-DREAL_BF16"],
  };
  const source = { name: "kernels", units: [one, broken], headers: [], compiler };
  assert.throws(() => compileLibrary({ ...source, cacheDirectory: directory.path }), (error) => {
    assert.ok(error instanceof CompileError);
    assert.equal(error.unit, "rms_norm.c");
    const [summary] = error.message.split("\n");
    assert.equal(
      summary,
      "kernels: rms_norm.c with -DREAL_BF16 did not compile " +
        `(${compiler.path}, exit status 1).`,
    );
    assert.match(error.output, /^rms_norm\.c:12:\d+: error: .*undeclared/m);
    assert.ok(error.message.endsWith(error.output.trimEnd()));
    return true;
  });
});

compilerTest("an error in a header names the header and counts the units", (compiler) => {
  using directory = new TemporaryDirectory();
  const shared = [{ name: "shared.h", text: "#error half a header\n" }];
  const again = { ...answer, name: "again.c" };
  const source = { name: "kernels", units: [answer, again], headers: shared, compiler };
  assert.throws(
    () => compileLibrary({ ...source, cacheDirectory: directory.path }),
    /^CompileError: kernels: answer\.c did not compile, nor did 1 more [^]*shared\.h:1:.*half a header/,
  );
});

compilerTest("a unit that compiled is not compiled again after another was mended", (real) => {
  using directory = new TemporaryDirectory();
  const { compiler, fake } = noted(real, directory.path);
  const source = { name: "mend", headers: [], compiler, cacheDirectory: directory.path };
  const broken = { name: "two.c", source: "int two(" };
  assert.throws(() => compileLibrary({ ...source, units: [one, broken] }), CompileError);
  const mended = { name: "two.c", source: "int two(const void *args) { return 2; }" };
  assert.equal(call(compileLibrary({ ...source, units: [one, mended] }), "two"), 2);
  assert.deepEqual(fake.compiled, ["one.c", "two.c", "two.c"]);
});

compilerTest("calls to functions that do not exist are errors", (compiler) => {
  using directory = new TemporaryDirectory();
  const compile = (source: string) => {
    openKernels(compiler, directory.path, source, [])[Symbol.dispose]();
  };
  assert.throws(() => compile("int f(void) { return missing(); }"), /test\.c:1:.*missing/);
  assert.throws(
    () => compile("int missing(void); int f(void) { return missing(); }"),
    /^CompileError: test: did not link [^]*missing/,
  );
});

compilerTest("flags reach the compiler as they are", (compiler) => {
  using directory = new TemporaryDirectory();
  const text = "it's $HOME `pwd` ; | \\ * \n";
  const unit: Unit = {
    name: "text.c",
    source: `#include <string.h>
      int text(const unsigned long long *args) { strcpy((char *)args[0], TEXT); return 0; }`,
    flags: [`-DTEXT=${JSON.stringify(text)}`],
  };
  const source = { name: "text", units: [unit], headers: [], compiler };
  const path = compileLibrary({ ...source, cacheDirectory: directory.path });
  using library = openLibrary(path, symbolTable(["text"]));
  const bytes = new Uint8Array(64);
  const slots = new BigUint64Array([BigInt(addressOf(bytes))]);
  library.symbols.text(Deno.UnsafePointer.of(slots));
  assert.equal(new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0))), text);
});

compilerTest("names that are not file names are refused", (compiler) => {
  using directory = new TemporaryDirectory();
  const compile = (name: string, unit: string, header: string) =>
    compileLibrary({
      name,
      units: [{ name: unit, source: "" }],
      headers: [{ name: header, text: "" }],
      compiler,
      cacheDirectory: directory.path,
    });
  for (const name of ["", "a/b", "../a", "a b", "-o"]) {
    assert.throws(() => compile(name, "a.c", "a.h"), {
      name: "TypeError",
      message: `compileLibrary: not a library name, "${name}". Use letters, digits, _ and -.`,
    });
  }
  for (const name of ["", "a", "../a.c", "/a.c", "-a.c", ".c", "a;b.c", "a\n.c", "0.o"]) {
    assert.throws(() => compile("a", name, "a.h"), {
      name: "TypeError",
      message: `compileLibrary: not a C file name, "${name}". Use one like "add.c".`,
    });
    assert.throws(() => compile("a", "a.c", name), TypeError);
  }
  const units = [one, { ...one, source: "int other;" }];
  const source = { name: "a", units, headers, compiler, cacheDirectory: directory.path };
  assert.throws(() => compileLibrary(source), {
    message: 'compileLibrary: two different files are called "one.c". Rename one.',
  });
});

compilerTest("a cache that cannot be written says what to set", (compiler) => {
  using directory = new TemporaryDirectory();
  const file = join(directory.path, "file");
  Deno.writeTextFileSync(file, "");
  const cacheDirectory = join(file, "cache");
  assert.throws(
    () => compileLibrary({ name: "a", units: [one], headers, compiler, cacheDirectory }),
    (error: Error) => {
      assert.equal(error.name, "CacheError");
      assert.ok(
        error.message.startsWith(`cache: cannot write compiled code, "${cacheDirectory}" (`),
      );
      assert.ok(error.message.endsWith("Set DENOTRON_CACHE to a directory that you can write."));
      return true;
    },
  );
});

compilerTest("nothing but results stays in the cache", (compiler) => {
  using directory = new TemporaryDirectory();
  const cacheDirectory = directory.path;
  const abandoned = join(cacheDirectory, "working-abandoned");
  const busy = join(cacheDirectory, "working-busy");
  Deno.mkdirSync(abandoned);
  Deno.mkdirSync(busy);
  const longAgo = new Date(Date.now() - 48 * 60 * 60 * 1000);
  Deno.utimeSync(abandoned, longAgo, longAgo);
  const source = { name: "clean", headers, compiler, cacheDirectory };
  compileLibrary({ ...source, units: [one] });
  const broken = { name: "broken.c", source: "int broken(" };
  assert.throws(() => compileLibrary({ ...source, units: [broken] }), CompileError);
  const left = [...Deno.readDirSync(cacheDirectory)].map(({ name }) => name.replace(/.*\./, "."));
  assert.deepEqual(left.sort(), [".o", ".so", "working-busy"]);
});

compilerTest("two processes may compile the same library at once", async (compiler) => {
  using directory = new TemporaryDirectory();
  // Each process waits in its first compile until the other one has got there too.
  const meeting = new FakeCompiler(
    directory.path,
    `mkdir '${directory.path}'/arrived.$$
     ${waitUntil(`[ $(ls -d '${directory.path}'/arrived.* | wc -l) -ge 2 ]`)}
     exec '${compiler.path}' "$@"`,
  );
  const source = {
    name: "race",
    units: [one],
    headers: [],
    compiler: { ...compiler, path: meeting.path },
    cacheDirectory: join(directory.path, "cache"),
  };
  const script = `const path = ffi.compileLibrary(${JSON.stringify(source)});
    using library = ffi.openLibrary(path, ffi.symbolTable(["one"]));
    console.log(path, library.symbols.one(null));`;
  const [first, second] = await Promise.all([runScript(script, {}), runScript(script, {})]);
  assert.deepEqual(first, second);
  assert.match(first.stdout, /race-\w+\.so 1$/);
  assert.deepEqual(meeting.compiled, ["one.c", "one.c"]);
});

compilerTest("compilers run side by side", (compiler) => {
  using directory = new TemporaryDirectory();
  // Compiling one unit waits until the compiler of the other has started; the link waits for nobody.
  const meeting = new FakeCompiler(
    directory.path,
    `case "$*" in *" -c "*)
       mkdir '${directory.path}'/arrived.$$
       ${waitUntil(`[ $(ls -d '${directory.path}'/arrived.* | wc -l) -ge 2 ]`)} ;;
     esac
     exec '${compiler.path}' "$@"`,
  );
  const path = compileLibrary({
    name: "parallel",
    units: [one, answer],
    headers,
    compiler: { ...compiler, path: meeting.path },
    cacheDirectory: join(directory.path, "cache"),
  });
  assert.equal(call(path, "answer"), 42);
}, navigator.hardwareConcurrency < 2 ? "one processor" : null);

compilerTest("a compiler that is killed is an error of its unit", (compiler) => {
  using directory = new TemporaryDirectory();
  const killed = new FakeCompiler(directory.path, "kill -9 $$");
  const source = { name: "killed", units: [one], headers, cacheDirectory: directory.path };
  assert.throws(
    () => compileLibrary({ ...source, compiler: { ...compiler, path: killed.path } }),
    /^CompileError: killed: one\.c did not compile \(.*fake-cc, exit status 137\)/,
  );
});

compilerTest("a compilation that takes long is announced on stderr", async (compiler) => {
  using directory = new TemporaryDirectory();
  const gate = join(directory.path, "gate");
  const slow = new FakeCompiler(
    directory.path,
    `${waitUntil(`[ -e '${gate}' ]`)}\nexec '${compiler.path}' "$@"`,
  );
  const source = {
    name: "slow",
    units: [one],
    headers: [],
    compiler: { ...compiler, path: slow.path },
    cacheDirectory: join(directory.path, "cache"),
  };
  const module = new URL("../../ffi/mod.ts", import.meta.url).href;
  const script = `import { compileLibrary } from ${JSON.stringify(module)};
    compileLibrary(${JSON.stringify(source)});`;
  const args = ["eval", "--quiet", "--ext=ts", script];
  await using child = new Deno.Command(Deno.execPath(), { args, stderr: "piped" }).spawn();
  let said = "";
  for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
    said += text;
    if (said.includes("\n")) Deno.writeTextFileSync(gate, ""); // the compiler waits until the line was read
  }
  assert.equal(said, `denotron: compiling slow (1 C file) with ${compiler.version}, once\n`);
  assert.equal((await child.status).code, 0);
});
