/**
 * What GPU there is, and what is needed to use it.
 *
 * @module
 */
import { cudnnVersionText, findCudaLibrary, Nccl, ncclVersionText } from "../ffi/cuda/mod.ts";
import { LoadError, NativeError } from "../ffi/mod.ts";
import { type CudaDescription, defaultDevice, device, DeviceError } from "../tensor/mod.ts";
import { formatBytes } from "./progress.ts";

/** What `doctor` tells of the GPU. */
export interface GpuFindings {
  /** The device and the libraries that run it; null when it cannot be used. */
  readonly cuda: CudaDescription | null;
  /** Why it cannot be used; empty when it can. */
  readonly why: string;
  /** NCCL, for several GPUs; null when it is not installed. */
  readonly nccl: { readonly path: string; readonly version: number } | null;
  /** Where tensors are made by default. */
  readonly defaultDevice: string;
}

/** Looks for a GPU, and opens it when there is one. */
export function inspectGpu(): GpuFindings {
  try {
    const cuda = device("cuda").description;
    return { cuda, why: "", nccl: findNccl(), defaultDevice: defaultDevice() };
  } catch (error) {
    if (!isExpected(error)) throw error;
    return { cuda: null, why: error.message, nccl: null, defaultDevice: defaultDevice() };
  }
}

/** The lines of `doctor`: names and values. */
export function describeGpu({ cuda, why, nccl, defaultDevice }: GpuFindings): [string, string][] {
  if (!cuda) return [["GPU", `none, ${shortened(why)}`]];
  const { device: { name, capability, multiprocessors, memory } } = cuda;
  const { driver, nvrtc, cublas, cublasLt, graphs, attention } = cuda;
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
    [
      "",
      cublasLt === null
        ? "none of 8-bit floats, which need compute capability 8.9"
        : `of 8-bit floats by cuBLASLt ${cublasText(cublasLt.version)} at ${cublasLt.path}`,
    ],
    ["attention", describeAttention(attention)],
    ["graphs", graphs.enabled ? "replay what repeats" : `are not used: ${graphs.why}`],
    [
      "several",
      nccl === null
        ? "GPUs cannot exchange, NCCL is not installed"
        : `GPUs exchange by NCCL ${ncclVersionText(nccl.version)} at ${nccl.path}`,
    ],
  ];
}

function describeAttention({ setting, cudnn, why }: CudaDescription["attention"]): string {
  if (!cudnn) return `by kernels of our own: ${shortened(why)}`;
  const when = setting === "always"
    ? "wherever it has an engine, as DENOTRON_CUDNN=1 asks"
    : "where it is measured to be faster than our own kernels";
  return `by cuDNN ${
    cudnnVersionText(cudnn.version)
  } at ${cudnn.path}, ${when}; it agrees with ours`;
}

/** Where a library was looked for fills a page; --json has it. */
function shortened(why: string): string {
  if (!why.includes(", tried ")) return why;
  return `${/^[^,]*/.exec(why)![0]}. ${/[^.]*\.$/.exec(why)?.[0].trim() ?? ""}`;
}

function findNccl(): GpuFindings["nccl"] {
  try {
    const { path, version } = new Nccl(findCudaLibrary("nccl"));
    return { path, version };
  } catch (error) {
    if (isExpected(error)) return null;
    throw error;
  }
}

function isExpected(error: unknown): error is Error {
  return error instanceof LoadError || error instanceof NativeError ||
    error instanceof DeviceError;
}

/** 13000 as 13.0. */
function versionText(version: number): string {
  return `${Math.floor(version / 1000)}.${Math.floor(version % 1000 / 10)}`;
}

/** 130002 as 13.0.2. */
function cublasText(version: number): string {
  return `${Math.floor(version / 10000)}.${Math.floor(version % 10000 / 100)}.${version % 100}`;
}
