/**
 * What GPU there is, and what is needed to use it.
 *
 * @module
 */
import { findCudaLibrary } from "../ffi/cuda/mod.ts";
import { LoadError, NativeError } from "../ffi/mod.ts";
import { type CudaDescription, defaultDevice, device, DeviceError } from "../tensor/mod.ts";
import { formatBytes } from "./progress.ts";

/** What `doctor` tells of the GPU. */
export interface GpuFindings {
  /** The device and the libraries that run it; null when it cannot be used. */
  readonly cuda: CudaDescription | null;
  /** Why it cannot be used; empty when it can. */
  readonly why: string;
  /** Where libraries lie that are found but that nothing needs yet. */
  readonly unused: Readonly<Record<"cudnn" | "nccl", string | null>>;
  /** Where tensors are made by default. */
  readonly defaultDevice: string;
}

/** Looks for a GPU, and opens it when there is one. */
export function inspectGpu(): GpuFindings {
  const unused = { cudnn: pathOf("cudnn"), nccl: pathOf("nccl") };
  try {
    const cuda = device("cuda").description;
    return { cuda, why: "", unused, defaultDevice: defaultDevice() };
  } catch (error) {
    const known = error instanceof LoadError || error instanceof NativeError ||
      error instanceof DeviceError;
    if (!known) throw error;
    return { cuda: null, why: error.message, unused, defaultDevice: defaultDevice() };
  }
}

/** The lines of `doctor`: names and values. */
export function describeGpu({ cuda, why, unused, defaultDevice }: GpuFindings): [string, string][] {
  if (!cuda) {
    // Where it was looked for fills a page; --json has it.
    const [reason, fix] = [/^[^,]*/.exec(why)![0], /[^.]*\.$/.exec(why)?.[0].trim() ?? ""];
    return [["GPU", `none, ${reason}. ${fix}`]];
  }
  const { device: { name, capability, multiprocessors, memory } } = cuda;
  const { driver, nvrtc, cublas, graphs } = cuda;
  const idle = Object.entries(unused).filter(([, path]) => path !== null);
  return [
    [
      "GPU",
      `${name}, compute capability ${
        (capability / 10).toFixed(1)
      }, ${multiprocessors} multiprocessors, ` +
      `${formatBytes(memory)}; ${
        defaultDevice === "cuda" ? "the default device" : "DENOTRON_DEVICE=cuda uses it"
      }`,
    ],
    ["driver", `for CUDA ${versionText(driver.version)} at ${driver.path}`],
    ["kernels", `by NVRTC ${nvrtc.version} at ${nvrtc.path}`],
    ["products", `by cuBLAS ${cublasText(cublas.version)} at ${cublas.path}`],
    ["graphs", graphs.enabled ? "replay what repeats" : `are not used: ${graphs.why}`],
    ...idle.map(([library, path]): [string, string] => [
      library === "cudnn" ? "cuDNN" : "NCCL",
      `at ${path}, not needed`,
    ]),
  ];
}

function pathOf(name: "cudnn" | "nccl"): string | null {
  try {
    return findCudaLibrary(name);
  } catch (error) {
    if (error instanceof LoadError) return null;
    throw error;
  }
}

/** 13000 as 13.0. */
function versionText(version: number): string {
  return `${Math.floor(version / 1000)}.${Math.floor(version % 1000 / 10)}`;
}

/** 130002 as 13.0.2. */
function cublasText(version: number): string {
  return `${Math.floor(version / 10000)}.${Math.floor(version % 10000 / 100)}.${version % 100}`;
}
