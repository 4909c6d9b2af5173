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
import { countLine, runDenoTest } from "./deno_test.ts";
import { exists } from "./files.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
// Here and not in deno.json, because examples in documentation load the kernels on first use, which would count as a leak.
const sanitizers = ["--sanitize-ops", "--sanitize-resources"];
// Kernels are loaded before the first test of each file, for the same reason.
const preload = `--preload=${join(root, "tests/preload.ts")}`;

/** Compiles the kernels before the workers start, which would otherwise all do it at once. */
function warm(): void {
  try {
    device().warm();
  } catch (error) {
    console.error(error); // the tests that need the kernels fail with it
  }
}

const given = Deno.args.filter((arg, i) => !(arg === "--" && i === 0));
const args = given.some((arg) => exists(resolve(root, arg))) ? given : ["tests/", ...given];
warm();
const { ok, counts, signal } = await runDenoTest(["--parallel", ...sanitizers, preload, ...args]);
if (signal !== null) {
  console.error(`\nThe test process was ended by ${signal}, probably in native code.`);
  console.error("Run the files one at a time to see in which: deno task test tests/<file>");
}
const { passed, skipped } = counts;
// A file that does not load and a process that dies are in no report.
const failed = ok ? counts.failed : Math.max(counts.failed, 1);
const ran = passed + failed > 0;
if (skipped.length > 0) console.log(["Skipped:", ...skipped].join("\n  "));
if (!ran) console.error("No test ran.");
console.log(countLine({ passed, failed, skipped }));
Deno.exit(ok && failed === 0 && ran ? 0 : 1);
