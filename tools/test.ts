/**
 * Runs the tests and ends with one line that counts them: `N passed, N failed, N skipped`.
 *
 * `deno task test [files or folders] [options of deno test]`. Fails when a test fails, when a file does not load, and when
 * there was nothing to run.
 *
 * @module
 */
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { device } from "../tensor/mod.ts";
import { exists } from "./files.ts";
import { countTests, type TestCounts } from "./junit.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
// Here and not in deno.json, because examples in documentation load the kernels on first use, which would count as a leak.
const sanitizers = ["--sanitize-ops", "--sanitize-resources"];
// Kernels are loaded before the first test of each file, for the same reason.
const preload = `--preload=${join(root, "tests/preload.ts")}`;
const NOTHING: TestCounts = { passed: 0, failed: 0, skipped: [] };

/** Compiles the kernels before the workers start, which would otherwise all do it at once. */
function warm(): void {
  try {
    device().warm();
  } catch (error) {
    console.error(error); // the tests that need the kernels fail with it
  }
}

/** Runs `deno test` with its output on ours; returns its exit status and what it counted. */
async function runTests(args: readonly string[]): Promise<{ ok: boolean; counts: TestCounts }> {
  const directory = await Deno.makeTempDir({ prefix: "denotron-test-" });
  try {
    const report = join(directory, "report.xml");
    const child = new Deno.Command(Deno.execPath(), {
      args: ["test", "-A", "--parallel", ...sanitizers, preload, `--junit-path=${report}`, ...args],
      cwd: root,
      // Files run side by side, on a thread each; tests about threads choose their own number.
      env: { DENOTRON_THREADS: Deno.env.get("DENOTRON_THREADS") ?? "1" },
    }).spawn();
    const { success, signal } = await child.status;
    if (signal !== null) {
      console.error(`\nThe test process was ended by ${signal}, probably in native code.`);
      console.error("Run the files one at a time to see in which: deno task test tests/<file>");
    }
    const counts = exists(report) ? countTests(await Deno.readTextFile(report)) : NOTHING;
    return { ok: success, counts };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

const given = Deno.args.filter((arg, i) => !(arg === "--" && i === 0));
const args = given.some((arg) => exists(resolve(root, arg))) ? given : ["tests/", ...given];
warm();
const { ok, counts } = await runTests(args);
const { passed, skipped } = counts;
// A file that does not load and a process that dies are in no report.
const failed = ok ? counts.failed : Math.max(counts.failed, 1);
const ran = passed + failed > 0;
if (skipped.length > 0) console.log(["Skipped:", ...skipped].join("\n  "));
if (!ran) console.error("No test ran.");
console.log(`${passed} passed, ${failed} failed, ${skipped.length} skipped`);
Deno.exit(ok && failed === 0 && ran ? 0 : 1);
