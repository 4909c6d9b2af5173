/**
 * Copies: to another layout, to another element type, or added to what is there.
 *
 * @module
 */
import { codeOf, type DType } from "../dtype.ts";
import { collapse, sizeOf } from "../layout.ts";
import type { Unary } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { addressOf } from "./address.ts";
import { overElements } from "./launch.ts";

/** How to copy. */
export interface CopyParams {
  /** Element type of the copy; that of the input by default. */
  readonly dtype?: DType;
  /** Add to what the output holds. */
  readonly accumulate?: boolean;
}

/** e4m3 is cast by the reference. */
const inKernel = (dtype: DType): boolean => dtype !== "e4m3";

/** The elements in row-major order, cast to another type if asked. Casts to an integer type truncate toward zero. */
export const copy: Unary<CopyParams> = {
  name: "copy",
  outputs: ([{ shape, dtype }], params) => [{ shape, dtype: params.dtype ?? dtype }],
  reference: ([x], [out], { accumulate }) => {
    for (let i = 0; i < out.data.length; i++) {
      out.data[i] = accumulate ? out.data[i] + x.data[i] : x.data[i];
    }
  },
  kernel: {
    source: new URL("./copy.c", import.meta.url),
    entry: "copy",
    strided: true,
    // One kernel for all types: it is told their codes.
    dtype: ([x], [out]) => inKernel(x.dtype) && inKernel(out.dtype) ? "f32" : "e4m3",
    arguments: (to, [x], [out], { accumulate }) => {
      const merged = collapse(out.shape, [out.strides, x.strides]);
      to.address(addressOf(out)).address(addressOf(x));
      to.integer(codeOf(out.dtype)).integer(codeOf(x.dtype)).integer(accumulate ? 1 : 0);
      to.integer(merged.shape.length);
      for (const values of [merged.shape, ...merged.strides]) {
        for (const value of values) to.integer(value);
      }
    },
    cuda: {
      source: new URL("./copy.cu", import.meta.url),
      launches: (_, [out]) => [overElements(sizeOf(out.shape))],
    },
  },
  vjp: ([g], { specs: [{ dtype }] }) => [g.to(dtype)] as readonly [Tensor],
  samples: [[5], [2, 3], [], [0], [3, 4, 5], [33, 65]].map((shape) => ({
    shapes: [shape] as const,
    params: {},
  })),
};
