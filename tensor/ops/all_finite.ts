/**
 * Whether a loss or a gradient can be used.
 *
 * @module
 */
import { sizeOf } from "../layout.ts";
import type { Unary } from "../op.ts";
import { addressOf } from "./address.ts";
import { blockForEach, partSize } from "./launch.ts";

/** 1 (u8, of shape []) if no element is an infinity or NaN, else 0. */
export const allFinite: Unary = {
  name: "allFinite",
  outputs: () => [{ shape: [], dtype: "u8" }],
  reference: ([x], [out]) => {
    out.data[0] = x.data.every((value) => Number.isFinite(value)) ? 1 : 0;
  },
  kernel: {
    source: new URL("./all_finite.c", import.meta.url),
    entry: "all_finite",
    cuda: {
      source: new URL("./all_finite.cu", import.meta.url),
      launches: ([x]) => [
        blockForEach(Math.ceil(sizeOf(x.shape) / partSize)),
        { ...blockForEach(1), entry: "all_finite_parts" },
      ],
      scratch: ([x]) => 4 * Math.ceil(sizeOf(x.shape) / partSize),
    },
    dtype: ([x]) => x.dtype,
    arguments: (to, [x], [out]) =>
      void to.address(addressOf(out)).address(addressOf(x)).integer(sizeOf(x.shape)),
  },
  samples: [[5], [1], [0], [], [70000]].flatMap((shape) =>
    [0, NaN].map((odd) => ({
      shapes: [shape],
      params: undefined,
      draw: (_: number, uniform: number) => uniform === 0.5 ? odd : uniform,
    }))
  ),
};
