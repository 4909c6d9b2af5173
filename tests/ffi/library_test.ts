import { findLibrary, LoadError, openLibrary, symbolTable } from "@denotron/denotron/ffi";
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { compilerTest, openKernels, runScript, TemporaryDirectory } from "./support.ts";

const hint = "Install libfancy.";

Deno.test("a library that is nowhere is reported with everything that was tried", () => {
  using directory = new TemporaryDirectory();
  const [first, second] = [join(directory.path, "a"), join(directory.path, "b")];
  const query = {
    name: "Fancy",
    variable: "DENOTRON_TEST_UNSET",
    sonames: ["libfancy.so.2", "libfancy.so.1"],
    directories: [first, second],
    hint,
  };
  assert.throws(() => findLibrary(query), {
    name: "LoadError",
    message: "Fancy: library not found, tried $DENOTRON_TEST_UNSET (not set), " +
      `${first}/libfancy.so.2 (no such file), ${first}/libfancy.so.1 (no such file), ` +
      `${second}/libfancy.so.2 (no such file), ${second}/libfancy.so.1 (no such file), ` +
      "libfancy.so.2 (unknown to the system loader), libfancy.so.1 (unknown to the system loader). " +
      "Install libfancy.",
  });
});

Deno.test("directories are searched before the system loader, best soname first", () => {
  using directory = new TemporaryDirectory();
  for (const name of ["libfancy.so.1", "libfancy.so.2"]) {
    Deno.writeTextFileSync(join(directory.path, name), "");
  }
  const sonames = ["libfancy.so.2", "libfancy.so.1"];
  const found = findLibrary({ name: "Fancy", sonames, directories: [directory.path], hint });
  assert.equal(found, Deno.realPathSync(join(directory.path, "libfancy.so.2")));
});

Deno.test({
  name: "the system loader finds what no directory has",
  ignore: Deno.build.os !== "linux",
  fn: () => {
    const sonames = ["libnonesuch.so.1", "libm.so.6"];
    assert.equal(findLibrary({ name: "math", sonames, hint }), "libm.so.6");
  },
});

Deno.test("the environment variable overrides the search and must be right", async () => {
  using directory = new TemporaryDirectory();
  const file = join(Deno.realPathSync(directory.path), "mine.so");
  const script =
    `const query = { name: "Fancy", variable: "FANCY", sonames: ["libm.so.6"], hint: "Install it." };
    try { console.log(ffi.findLibrary(query)); } catch (error) { console.log(error.message); }`;
  const missing = await runScript(script, { FANCY: file });
  const message = `Fancy: library not found, tried $FANCY = ${file} (no such file). Install it.`;
  assert.equal(missing.stdout, message);
  Deno.writeTextFileSync(file, "");
  const present = await runScript(script, { FANCY: file });
  assert.equal(present.stdout, file);
});

Deno.test("a file with the wrong checksum is not accepted, one with the right checksum is", () => {
  using directory = new TemporaryDirectory();
  const file = join(Deno.realPathSync(directory.path), "libfancy.so");
  Deno.writeTextFileSync(file, "content");
  const query = { name: "Fancy", sonames: ["libfancy.so"], directories: [directory.path], hint };
  const actual = createHash("sha256").update("content").digest("hex");
  const wrong = "0".repeat(64);
  assert.throws(() => findLibrary({ ...query, sha256: wrong }), {
    name: "LoadError",
    message: `Fancy: library not found, tried ${join(directory.path, "libfancy.so")} ` +
      `(SHA-256 is ${actual}, not ${wrong}). Install libfancy.`,
  });
  assert.equal(findLibrary({ ...query, sha256: actual.toUpperCase() }), file);
});

Deno.test("with a checksum the system loader is not asked", () => {
  const query = { name: "math", sonames: ["libm.so.6"], sha256: "0".repeat(64), hint };
  assert.throws(() => findLibrary(query), {
    message: "math: library not found, nowhere to look. Install libfancy.",
  });
});

Deno.test("a directory is not a library", () => {
  using directory = new TemporaryDirectory();
  Deno.mkdirSync(join(directory.path, "libfancy.so"));
  const query = { name: "Fancy", sonames: ["libfancy.so"], directories: [directory.path], hint };
  assert.throws(() => findLibrary(query), /libfancy\.so \(not a file\)/);
});

Deno.test("opening a file that is not a library says so", () => {
  using directory = new TemporaryDirectory();
  const file = join(directory.path, "text.so");
  Deno.writeTextFileSync(file, "not an ELF file, and long enough to hold a header".repeat(4));
  assert.throws(() => openLibrary(file, symbolTable(["f"])), (error) => {
    assert.ok(error instanceof LoadError);
    assert.deepEqual(error.tried, [file]);
    assert.match(
      error.message,
      /^openLibrary: cannot open the library, ".*text\.so" \(.+\)\. Delete/,
    );
    return true;
  });
});

compilerTest("opening names a function that the library lacks", (compiler) => {
  using directory = new TemporaryDirectory();
  const source = "int present(const void *args) { return 0; }";
  assert.throws(
    () => openKernels(compiler, directory.path, source, ["present", "absent"]),
    (error) => error instanceof LoadError && /absent/.test(error.message),
  );
});

Deno.test("a symbol table gives every kernel the same type", () => {
  assert.deepEqual(symbolTable(["a", "b"]), {
    a: { parameters: ["pointer"], result: "i32" },
    b: { parameters: ["pointer"], result: "i32" },
  });
  assert.deepEqual(symbolTable([]), {});
});
