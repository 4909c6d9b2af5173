/**
 * What the GPU can do at most.
 *
 * @module
 */
import { device, Tensor } from "../../tensor/mod.ts";
import { productGflops } from "../gemm.ts";
import type { GpuCeilings } from "../report.ts";
import type { GpuSizes } from "./sizes.ts";
import { gpuBest } from "./timing.ts";

/** GB/s read and written while the driver copies. */
function copyGBs({ copyBytes, runs }: GpuSizes): number {
  using from = Tensor.zeros([copyBytes / 4]).keep();
  using to = Tensor.zeros([copyBytes / 4]).keep();
  const repeats = 5;
  const seconds = gpuBest(runs)(() => {
    for (let i = 0; i < repeats; i++) device("cuda").copy(to.storage, from.storage, copyBytes);
  });
  return 2 * copyBytes * repeats / seconds / 1e9;
}

/** Measures a large copy, and large products by cuBLAS. */
export function gpuCeilings(sizes: GpuSizes): GpuCeilings {
  const { device: { name, multiprocessors } } = device("cuda").description;
  const [m, k, n] = Array(3).fill(sizes.ceilingProduct) as number[];
  const measure = { measure: gpuBest(sizes.runs), atLeast: sizes.productFlops };
  return {
    device: name,
    fmaGflops: productGflops({ m, k, n }, "f32", measure),
    bf16Gflops: productGflops({ m, k, n }, "bf16", measure),
    readGBs: copyGBs(sizes),
    threads: multiprocessors,
  };
}
