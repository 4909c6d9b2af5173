/**
 * What `.ci/run` runs: the tests, those of the CUDA path on a GPU or a simulated one, and every CUDA kernel through the
 * real compiler: `deno run -A tools/ci.ts [FOLDER of pip install --target]`. The last line counts all of them.
 *
 * @module
 */
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const nothingToTestOn = 2; // as an exit code of tools/test_cuda.ts

/** How many checks a tool made. */
interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** Runs a tool, showing what it prints; returns what its last line counts. One that counts nothing has failed. */
async function count(tool: string, args: readonly string[] = []): Promise<Counts> {
  console.log(`\n${[tool, ...args].join(" ")}`);
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", `tools/${tool}`, ...args],
    cwd: root,
    stdin: "null",
    stdout: "piped",
  }).spawn();
  let last = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    await Deno.stdout.write(new TextEncoder().encode(text));
    last = (last + text).slice(-200);
  }
  const { success, code } = await child.status;
  if (code === nothingToTestOn) {
    console.log("Skipped:\n  the CUDA path");
    return { passed: 0, failed: 0, skipped: 1 };
  }
  const [passed, failed, skipped] =
    (/(\d+) passed, (\d+) failed, (\d+) skipped\s*$/.exec(last) ?? [])
      .slice(1).map(Number);
  if (passed === undefined) return { passed: 0, failed: 1, skipped: 0 };
  return { passed, failed: success ? failed : Math.max(failed, 1), skipped };
}

/** Compiles all kernels for each architecture, side by side; without a compiler that is skipped, visibly. */
async function countKernels(folder: string | undefined): Promise<Counts[]> {
  if (!folder) {
    console.log("\nSkipped:\n  every CUDA kernel compiles (there is no NVRTC)");
    return [{ passed: 0, failed: 0, skipped: 1 }];
  }
  return await Promise.all(
    ["sm_80", "sm_90"].map((architecture) =>
      count("compile_cuda_kernels.ts", [folder, `--architecture=${architecture}`])
    ),
  );
}

const all = [
  await count("test.ts", ["--ignore=tests/cuda"]), // counted below
  await count("test_cuda.ts"),
  ...await countKernels(Deno.args[0]),
];
const sum = (name: keyof Counts): number => all.reduce((total, counts) => total + counts[name], 0);
console.log(`\n${sum("passed")} passed, ${sum("failed")} failed, ${sum("skipped")} skipped`);
Deno.exit(sum("failed") === 0 ? 0 : 1);
