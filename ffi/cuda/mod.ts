/**
 * CUDA: finds the driver and its libraries, loads them when they are first used, and calls them.
 *
 * @module
 */
export { Cublas, cudaTypes, type Gemm, type GemmOperand } from "./cublas.ts";
export { CublasLt, type Fp8Product } from "./cublaslt.ts";
export { Cudnn, cudnnVersionText } from "./cudnn.ts";
export { CudnnGraph, CudnnPlan, denseStrides, type Four, type GraphTensor } from "./cudnn_graph.ts";
export { type CudaDevice, CudaDriver, type Grid } from "./driver.ts";
export { chooseMajor, type CudaLibraryName, findCudaLibrary } from "./find.ts";
export { Nccl, ncclVersionText } from "./nccl.ts";
export { CudaCompileError, Nvrtc } from "./nvrtc.ts";
