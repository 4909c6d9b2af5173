/**
 * Builds the simulated GPU: a library that stands in for libcuda, libnvrtc, libcublas, libcublasLt, libcudnn and libnccl,
 * so that the CUDA path is tested on machines without one. Kernels are compiled by g++ and their threads run as fibers.
 *
 * `deno run -A tests/cuda_sim/build.ts` builds it and prints the folder, which `DENOTRON_CUDA_DIR` takes.
 *
 * @module
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cacheDirectory, digest, workDirectory } from "../../ffi/mod.ts";
import { exists } from "../../tools/files.ts";

const here = fileURLToPath(new URL(".", import.meta.url));
const sources = [
  "fibers.cpp",
  "memory.cpp",
  "streams.cpp",
  "driver.cpp",
  "nvrtc.cpp",
  "cublas.cpp",
  "cublaslt.cpp",
  "cudnn.cpp",
  "cudnn_graph.cpp",
  "nccl.cpp",
  "checks.cpp",
];
const headers = ["simulator.h", "device.h", "runtime.h", "cudnn.h"];
const names = [
  "libcuda.so.1",
  "libnvrtc.so.13",
  "libcublas.so.13",
  "libcublasLt.so.13",
  "libcudnn.so.9",
  "libnccl.so.2",
];

function run(program: string, ...args: string[]): void {
  const { success, stderr } = new Deno.Command(program, { args }).outputSync();
  if (!success) throw new Error(`${program}: failed. ${new TextDecoder().decode(stderr)}`);
}

/** Builds the simulator unless that was done before. Returns its folder, or null where there is no g++. */
export function buildSimulator(): string | null {
  const version = compilerVersion();
  if (version === null || Deno.build.os !== "linux") return null;
  const texts = [...sources, ...headers].map((name) => Deno.readTextFileSync(join(here, name)));
  const folder = join(cacheDirectory(), `cuda-sim-${digest([version, ...texts]).slice(0, 16)}`);
  if (exists(folder)) return folder;
  const work = workDirectory(cacheDirectory());
  for (const name of headers) Deno.copyFileSync(join(here, name), join(work, name));
  const library = join(work, "libcudasim.so");
  const files = sources.map((name) => join(here, name));
  run(
    "g++",
    "-std=c++17",
    "-O2",
    "-fPIC",
    "-shared",
    "-o",
    library,
    ...files,
    "-ldl",
    "-lpthread",
    "-lrt",
  );
  for (const name of names) Deno.symlinkSync("libcudasim.so", join(work, name));
  try {
    Deno.renameSync(work, folder);
  } catch (error) {
    if (!exists(folder)) throw error; // another process was faster
    Deno.removeSync(work, { recursive: true });
  }
  return folder;
}

function compilerVersion(): string | null {
  try {
    const { stdout } = new Deno.Command("g++", { args: ["--version"] }).outputSync();
    return new TextDecoder().decode(stdout);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

if (import.meta.main) console.log(buildSimulator() ?? "There is no g++ to build it with.");
