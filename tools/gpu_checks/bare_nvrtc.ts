/**
 * Compiles a kernel with NVRTC and nothing loaded before it, and prints the status: `bare_nvrtc.ts PATH`.
 *
 * @module
 */
import { nvrtcSymbols } from "../../ffi/cuda/nvrtc_symbols.ts";
import { cString, outPointer } from "../../ffi/cuda/status.ts";
import { openLibrary } from "../../ffi/mod.ts";

const { nvrtcCreateProgram, nvrtcCompileProgram } = openLibrary(Deno.args[0], nvrtcSymbols).symbols;
const source = cString(`extern "C" __global__ void one(int *p) { p[0] = __ffs(p[1]); }`);
const program = outPointer((out) =>
  void nvrtcCreateProgram(out, source, cString("one.cu"), 0, null, null)
);
const option = cString("--gpu-architecture=sm_80");
const options = BigUint64Array.of(Deno.UnsafePointer.value(Deno.UnsafePointer.of(option)));
console.log(nvrtcCompileProgram(program, 1, options));
