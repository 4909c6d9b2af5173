/**
 * A linear layer's product.
 *
 * @module
 */
import { DTypeError, ShapeError } from "../errors.ts";
import { formatShape, type Shape, sizeOf } from "../layout.ts";
import type { Binary, View } from "../op.ts";
import { addressOf } from "./address.ts";
import { matmulWide } from "./matmul.ts";

/**
 * y = x·Wᵀ. x: [..., in], W: [out, in] → [..., out].
 *
 * Apart from `matmul` because of its gradient: dW += dyᵀ·x goes straight into the weight's f32 gradient.
 */
export const linear: Binary = {
  name: "linear",
  outputs: ([x, weight]) => {
    const [out, width] = weight.shape,
      both = `${formatShape(x.shape)} and weight ${formatShape(weight.shape)}`;
    if (weight.shape.length !== 2 || x.shape.length === 0) {
      throw new ShapeError(
        `linear: a weight [out, in] and an input [..., in] are needed, ${both}.`,
      );
    }
    if (x.shape.at(-1) !== width) {
      throw new ShapeError(
        `linear: the input's last size is not the weight's, ${both} (${
          x.shape.at(-1)
        } vs ${width}). ` +
          `The weight is [out, in].`,
      );
    }
    if (x.dtype !== weight.dtype) {
      throw new DTypeError(
        `linear: ${x.dtype} and ${weight.dtype} do not mix. Cast one: x.to("${weight.dtype}").`,
      );
    }
    return [{ shape: x.shape.with(-1, out), dtype: x.dtype }];
  },
  reference: ([x, weight], [y]) => {
    const [out, width] = weight.shape, rows = sizeOf(x.shape.slice(0, -1));
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < out; j++) {
        let sum = 0;
        for (let k = 0; k < width; k++) sum += x.data[i * width + k] * weight.data[j * width + k];
        y.data[i * out + j] = sum;
      }
    }
  },
  kernel: {
    source: new URL("./matmul.c", import.meta.url),
    entry: "matmul",
    arguments: (to, [x, weight], [y]) => {
      const [out, width] = weight.shape, rows = sizeOf(x.shape.slice(0, -1));
      to.address(addressOf(x)).address(addressOf(weight)).address(addressOf(y));
      to.integer(1).integer(rows).integer(out).integer(width);
      to.integer(0).integer(width).integer(1); // x: [rows, in]
      to.integer(0).integer(1).integer(width); // Wᵀ: [in, out]
      to.integer(0).integer(out).integer(0);
    },
    cuda: {
      product: ([x, weight], [y]) => {
        const [out, width] = weight.shape, rows = sizeOf(x.shape.slice(0, -1));
        return {
          a: matrix(x, [rows, width], [width, 1]),
          b: matrix(weight, [width, out], [1, width]), // Wᵀ
          c: matrix(y, [rows, out], [out, 1]),
          accumulate: false,
        };
      },
    },
  },
  vjp: ([gradient], { inputs: [x, weight], specs, needs, into, applyInto }) => {
    const { shape } = specs[0], [out, width] = specs[1].shape;
    const count = sizeOf(shape.slice(0, -1)), dy = gradient.reshape([count, out]);
    const dx = needs[0] ? dy.matmul(weight).reshape(shape) : null;
    if (!needs[1]) return [dx, null];
    const rows = x.reshape([count, width]), dw = into(1);
    if (!dw) return [dx, dy.t().matmul(rows)];
    applyInto(matmulWide, [dy.t(), rows], [dw], { accumulate: true });
    return [dx, dw];
  },
  saves: { inputs: [0, 1], bilinear: true },
  samples: [
    { shapes: [[5, 3], [4, 3]], params: undefined },
    { shapes: [[2, 3, 8], [17, 8]], params: undefined },
    { shapes: [[7], [3, 7]], params: undefined },
    { shapes: [[33, 40], [65, 40]], params: undefined },
    { shapes: [[0, 3], [4, 3]], params: undefined },
  ],
};

/** The same memory as a matrix. */
function matrix({ storage, dtype, offset }: View, shape: Shape, strides: readonly number[]): View {
  return { storage, dtype, offset, shape, strides };
}
