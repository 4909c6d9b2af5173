/**
 * Runs the tests of the CUDA path on the GPU that is there, else on the simulated one: `deno task test:cuda`.
 *
 * Every op against its definition, models and losses, a training run against the CPU's; in the simulator also its planted
 * mistakes, and each op once for each order in which threads can run. On the GPU the parts run one after the other; of the
 * simulator each process has its own, and there is one for each core. The last line counts the tests. The exit code is 2
 * when there is nothing to test on.
 *
 * @module
 */
import { LoadError, NativeError } from "../ffi/mod.ts";
import { CudaDriver } from "../ffi/cuda/mod.ts";
import { buildSimulator } from "../tests/cuda_sim/build.ts";
import { countLine, runDenoTest, type TestRun } from "./deno_test.ts";

/** Some of the tests; a part without any has failed. */
interface Part {
  readonly name: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

// Attention by our own kernels, so that no clock decides about bits; tests of cuDNN ask for it themselves.
const onDevice = { DENOTRON_DEVICE: "cuda", DENOTRON_CUDNN: "0" };

/** The ops whose names begin with these letters. */
const opsPart = (letters: string): Part => ({
  name: `ops ${letters}`,
  args: ["tests/tensor/ops_sweep_test.ts", `--filter=/^[${letters}].*agrees with the reference/`],
  env: onDevice,
});

// The longest first, and parts of equal length, so that no core is idle in the end.
const parts: readonly Part[] = [
  { name: "devices", args: ["tests/cuda/"], env: onDevice },
  ...["a-b", "c", "d", "e-l", "m-r", "s", "t-z"].map(opsPart),
  {
    name: "models and losses",
    args: [
      "tests/nn/decoder_test.ts",
      "tests/tensor/losses_test.ts",
      "--filter=/of the formulas|of its sequences|chunks change|bf16 heads|gradients add up/",
    ],
    env: onDevice,
  },
  {
    name: "engine",
    args: ["tests/engine/greedy_test.ts", "--filter=/greedy tokens of a (llama|nemotron) in f32/"],
    env: onDevice,
  },
];

/** Every access of attention to memory is looked at: heads of the tensor cores, and heads that do not fit them. */
const looked: Part = {
  name: "accesses looked at",
  args: ["tests/cuda/device_test.ts", "--filter=/attention of . heads of (36|160)/"],
  env: { ...onDevice, CUDASIM_CHECK: "1" },
};

/** What a GPU is called; null when there is none. */
function realDevice(): string | null {
  try {
    return new CudaDriver().device(0).name;
  } catch (error) {
    if (error instanceof LoadError || error instanceof NativeError) return null;
    throw error;
  }
}

/** Runs a part and says how it went; everything that it printed only when it failed. */
async function test({ name, args, env = {} }: Part): Promise<TestRun> {
  const start = performance.now();
  const run = await runDenoTest(["--no-check", ...args], { env, captured: true });
  const ok = run.ok && run.counts.passed > 0;
  const seconds = ((performance.now() - start) / 1000).toFixed(0);
  if (!ok) console.log(run.output);
  if (run.signal !== null) console.log(`${name}: ended by ${run.signal}`);
  console.log(
    `${ok ? "ok    " : "FAILED"}  ${name.padEnd(18)}  ${countLine(run.counts)}, ${seconds} s`,
  );
  return { ...run, ok };
}

/** Runs parts, so many at a time. */
async function testAll(parts: readonly Part[], atOnce: number): Promise<TestRun[]> {
  const waiting = [...parts], runs: TestRun[] = [];
  const work = async () => {
    for (let part; (part = waiting.shift());) runs.push(await test(part));
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return runs;
}

const gpu = realDevice(), folder = gpu === null ? buildSimulator() : null;
if (gpu === null && folder === null) {
  console.error("There is neither a GPU nor a g++ to build a simulated one with.");
  Deno.exit(2);
}
if (folder !== null) {
  Deno.env.set("DENOTRON_CUDA_DIR", folder);
  Deno.env.set("CUDASIM_ORDERS", "forward,reverse,shuffled");
}
console.log(gpu === null ? `Simulated GPU in ${folder}` : gpu);
const runs = gpu === null
  ? await testAll([looked, ...parts], navigator.hardwareConcurrency)
  : await testAll(parts, 1);
const counts = {
  passed: runs.reduce((sum, { counts }) => sum + counts.passed, 0),
  // A file that does not load and a process that dies are in no report.
  failed: runs.reduce((sum, { ok, counts }) => sum + (ok ? 0 : Math.max(counts.failed, 1)), 0),
  skipped: runs.flatMap(({ counts }) => counts.skipped),
};
if (counts.skipped.length > 0) console.log(["Skipped:", ...counts.skipped].join("\n  "));
console.log(countLine(counts));
Deno.exit(counts.failed === 0 && counts.passed > 0 ? 0 : 1);
