/**
 * Tensors joined along an axis.
 *
 * @module
 */
import { bytesOf } from "../dtype.ts";
import { DTypeError, ShapeError } from "../errors.ts";
import { formatShape, type Shape, sizeOf } from "../layout.ts";
import type { AnyOp, Op, View } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { addressOf } from "./address.ts";
import { copy } from "./copy.ts";
import { aroundAxis, type AxisParams } from "./reduce.ts";

/** Throw unless `x` fits behind `first`. */
function checkFits(first: View, x: View, i: number, axis: number): void {
  if (x.dtype !== first.dtype) {
    throw new DTypeError(
      `concat: input ${i} is ${x.dtype}, the first ${first.dtype}. Cast it: x.to("${first.dtype}").`,
    );
  }
  const differs = (size: number, j: number): boolean => j !== axis && size !== first.shape[j];
  const odd = x.shape.length === first.shape.length ? x.shape.findIndex(differs) : 0;
  if (odd < 0) return;
  throw new ShapeError(
    `concat: input ${i} does not fit along axis ${axis}, ${formatShape(first.shape)} and ${
      formatShape(x.shape)
    } (${first.shape[odd] ?? "none"} vs ${
      x.shape[odd] ?? "none"
    }). Only the size of that axis may differ.`,
  );
}

const sample = (axis: number, ...shapes: Shape[]) => ({ shapes, params: { axis } });

/** Any number of tensors of one type, one after another along an axis. Its gradient is cut at the same places. */
export const concat: Op<AxisParams, readonly Tensor[]> = {
  name: "concat",
  outputs: (inputs, { axis }) => {
    const [first] = inputs;
    inputs.forEach((x, i) => checkFits(first, x, i, axis));
    const size = inputs.reduce((total, x) => total + x.shape[axis], 0);
    return [{ shape: first.shape.with(axis, size), dtype: first.dtype }];
  },
  reference: (inputs, [out], { axis }) => {
    const { outer, n, inner } = aroundAxis(out.shape, axis);
    let start = 0;
    for (const { shape, data } of inputs) {
      const length = shape[axis] * inner;
      for (let i = 0; i < outer; i++) {
        for (let j = 0; j < length; j++) {
          out.data[i * n * inner + start + j] = data[i * length + j];
        }
      }
      start += length;
    }
  },
  kernel: {
    source: new URL("./concat.c", import.meta.url),
    entry: "concat",
    cuda: {
      calls: (inputs, [out], { axis }) => {
        let start = 0;
        return inputs.map((x) => {
          const offset = out.offset + start * out.strides[axis];
          start += x.shape[axis];
          const { storage, dtype, strides } = out;
          const part: View = { storage, dtype, strides, offset, shape: x.shape };
          return { op: copy as AnyOp, inputs: [x], outputs: [part], params: {} };
        });
      },
    },
    // One kernel for all types: it moves bytes.
    dtype: ([x]) => x.dtype === "f64" ? "f64" : "f32",
    arguments: (to, inputs, [out], { axis }) => {
      const bytes = ({ shape, dtype }: View): number => sizeOf(shape.slice(axis)) * bytesOf(dtype);
      to.address(addressOf(out)).integer(sizeOf(out.shape.slice(0, axis)));
      to.integer(bytes(out)).integer(inputs.length);
      for (const input of inputs) to.address(addressOf(input)).integer(bytes(input));
    },
  },
  vjp: ([g], { specs, params: { axis } }) => {
    let start = 0;
    return specs.map(({ shape }) => g.slice(axis, start, start += shape[axis]));
  },
  samples: [
    sample(0, [5], [2]),
    sample(1, [3, 7], [3, 1], [3, 0], [3, 5]),
    sample(1, [2, 3, 4], [2, 2, 4]),
    sample(0, [1]),
    sample(1, [0, 2], [0, 3]),
    sample(0, ...Array.from({ length: 100 }, (): Shape => [1, 3])),
    sample(1, [40, 700], [40, 300]),
  ],
};
