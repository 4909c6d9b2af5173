/**
 * Whether libraries are found, and whether they work together.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import {
  chooseMajor,
  CudaCompileError,
  CudaDriver,
  type CudaLibraryName,
  findCudaLibrary,
  Nvrtc,
} from "../../ffi/cuda/mod.ts";
import { LoadError } from "../../ffi/mod.ts";
import { allCudaUnits } from "../../tensor/backend/cuda_kernels.ts";
import { device } from "../../tensor/mod.ts";
import { type Answer, answer, type Check, notHere, type Subject } from "./check.ts";

/** Where a library is; null when it is nowhere. */
export function libraryPath(name: CudaLibraryName): string | null {
  try {
    return findCudaLibrary(name, name === "driver" ? 13 : chooseMajor(new CudaDriver().version));
  } catch (error) {
    if (error instanceof LoadError) return null;
    throw error;
  }
}

/** All libraries, with their places and versions. */
export const libraries: Check = {
  question: "Are the driver and all libraries found, and do they open?",
  required: false,
  run: () => {
    const { device: { name, capability }, driver, nvrtc, cublas } = device("cuda").description;
    const places = (["driver", "nvrtc", "cublas", "cublasLt", "cudnn", "nccl"] as const)
      .map((library) => [library, libraryPath(library) ?? "not found"] as const);
    const missing = places.filter(([, path]) => path === "not found").map(([library]) => library);
    return answer(missing.length === 0, missing.length ? `not ${missing.join(", ")}` : "all", {
      ...{ device: name, capability, driverCuda: driver.version },
      ...{ nvrtcVersion: nvrtc.version, cublasVersion: cublas.version },
      ...Object.fromEntries(places),
    });
  },
};

const wgmma = `extern "C" __global__ void wgmma() { asm volatile("wgmma.fence.sync.aligned;"); }`;

/** Our kernels, which include nothing; and instructions of the 9.0a set. */
export const compiler: Check = {
  question: "Does NVRTC compile kernels without headers for this device, and does it take sm_90a?",
  required: true,
  run: ({ simulated }) => {
    const { device: { capability }, nvrtc: { path, version } } = device("cuda").description;
    const nvrtc = new Nvrtc(path), units = allCudaUnits();
    const chosen = units.filter(({ name }) => /^(rms_norm|attention|sample)\.cu /.test(name));
    const start = performance.now();
    const bytes = chosen.map(({ name, source, options }) =>
      nvrtc.compile(name, source, [...options, `--gpu-architecture=sm_${capability}`]).image.length
    );
    const seconds = (performance.now() - start) / 1000;
    const special = simulated ? "not asked" : compilesFor90a(nvrtc) ? "taken" : "refused";
    const text = `${bytes.length} of ${units.length} sources in ${
      seconds.toFixed(1)
    } s; sm_90a ${special}`;
    return answer(bytes.every((count) => count > 0) && special !== "refused", text, {
      ...{ version, seconds, sources: bytes.length, sm90a: special },
    });
  },
};

function compilesFor90a(nvrtc: Nvrtc): boolean {
  try {
    return nvrtc.compile("wgmma.cu", wgmma, ["--gpu-architecture=sm_90a"]).image.length > 0;
  } catch (error) {
    if (error instanceof CudaCompileError) return false;
    throw error;
  }
}

/** NVRTC in a process of its own, without what is loaded before it otherwise. */
export const builtins: Check = {
  question: "Does NVRTC find its builtins by itself?",
  required: false,
  run: async (_: Subject): Promise<Answer> => {
    const { path } = device("cuda").description.nvrtc;
    const script = fileURLToPath(new URL("./bare_nvrtc.ts", import.meta.url));
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", script, path],
    }).output();
    const decoder = new TextDecoder();
    if (!success) return notHere(decoder.decode(stderr).trim());
    const status = Number(decoder.decode(stdout).trim());
    const text = status === 0
      ? "loading them first is not needed, and does no harm"
      : "they have to be loaded first, which is done";
    return answer(status === 0, text, { status });
  },
};
