/**
 * The norm of all gradients.
 *
 * @module
 */
import { isFloating } from "../dtype.ts";
import { DTypeError } from "../errors.ts";
import { sizeOf } from "../layout.ts";
import type { Unary } from "../op.ts";
import { addressOf } from "./address.ts";
import { blockForEach, partSize } from "./launch.ts";

/**
 * √(Σ x²), f32 whatever the elements are. The sum is kept in f64, in an order that depends on the size alone; NaN or an
 * infinity among the elements shows in the result.
 */
export const globalNorm: Unary = {
  name: "globalNorm",
  outputs: ([{ dtype }]) => {
    if (!isFloating(dtype)) {
      throw new DTypeError(`globalNorm: ${dtype} elements have no norm. Cast first: x.to("f32").`);
    }
    return [{ shape: [], dtype: dtype === "f64" ? "f64" : "f32" }];
  },
  reference: ([x], [out]) => {
    let total = 0;
    for (const value of x.data) total += value * value;
    out.data[0] = Math.sqrt(total);
  },
  kernel: {
    source: new URL("./global_norm.c", import.meta.url),
    entry: "global_norm",
    cuda: {
      source: new URL("./global_norm.cu", import.meta.url),
      launches: ([x]) => [
        blockForEach(Math.ceil(sizeOf(x.shape) / partSize)),
        { ...blockForEach(1), entry: "global_norm_parts" },
      ],
      scratch: ([x]) => 8 * Math.ceil(sizeOf(x.shape) / partSize),
    },
    arguments: (to, [x], [out]) => {
      to.address(addressOf(out)).address(addressOf(x)).integer(sizeOf(x.shape));
    },
  },
  samples: [[5], [1], [0], [3, 70], [200_003]].map((shape) => ({
    shapes: [shape],
    params: undefined,
  })),
};
