/**
 * What devices share when they prepare a call.
 *
 * @module
 */
import { bytesOf, type DType, isFloating } from "../dtype.ts";
import { contiguousStrides, sizeOf } from "../layout.ts";
import type { Kernel, View } from "../op.ts";
import { copy } from "../ops/copy.ts";
import type { Backend } from "./backend.ts";

/** Call `use` with the inputs, those for which `reads` is false copied into row-major order first. */
export function withReadable(
  backend: Backend,
  inputs: readonly View[],
  reads: (x: View, input: number) => boolean,
  use: (readable: readonly View[]) => void,
): void {
  if (areReadable(inputs, reads)) return use(inputs);
  const ready = inputs.slice();
  try {
    inputs.forEach((x, i) => {
      if (!reads(x, i)) ready[i] = contiguous(backend, x);
    });
    use(ready);
  } finally {
    ready.forEach((x, i) => x !== inputs[i] && x.storage.release());
  }
}

function areReadable(
  inputs: readonly View[],
  reads: (x: View, input: number) => boolean,
): boolean {
  for (let i = 0; i < inputs.length; i++) if (!reads(inputs[i], i)) return false;
  return true;
}

function contiguous(backend: Backend, view: View): View {
  const { shape, dtype } = view;
  const storage = backend.allocate(sizeOf(shape) * bytesOf(dtype));
  const result: View = { storage, dtype, shape, strides: contiguousStrides(shape), offset: 0 };
  try {
    backend.run(copy, [view], [result], {});
  } catch (error) {
    storage.release();
    throw error;
  }
  return result;
}

/** The element type to run a kernel as. */
export function kernelType(
  kernel: Kernel<unknown>,
  inputs: readonly View[],
  outputs: readonly View[],
): DType {
  if (kernel.dtype) return kernel.dtype(inputs, outputs);
  for (const x of inputs) if (isFloating(x.dtype)) return x.dtype;
  return outputs[0].dtype;
}

/** Whether there is nothing to compute; the other axes may be of any size. */
export function isNothing(outputs: readonly View[]): boolean {
  return outputs.length > 0 && outputs.every(({ shape }) => sizeOf(shape) === 0);
}
