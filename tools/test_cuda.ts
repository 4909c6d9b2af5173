/**
 * Runs the tests of the CUDA path on the GPU that is there, else on the simulated one: `deno task test:cuda`.
 *
 * Every op against its definition, models and losses, a training run against the CPU's; in the simulator also its planted
 * mistakes, and the ops once for each order in which threads can run. Files run one after the other: there is one device.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { LoadError, NativeError } from "../ffi/mod.ts";
import { CudaDriver } from "../ffi/cuda/mod.ts";
import { buildSimulator } from "../tests/cuda_sim/build.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const ops = ["tests/tensor/ops_sweep_test.ts", "--filter=/agrees with the reference/"];

/** One run of `deno test`. */
interface Run {
  readonly name: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

const onDevice = { DENOTRON_DEVICE: "cuda" };
const runs: readonly Run[] = [
  { name: "ops", args: ops, env: onDevice },
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
  { name: "devices", args: ["tests/cuda/"], env: onDevice },
];
const simulated: readonly Run[] = ["reverse", "shuffled"].map((order) => ({
  name: `ops, threads ${order}`,
  args: ops,
  env: { ...onDevice, CUDASIM_ORDER: order },
}));

/** What a GPU is called; null when there is none. */
function realDevice(): string | null {
  try {
    return new CudaDriver().device(0).name;
  } catch (error) {
    if (error instanceof LoadError || error instanceof NativeError) return null;
    throw error;
  }
}

async function test({ name, args, env = {} }: Run): Promise<boolean> {
  console.log(`\n${name}`);
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", "--no-check", ...args],
    cwd: root,
    env: { DENOTRON_THREADS: "1", ...env },
  }).spawn().status;
  return success;
}

const gpu = realDevice(), folder = gpu === null ? buildSimulator() : null;
if (gpu === null && folder === null) {
  console.error("There is neither a GPU nor a g++ to build a simulated one with.");
  Deno.exit(1);
}
if (folder !== null) Deno.env.set("DENOTRON_CUDA_DIR", folder);
console.log(gpu === null ? `Simulated GPU in ${folder}` : gpu);
const start = performance.now(), failed: string[] = [];
for (const run of gpu === null ? [...runs, ...simulated] : runs) {
  if (!await test(run)) failed.push(run.name);
}
const minutes = ((performance.now() - start) / 60_000).toFixed(1);
console.log(
  failed.length > 0 ? `Failed: ${failed.join("; ")}` : `All passed in ${minutes} minutes`,
);
Deno.exit(failed.length > 0 ? 1 : 0);
