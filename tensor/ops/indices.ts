/**
 * What ops that take indices share.
 *
 * @module
 */
import { DTypeError, IndexError } from "../errors.ts";
import { formatShape, type Shape, sizeOf } from "../layout.ts";
import type { TensorSpec, View } from "../op.ts";

/** Throw DTypeError unless they are i32. */
export function checkIndexType(name: string, { dtype }: TensorSpec): void {
  if (dtype === "i32") return;
  throw new DTypeError(`${name}: indices are i32, not ${dtype}. Cast them: indices.to("i32").`);
}

/** The error for the first index that is not one of the `size` of `axis`; null when all are. */
export function findBadIndex(
  name: string,
  indices: ArrayLike<number>,
  axis: number,
  shape: Shape,
): IndexError | null {
  const size = shape[axis];
  for (let i = 0; i < indices.length; i++) {
    if (indices[i] >= 0 && indices[i] < size) continue;
    return new IndexError(
      `${name}: index ${indices[i]} at place ${i} is outside axis ${axis} of ${
        formatShape(shape)
      } (${size}). ` +
        (size > 0 ? `Use 0 to ${size - 1}.` : "The axis is empty; pass no indices."),
    );
  }
  return null;
}

/** The same for the indices that made a kernel fail; they are contiguous. */
export function badIndexIn(
  name: string,
  indices: View,
  axis: number,
  shape: Shape,
): IndexError {
  const values = new Int32Array(sizeOf(indices.shape));
  indices.storage.backend.read(
    indices.storage,
    4 * indices.offset,
    new Uint8Array(values.buffer),
  );
  return findBadIndex(name, values, axis, shape)!;
}
