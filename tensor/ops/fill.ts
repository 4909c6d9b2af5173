/**
 * Fill with one value.
 *
 * @module
 */
import { codeOf } from "../dtype.ts";
import { sizeOf } from "../layout.ts";
import type { Unary } from "../op.ts";
import { addressOf } from "./address.ts";
import { overElements } from "./launch.ts";

/** Every element becomes `value`. The input gives shape and element type; it is not read. */
export const fill: Unary<{ readonly value: number }> = {
  name: "fill",
  outputs: ([{ shape, dtype }]) => [{ shape, dtype }],
  reference: (_, [out], { value }) => void out.data.fill(value),
  kernel: {
    source: new URL("./fill.c", import.meta.url),
    entry: "fill",
    strided: true,
    // One kernel for all types but those that C does not know, or that its f32 value is too coarse for.
    dtype: ([x]) => x.dtype === "e4m3" || x.dtype === "f64" ? x.dtype : "f32",
    arguments: (to, _, [out], { value }) => {
      to.address(addressOf(out)).integer(codeOf(out.dtype)).integer(sizeOf(out.shape)).float(value);
      to.integer(value | 0); // wraps around as typed arrays do
    },
    cuda: {
      source: new URL("./fill.cu", import.meta.url),
      launches: (_, [out]) => [overElements(sizeOf(out.shape))],
    },
  },
  vjp: () => [null],
  samples: [
    { shapes: [[5]], params: { value: 0.5 } },
    { shapes: [[0]], params: { value: 1 } },
  ],
};
