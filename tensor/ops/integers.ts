/**
 * Small integer tensors, read on the host to check them or to name what is wrong.
 *
 * @module
 */
import { bytesOf } from "../dtype.ts";
import { sizeOf } from "../layout.ts";
import type { View } from "../op.ts";

/** The elements of an i32 tensor in row-major order. Waits for the work that produces them. */
export function readIntegers({ storage, shape, strides, offset }: View): Int32Array {
  const size = sizeOf(shape);
  if (size === 0) return new Int32Array(0);
  const span = shape.reduce((sum, n, axis) => sum + (n - 1) * strides[axis], 1);
  const all = new Int32Array(span);
  storage.backend.read(storage, offset * bytesOf("i32"), new Uint8Array(all.buffer));
  return Int32Array.from({ length: size }, (_, i) => {
    let at = 0;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += (i % shape[axis]) * strides[axis];
      i = Math.floor(i / shape[axis]);
    }
    return all[at];
  });
}
