/**
 * How an op becomes a call: check the inputs, allocate the outputs, hand both to the device.
 *
 * @module
 */
import type { Backend } from "./backend/backend.ts";
import { bytesOf, type DType } from "./dtype.ts";
import { DeviceError, DisposedError, DTypeError, ShapeError } from "./errors.ts";
import { formatShape, isContiguous, sameShape, type Shape, sizeOf } from "./layout.ts";
import type { AnyOp, TensorSpec } from "./op.ts";
import type { Storage } from "./storage.ts";
import type { Tensor } from "./tensor.ts";

/** Throw unless every input is alive and all are on one device. */
export function checkInputs(op: string, inputs: readonly Tensor[]): void {
  for (let i = 0; i < inputs.length; i++) {
    const x = inputs[i];
    if (x.disposed) {
      throw new DisposedError(
        `${op}: input ${i} ${
          formatShape(x.shape)
        } was disposed. Return it from scope() or keep() it.`,
      );
    }
    if (x.storage.backend !== inputs[0].storage.backend) {
      const [a, b] = [inputs[0].device, x.device];
      throw new DeviceError(`${op}: inputs are on ${a} and ${b}. Move one: b.to("${a}").`);
    }
  }
}

/** Memory for a tensor of this shape and type, contents undefined. */
export function allocate(backend: Backend, shape: Shape, dtype: DType): Storage {
  return backend.allocate(sizeOf(shape) * bytesOf(dtype));
}

/** Throw unless `outputs` are what `op` would have made, and nothing depends on what they hold now. */
export function checkOutputs(
  op: string,
  outputs: readonly Tensor[],
  specs: readonly TensorSpec[],
): void {
  outputs.forEach((out, i) => {
    const { shape, dtype } = specs[i];
    if (out.disposed) {
      throw new DisposedError(`${op}: output ${i} ${formatShape(out.shape)} was disposed.`);
    }
    if (!sameShape(out.shape, shape)) {
      throw new ShapeError(
        `${op}: output ${i} has shape ${formatShape(out.shape)}, the result ${
          formatShape(shape)
        }. Pass one that fits.`,
      );
    }
    if (out.dtype !== dtype) {
      throw new DTypeError(
        `${op}: output ${i} is ${out.dtype}, the result ${dtype}. Pass one that fits.`,
      );
    }
  });
}

/** Throw unless `op` can write `outputs` where they lie: each element once, and in row-major order but for copies. */
export function checkWritable(op: AnyOp, outputs: readonly Tensor[]): void {
  for (const out of outputs) {
    if (isContiguous(out)) continue;
    if (out.shape.some((size, axis) => size > 1 && out.strides[axis] === 0)) {
      throw new ShapeError(
        `${op.name}: elements of ${
          formatShape(out.shape)
        } share memory, it was expanded. Write to a copy: clone().`,
      );
    }
    if (op.name !== "copy") {
      throw new ShapeError(
        `${op.name}: an output is not contiguous. Write to a contiguous tensor and assign() it.`,
      );
    }
  }
}
