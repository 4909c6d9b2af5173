/**
 * Kernels whose time memory bounds, as a share of what a copy moves.
 *
 * @module
 */
import {
  bytesOf,
  call,
  callInto,
  type DType,
  RandomKey,
  scope,
  type Shape,
  sizeOf,
  Tensor,
} from "../../tensor/mod.ts";
import type { PeerFigures } from "../peers/peer.ts";
import type { GpuCeilings, Row } from "../report.ts";
import { withTorch } from "./compute.ts";
import { type MemoryCase, memoryCases } from "./memory_cases.ts";
import type { GpuSizes } from "./sizes.ts";
import { gpuBest } from "./timing.ts";

/** Numbers in [0, 1), indices below a bound, or conditions. */
function input(shape: Shape, dtype: DType, seed: number, bound: number): Tensor {
  if (dtype === "i32") {
    // Each place once where there are as many, for no two threads may write to one.
    const indices = Int32Array.from({ length: sizeOf(shape) }, (_, i) => i % bound);
    return Tensor.from(indices, shape, { dtype });
  }
  if (dtype === "i8") return Tensor.zeros(shape, { dtype });
  const uniform = Tensor.uniform(shape, new RandomKey(seed));
  return dtype === "u8" ? uniform.less(0.5) : uniform.to(dtype);
}

const bytes = (tensors: readonly Tensor[]): number =>
  tensors.reduce((sum, { size, dtype }) => sum + size * bytesOf(dtype), 0);

/** Bytes of the inputs that it reads and of the outputs that it writes, per second. */
function gigabytesPerSecond(
  { op, shapes, dtypes, bound, params, reads, over }: MemoryCase,
  runs: number,
): number {
  return scope(() => {
    const inputs = shapes.map((shape, i) => input(shape, dtypes[i] ?? "bf16", i + 1, bound));
    const outputs = call(op, inputs, params).map((made, i) => inputs[over[i] ?? -1] ?? made);
    const moved = bytes(inputs.filter((_, i) => reads(i))) + bytes(outputs);
    const repeats = 5;
    const seconds = gpuBest(runs)(() => {
      for (let i = 0; i < repeats; i++) callInto(op, inputs, outputs, params);
    });
    return moved * repeats / seconds / 1e9;
  });
}

/** One row for each kernel. */
export function memoryBound(sizes: GpuSizes, ceilings: GpuCeilings, peer: PeerFigures): Row[] {
  return memoryCases(sizes).flatMap((work) => {
    const value = gigabytesPerSecond(work, sizes.runs), { name } = work;
    return withTorch({ name, value, unit: "GB/s", ofCeiling: value / ceilings.readGBs }, peer);
  });
}
