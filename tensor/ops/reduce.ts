/**
 * Sums and means over one axis.
 *
 * @module
 */
import { isFloating } from "../dtype.ts";
import { DTypeError } from "../errors.ts";
import { type Shape, sizeOf } from "../layout.ts";
import type { Launch, Unary } from "../op.ts";
import { addressOf } from "./address.ts";
import { blockThreads, overElements } from "./launch.ts";

/** One axis, counted from the front. */
export interface AxisParams {
  readonly axis: number;
}

/** Sizes before, of, and after an axis. */
export function aroundAxis(
  shape: Shape,
  axis: number,
): { outer: number; n: number; inner: number } {
  return {
    outer: sizeOf(shape.slice(0, axis)),
    n: shape[axis],
    inner: sizeOf(shape.slice(axis + 1)),
  };
}

/** In how many parts a sum is computed on a GPU. */
function partsOf(shape: Shape, axis: number): number {
  const { n, inner } = aroundAxis(shape, axis);
  return Math.max(1, Math.ceil(n / (inner === 1 ? 16384 : 256)));
}

function sumLaunches(shape: Shape, axis: number): Launch[] {
  const { outer, inner } = aroundAxis(shape, axis), parts = partsOf(shape, axis);
  const columns = overElements(outer * inner, 1);
  const whole: Launch = inner === 1
    ? { blocks: [outer, parts, 1], threads: blockThreads }
    : { ...columns, entry: "sum_columns", blocks: [columns.blocks as number, parts, 1] };
  return parts === 1 ? [whole] : [whole, { ...columns, entry: "sum_parts" }];
}

/** The sum along an axis, which is dropped, times a factor: 1 for a sum, 1/n for a mean. */
export const sum: Unary<AxisParams & { readonly scale: number }> = {
  name: "sum",
  outputs: ([{ shape, dtype }], { axis }) => {
    if (!isFloating(dtype)) {
      throw new DTypeError(`sum: ${dtype} elements are not summed. Cast first: x.to("f32").`);
    }
    return [{ shape: shape.toSpliced(axis, 1), dtype }];
  },
  reference: ([x], [out], { axis, scale }) => {
    const { outer, n, inner } = aroundAxis(x.shape, axis);
    for (let i = 0; i < outer; i++) {
      for (let j = 0; j < inner; j++) {
        let total = 0;
        for (let k = 0; k < n; k++) total += x.data[(i * n + k) * inner + j];
        out.data[i * inner + j] = total * scale;
      }
    }
  },
  kernel: {
    source: new URL("./reduce.c", import.meta.url),
    entry: "sum",
    arguments: (to, [x], [out], { axis, scale }) => {
      const { outer, n, inner } = aroundAxis(x.shape, axis);
      to.address(addressOf(out)).address(addressOf(x)).integer(outer).integer(n).integer(inner)
        .float(scale);
    },
    cuda: {
      source: new URL("./reduce.cu", import.meta.url),
      launches: ([x], _, { axis }) => sumLaunches(x.shape, axis),
      scratch: ([x], _, { axis }) => {
        const { outer, inner } = aroundAxis(x.shape, axis), parts = partsOf(x.shape, axis);
        return parts > 1 ? 4 * outer * parts * inner : 0;
      },
    },
  },
  vjp: ([g], { specs: [{ shape }], params: { axis, scale } }) => {
    const repeated = g.unsqueeze(axis).expand(shape);
    return [scale === 1 ? repeated : repeated.mul(scale)];
  },
  samples: [
    { shapes: [[5]], params: { axis: 0, scale: 1 } },
    { shapes: [[3, 70]], params: { axis: 1, scale: 1 / 70 } },
    { shapes: [[70, 3]], params: { axis: 0, scale: 1 } },
    { shapes: [[2, 9, 5]], params: { axis: 1, scale: 0.5 } },
    { shapes: [[0, 4]], params: { axis: 0, scale: 1 } },
    { shapes: [[4, 0]], params: { axis: 0, scale: 1 } },
  ],
};
