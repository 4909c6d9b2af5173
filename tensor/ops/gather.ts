/**
 * Elements picked along an axis by indices, and added back to where they came from.
 *
 * @module
 */
import type { DType } from "../dtype.ts";
import { ShapeError } from "../errors.ts";
import { formatShape, type Shape, sizeOf } from "../layout.ts";
import type { Binary, TensorSpec } from "../op.ts";
import { addressOf } from "./address.ts";
import { badIndexIn, checkIndexType, findBadIndex } from "./indices.ts";
import { aroundAxis, type AxisParams } from "./reduce.ts";
import { overElements } from "./launch.ts";

const source = new URL("./gather.c", import.meta.url);
const cudaSource = new URL("./gather.cu", import.meta.url);

/** Along which axis of how many elements to add, and whether to what is there. */
export interface ScatterParams extends AxisParams {
  readonly size: number;
  readonly accumulate?: boolean;
}

/** Throw ShapeError unless the shapes are the same but for `axis`. */
function checkOtherAxes(name: string, indices: Shape, x: Shape, axis: number): void {
  const differs = (size: number, i: number): boolean => i !== axis && size !== x[i];
  const odd = indices.length === x.length ? indices.findIndex(differs) : 0;
  if (odd < 0) return;
  throw new ShapeError(
    `${name}: indices ${formatShape(indices)} do not fit ${formatShape(x)} along axis ${axis} (${
      indices[odd] ?? "none"
    } vs ${
      x[odd] ?? "none"
    }). Only the size of that axis may differ; expand() or slice() the others.`,
  );
}

/** Calls `visit` with the place of each index, and the place that it points to along an axis of `n`. */
function forEachIndex(
  { shape, data }: { readonly shape: Shape; readonly data: ArrayLike<number> },
  axis: number,
  n: number,
  visit: (i: number, target: number) => void,
): void {
  const { n: m, inner } = aroundAxis(shape, axis);
  for (let i = 0; i < data.length; i++) {
    const outer = Math.floor(i / (m * inner));
    visit(i, (outer * n + data[i]) * inner + i % inner);
  }
}

/** Sums of bf16 are f32. */
const sumType = ({ dtype }: TensorSpec): DType => dtype === "bf16" ? "f32" : dtype;

const cases: readonly { shape: Shape; axis: number; m: number }[] = [
  { shape: [5], axis: 0, m: 7 },
  { shape: [1], axis: 0, m: 1 },
  { shape: [3, 70], axis: 1, m: 33 },
  { shape: [70, 3], axis: 0, m: 9 },
  { shape: [2, 9, 5], axis: 1, m: 20 },
  { shape: [3, 4, 150], axis: 1, m: 2 },
  { shape: [3, 4], axis: 1, m: 0 },
  { shape: [0, 4], axis: 1, m: 2 },
];

const drawIndex = (n: number, uniform: number): number => Math.floor(uniform * n);

/** out = x[…, indices, …] along an axis: each index picks from its own row or column. */
export const gather: Binary<AxisParams> = {
  name: "gather",
  outputs: ([x, indices], { axis }) => {
    checkIndexType("gather", indices);
    checkOtherAxes("gather", indices.shape, x.shape, axis);
    return [{ shape: indices.shape, dtype: x.dtype }];
  },
  reference: ([x, indices], [out], { axis }) => {
    const bad = findBadIndex("gather", indices.data, axis, x.shape);
    if (bad) throw bad;
    forEachIndex(indices, axis, x.shape[axis], (i, from) => void (out.data[i] = x.data[from]));
  },
  kernel: {
    source,
    entry: "gather",
    cuda: { source: cudaSource, launches: (_, [out]) => [overElements(sizeOf(out.shape), 1)] },
    dtype: ([x]) => x.dtype,
    arguments: (to, [x, indices], [out], { axis }) => {
      const { outer, n, inner } = aroundAxis(x.shape, axis);
      to.address(addressOf(out)).address(addressOf(x)).address(addressOf(indices));
      to.integer(outer).integer(n).integer(inner).integer(indices.shape[axis]);
    },
    error: (_, [x, indices], { axis }) => badIndexIn("gather", indices, axis, x.shape),
  },
  saves: { inputs: [1] },
  vjp: ([g], { inputs: [, indices], specs: [{ shape, dtype }], params: { axis }, apply }) => [
    apply(scatterSum, [indices, g], { axis, size: shape[axis] })[0].to(dtype),
    null,
  ],
  samples: cases.map(({ shape, axis, m }) => ({
    shapes: [shape, shape.with(axis, m)],
    params: { axis },
    dtypes: [null, "i32"],
    draw: (input, uniform) => input === 1 ? drawIndex(shape[axis], uniform) : uniform * 4 - 2,
  })),
};

/**
 * Zeros with each element of `source` added at its index along an axis, in order of position, so that the result is the
 * same every time. The gradient of `gather`, as `gather` is its own. Sums are f32 where the source is bf16.
 */
export const scatterSum: Binary<ScatterParams> = {
  name: "scatterAdd",
  outputs: ([indices, x], { axis, size }) => {
    checkIndexType("scatterAdd", indices);
    checkOtherAxes("scatterAdd", indices.shape, x.shape, -1);
    return [{ shape: x.shape.with(axis, size), dtype: sumType(x) }];
  },
  reference: ([indices, x], [out], { axis, size, accumulate }) => {
    const bad = findBadIndex("scatterAdd", indices.data, axis, out.shape);
    if (bad) throw bad;
    if (!accumulate) out.data.fill(0);
    forEachIndex(indices, axis, size, (i, to) => void (out.data[to] += x.data[i]));
  },
  kernel: {
    source,
    entry: "scatter_sum",
    cuda: {
      source: cudaSource,
      launches: (_, [out], { axis, accumulate }) => {
        const { outer, inner } = aroundAxis(out.shape, axis);
        const add = overElements(outer * inner, 1);
        return accumulate
          ? [add]
          : [{ ...overElements(sizeOf(out.shape)), entry: "scatter_clear" }, add];
      },
    },
    dtype: ([, x]) => x.dtype,
    arguments: (to, [indices, x], [out], { axis, accumulate }) => {
      const { outer, n, inner } = aroundAxis(out.shape, axis);
      to.address(addressOf(out)).address(addressOf(indices)).address(addressOf(x));
      to.integer(outer).integer(n).integer(inner).integer(x.shape[axis]).integer(
        accumulate ? 1 : 0,
      );
    },
    error: (_, [indices, { shape }], { axis, size }) =>
      badIndexIn("scatterAdd", indices, axis, shape.with(axis, size)),
  },
  saves: { inputs: [0] },
  vjp: ([g], { inputs: [indices], specs: [, { dtype }], params: { axis }, apply }) => [
    null,
    apply(gather, [g, indices], { axis })[0].to(dtype),
  ],
  samples: cases.map(({ shape, axis, m }) => ({
    shapes: [shape.with(axis, m), shape.with(axis, m)],
    params: { axis, size: shape[axis] },
    dtypes: ["i32", null],
    draw: (input, uniform) => input === 0 ? drawIndex(shape[axis], uniform) : uniform * 4 - 2,
  })),
};
