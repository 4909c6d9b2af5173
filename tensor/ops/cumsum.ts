/**
 * Running sums.
 *
 * @module
 */
import { isFloating } from "../dtype.ts";
import { DTypeError } from "../errors.ts";
import type { Shape } from "../layout.ts";
import type { Unary } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { addressOf } from "./address.ts";
import { aroundAxis, type AxisParams } from "./reduce.ts";
import { warpForEach } from "./launch.ts";

/** Along which axis, and from which end. */
export interface CumsumParams extends AxisParams {
  /** Sum what comes after rather than before. */
  readonly backwards?: boolean;
}

const cases: readonly [Shape, number][] = [
  [[5], 0],
  [[1], 0],
  [[3, 70], 1],
  [[70, 3], 0],
  [[2, 9, 5], 1],
  [[2, 3, 130], 1],
  [[0, 4], 1],
  [[4, 0], 1],
];

/** out[i] = x[0] + … + x[i] along an axis, or from the last element down. Its gradient runs the other way. */
export const cumsum: Unary<CumsumParams> = {
  name: "cumsum",
  outputs: ([{ shape, dtype }]) => {
    if (!isFloating(dtype) && dtype !== "i32") {
      throw new DTypeError(`cumsum: sums do not fit ${dtype}. Cast first: x.to("i32").`);
    }
    return [{ shape, dtype }];
  },
  reference: ([x], [out], { axis, backwards }) => {
    const { outer, n, inner } = aroundAxis(x.shape, axis);
    for (let row = 0; row < outer * inner; row++) {
      const first = Math.floor(row / inner) * n * inner + row % inner;
      let total = 0;
      for (let k = 0; k < n; k++) {
        const i = first + (backwards ? n - 1 - k : k) * inner;
        out.data[i] = total += x.data[i];
      }
    }
  },
  kernel: {
    source: new URL("./cumsum.c", import.meta.url),
    entry: "cumsum",
    cuda: {
      source: new URL("./cumsum.cu", import.meta.url),
      launches: ([x], _, { axis }) => {
        const { outer, inner } = aroundAxis(x.shape, axis);
        return [warpForEach(outer * inner)];
      },
    },
    dtype: ([x]) => x.dtype,
    arguments: (to, [x], [out], { axis, backwards }) => {
      const { outer, n, inner } = aroundAxis(x.shape, axis);
      to.address(addressOf(out)).address(addressOf(x));
      to.integer(outer).integer(n).integer(inner).integer(backwards ? 1 : 0);
    },
  },
  vjp: ([g], { params: { axis, backwards }, apply }) =>
    apply(cumsum, [g], { axis, backwards: !backwards }) as [Tensor],
  samples: cases.flatMap(([shape, axis]) =>
    [false, true].map((backwards) => ({ shapes: [shape] as const, params: { axis, backwards } }))
  ),
};
