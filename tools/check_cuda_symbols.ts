/**
 * Checks that the CUDA libraries export every function that `ffi/cuda/` names: `deno task check:cuda-symbols [FOLDER]`.
 *
 * Needs no GPU. FOLDER is where `pip install --target FOLDER nvidia-cuda-nvrtc nvidia-cublas nvidia-cudnn-cu13
 * nvidia-nccl-cu13` put the libraries; without it they are looked for as they are at run time. The driver is checked
 * where there is one.
 *
 * @module
 */
import { join } from "node:path";
import { cublasSymbols } from "../ffi/cuda/cublas_symbols.ts";
import { cublasLtSymbols } from "../ffi/cuda/cublaslt_symbols.ts";
import { cudnnSymbols } from "../ffi/cuda/cudnn_symbols.ts";
import { driverSymbols } from "../ffi/cuda/driver_symbols.ts";
import { type CudaLibraryName, findCudaLibrary } from "../ffi/cuda/find.ts";
import { ncclSymbols } from "../ffi/cuda/nccl_symbols.ts";
import { nvrtcSymbols } from "../ffi/cuda/nvrtc_symbols.ts";
import { LoadError, openLibrary } from "../ffi/mod.ts";

// cuBLASLt before cuBLAS, which would otherwise load any version of it.
const tables: readonly (readonly [CudaLibraryName, Deno.ForeignLibraryInterface])[] = [
  ["driver", driverSymbols],
  ["nvrtc", nvrtcSymbols],
  ["cublasLt", cublasLtSymbols],
  ["cublas", cublasSymbols],
  ["cudnn", cudnnSymbols],
  ["nccl", ncclSymbols],
];

/** The functions of a table that a library does not export. */
function missingFrom(path: string, table: Deno.ForeignLibraryInterface): string[] {
  openLibrary(path, {}); // stays open, so that each check below is quick
  return Object.keys(table).filter((name) => {
    try {
      openLibrary(path, { [name]: table[name] })[Symbol.dispose]();
      return false;
    } catch (error) {
      if (error instanceof LoadError) return true;
      throw error;
    }
  });
}

/** Checks one library and says what was found; returns whether nothing is missing. */
function checkLibrary(name: CudaLibraryName, table: Deno.ForeignLibraryInterface): boolean {
  let path: string;
  try {
    path = findCudaLibrary(name);
  } catch (error) {
    if (!(error instanceof LoadError)) throw error;
    console.log(`${name.padEnd(9)} not checked: ${error.message.split(",")[0]}`);
    return true;
  }
  const missing = missingFrom(path, table), count = Object.keys(table).length;
  const found = `${count - missing.length} of ${count} functions in ${path}`;
  console.log(
    `${name.padEnd(9)} ${found}${missing.length > 0 ? `, not ${missing.join(", ")}` : ""}`,
  );
  return missing.length === 0;
}

const [folder] = Deno.args;
if (folder !== undefined) {
  const nvidia = join(folder, "nvidia");
  const folders = ["cu13", "cudnn", "nccl"].map((name) => join(nvidia, name, "lib"));
  Deno.env.set("DENOTRON_CUDA_DIR", folders.join(":"));
}
const results = tables.map(([name, table]) => checkLibrary(name, table));
Deno.exit(results.every((complete) => complete) ? 0 : 1);
