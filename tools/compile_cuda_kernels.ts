/**
 * Compiles every CUDA kernel with the real NVRTC and reports what each takes of the device:
 * `deno task check:cuda-kernels [FOLDER] [--verbose] [--architecture sm_90]`.
 *
 * Needs no GPU. FOLDER is where `pip install --target FOLDER nvidia-cuda-nvrtc` put the compiler; without it, it is looked
 * for as at run time. Fails when a kernel does not compile, or spills registers to memory. The last line counts the sources,
 * once for each element type and architecture.
 *
 * @module
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { CudaCompileError, findCudaLibrary, Nvrtc } from "../ffi/cuda/mod.ts";
import { allCudaUnits, type CudaUnit } from "../tensor/backend/cuda_kernels.ts";
import { countLine } from "./deno_test.ts";

const architectures = ["sm_80", "sm_90"];

/** What the compiler says of one kernel. */
interface Usage {
  readonly kernel: string;
  readonly registers: number;
  readonly spilledBytes: number;
}

/** Reads the messages of `--ptxas-options=-v`. */
function usagesIn(log: string): Usage[] {
  const entries = log.split(/Compiling entry function '/).slice(1);
  return entries.map((entry) => ({
    kernel: entry.slice(0, entry.indexOf("'")),
    registers: Number(/Used (\d+) registers/.exec(entry)?.[1] ?? NaN),
    spilledBytes: Number(/(\d+) bytes spill stores/.exec(entry)?.[1] ?? 0),
  }));
}

/** Compiles a unit for a kind of device; returns what its kernels take, or null when it does not compile. */
function compile(nvrtc: Nvrtc, unit: CudaUnit, architecture: string): Usage[] | null {
  const options = [
    ...unit.options,
    `--gpu-architecture=${architecture}`,
    "--ptxas-options=-v",
  ];
  try {
    return usagesIn(nvrtc.compile(unit.name, unit.source, options).log);
  } catch (error) {
    if (!(error instanceof CudaCompileError)) throw error;
    console.error(`${unit.name}, ${architecture}: does not compile\n${error.log}`);
    return null;
  }
}

const { values: { verbose, architecture: only }, positionals: [folder] } = parseArgs({
  args: Deno.args,
  allowPositionals: true,
  options: { verbose: { type: "boolean" }, architecture: { type: "string" } },
});
if (folder !== undefined) Deno.env.set("DENOTRON_CUDA_DIR", join(folder, "nvidia", "cu13", "lib"));
const nvrtc = new Nvrtc(findCudaLibrary("nvrtc"));
const units = allCudaUnits();
let passed = 0, failed = 0;
for (const architecture of only === undefined ? architectures : [only]) {
  const results = units.map((unit) => compile(nvrtc, unit, architecture));
  const usages = results.flatMap((usage) => usage ?? []);
  for (const { kernel, registers, spilledBytes } of usages) {
    if (verbose) console.log(`${architecture} ${kernel}: ${registers} registers`);
    if (spilledBytes > 0) {
      console.error(`${architecture} ${kernel}: spills ${spilledBytes} bytes of registers`);
    }
  }
  const good = results.filter((usages) => usages?.every(({ spilledBytes }) => spilledBytes === 0));
  passed += good.length;
  failed += units.length - good.length;
  const most = usages.reduce((a, b) => b.registers > a.registers ? b : a);
  console.log(
    `${architecture}: ${usages.length} kernels in ${units.length} units, NVRTC ${nvrtc.version}, ` +
      `at most ${most.registers} registers (${most.kernel})`,
  );
}
console.log(countLine({ passed, failed, skipped: [] }));
Deno.exit(failed === 0 ? 0 : 1);
