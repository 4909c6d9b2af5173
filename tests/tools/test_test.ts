import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Runs `tools/test.ts` on one file with the given tests. */
async function runTool(
  tests: string,
  options: readonly string[] = [],
): Promise<{ code: number; lines: string[]; stderr: string }> {
  const directory = await Deno.makeTempDir({ prefix: "denotron-test-" });
  try {
    const file = join(directory, "sample_test.ts");
    await Deno.writeTextFile(file, tests);
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "tools/test.ts", file, "--quiet", ...options],
      cwd: root,
      env: { NO_COLOR: "1" },
    }).output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
    return { code, lines: text(stdout).split("\n"), stderr: text(stderr) };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("the last line counts the tests, and skipped ones are named", async () => {
  const { code, lines } = await runTool(`
    Deno.test("one", () => {});
    Deno.test("two > three", () => {});
    Deno.test("with steps", async (t) => { await t.step("first", () => {}); });
    Deno.test.ignore("needs <a GPU> & more", () => {});`);
  assert.equal(code, 0);
  assert.deepEqual(lines.slice(-3), [
    "Skipped:",
    "  needs <a GPU> & more",
    "3 passed, 0 failed, 1 skipped",
  ]);
});

Deno.test("a failing test and a failing step fail the run, each once", async () => {
  const { code, lines } = await runTool(`
    Deno.test("good", () => {});
    Deno.test("bad", () => { throw new Error("bad"); });
    Deno.test("bad step", async (t) => { await t.step("inner", () => { throw new Error("bad"); }); });
    Deno.test("leaks", () => { setTimeout(() => {}, 1e6); });`);
  assert.equal(code, 1);
  assert.equal(lines.at(-1), "1 passed, 3 failed, 0 skipped");
});

Deno.test("a run without tests fails", async () => {
  const { code, lines, stderr } = await runTool('Deno.test("one", () => {});', ["--filter=other"]);
  assert.equal(code, 1);
  assert.equal(stderr.split("\n").at(-1), "No test ran.");
  assert.equal(lines.at(-1), "0 passed, 0 failed, 0 skipped");
});

Deno.test("a file that does not load fails the run", async () => {
  const { code, lines } = await runTool('throw new Error("at the top");');
  assert.equal(code, 1);
  assert.equal(lines.at(-1), "0 passed, 1 failed, 0 skipped");
});

Deno.test("a crash in native code is named and fails the run", async () => {
  const { code, lines, stderr } = await runTool(`
    Deno.test("crash", () => {
      new Deno.UnsafePointerView(Deno.UnsafePointer.create(8n)!).getInt32();
    });`);
  assert.equal(code, 1);
  assert.match(stderr, /ended by SIGSEGV, probably in native code/);
  assert.equal(lines.at(-1), "0 passed, 1 failed, 0 skipped");
});
