/**
 * The libraries of CUDA beside the driver, each of which is loaded when something needs it.
 *
 * @module
 */
import {
  chooseMajor,
  Cublas,
  CublasLt,
  type CudaDriver,
  Cudnn,
  findCudaLibrary,
  Nvrtc,
} from "../../ffi/cuda/mod.ts";

const workspaceBytes = 32 * 1024 * 1024;

/** Libraries of one major version, that of the driver, and what they need. All work goes to one stream. */
export class CudaLibraries {
  readonly #driver: CudaDriver;
  readonly #stream: Deno.PointerObject;
  readonly #major: number;
  #nvrtc: Nvrtc | null = null;
  #cublas: Cublas | null = null;
  #cublasLt: CublasLt | null = null;
  #workspace: { readonly address: number; readonly bytes: number } | null = null;

  /** Nothing is loaded yet. */
  constructor(driver: CudaDriver, stream: Deno.PointerObject) {
    [this.#driver, this.#stream] = [driver, stream];
    this.#major = chooseMajor(driver.version);
  }

  /** Compiles kernels. Throws LoadError when it is missing, as the others do. */
  get nvrtc(): Nvrtc {
    return this.#nvrtc ??= new Nvrtc(findCudaLibrary("nvrtc", this.#major));
  }

  /** Multiplies matrices. */
  get cublas(): Cublas {
    if (this.#cublas) return this.#cublas;
    const [path, ltPath] = (["cublas", "cublasLt"] as const)
      .map((name) => findCudaLibrary(name, this.#major));
    this.#cublas = new Cublas(path, ltPath, this.#stream);
    this.#cublas.allowTf32 = Deno.env.get("DENOTRON_TF32") === "1";
    const address = this.#driver.allocate(workspaceBytes);
    this.#cublas.useWorkspace(address, workspaceBytes);
    this.#workspace = { address, bytes: workspaceBytes };
    return this.#cublas;
  }

  /** Multiplies matrices of 8-bit floats. */
  get cublasLt(): CublasLt {
    if (this.#cublasLt) return this.#cublasLt;
    void this.cublas; // which comes with a workspace that they share: work is in order
    const path = findCudaLibrary("cublasLt", this.#major);
    return this.#cublasLt = new CublasLt(path, this.#stream, this.#workspace!);
  }

  /** Opens cuDNN, which looks for the compiler and cuBLAS and must find those that are chosen. */
  openCudnn(): Cudnn {
    void [this.nvrtc, this.cublas];
    return new Cudnn(findCudaLibrary("cudnn", this.#major), this.#stream);
  }
}
