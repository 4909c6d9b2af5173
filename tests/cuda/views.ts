/**
 * Tensors of one backend among several.
 *
 * @module
 */
import type { CudaBackend } from "../../tensor/backend/cuda.ts";
import { bytesOf, decode, type DType, encode } from "../../tensor/dtype.ts";
import { contiguousStrides } from "../../tensor/layout.ts";
import { type Shape, sizeOf } from "../../tensor/mod.ts";
import type { View } from "../../tensor/op.ts";

/** A tensor of one backend, as ops see it. */
export function makeView(
  on: CudaBackend,
  shape: Shape,
  dtype: DType,
  values: ArrayLike<number>,
): View {
  const bytes = new Uint8Array(sizeOf(shape) * bytesOf(dtype));
  encode(dtype, values, bytes.buffer, 0);
  const storage = on.allocate(bytes.length);
  on.write(storage, 0, bytes);
  return { storage, shape, dtype, offset: 0, strides: contiguousStrides(shape) };
}

/** Its numbers, read back. */
export function numbersOf(on: CudaBackend, { storage, shape, dtype }: View): number[] {
  const bytes = new Uint8Array(sizeOf(shape) * bytesOf(dtype));
  on.read(storage, 0, bytes);
  return [...decode(dtype, bytes.buffer, 0, sizeOf(shape))];
}
