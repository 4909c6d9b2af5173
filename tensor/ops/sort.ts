/**
 * Elements in order, all of them or the largest.
 *
 * @module
 */
import type { Arguments } from "../../ffi/mod.ts";
import { bf16ToNumber } from "../dtype.ts";
import { ShapeError } from "../errors.ts";
import { formatShape, type Shape } from "../layout.ts";
import type { CudaKernel, NumberTensor, TensorSpec, Unary, View } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { addressOf } from "./address.ts";
import { blockForEach } from "./launch.ts";
import { scatterSum } from "./gather.ts";
import { aroundAxis, type AxisParams } from "./reduce.ts";

const source = new URL("./sort.c", import.meta.url);
/** A block for each line, which it sorts in working space. */
const onCuda: CudaKernel<AxisParams> = {
  source: new URL("./sort.cu", import.meta.url),
  launches: ([x], _, { axis }) => [blockForEach(linesOf(x, axis))],
  scratch: ([x], _, { axis }) =>
    8 * linesOf(x, axis) * 2 ** Math.ceil(Math.log2(Math.max(1, x.shape[axis]))),
};

function linesOf({ shape }: View, axis: number): number {
  const { outer, inner } = aroundAxis(shape, axis);
  return outer * inner;
}

/** Along which axis, and from which end. */
export interface SortParams extends AxisParams {
  /** The largest first. */
  readonly descending?: boolean;
}

/** How many elements of which axis. */
export interface TopKParams extends AxisParams {
  readonly k: number;
}

/** The order of two numbers; NaN comes after all of them. */
function order(a: number, b: number): number {
  if (a !== a || b !== b) return Number(a !== a) - Number(b !== b);
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Writes the first k values along `axis` in the given order, and their indices. */
function writeSorted(
  { shape, data }: NumberTensor,
  [values, indices]: readonly NumberTensor[],
  { axis, k, sign }: { axis: number; k: number; sign: 1 | -1 },
): void {
  const { outer, n, inner } = aroundAxis(shape, axis);
  for (let row = 0; row < outer * inner; row++) {
    const place = (i: number, length: number): number =>
      (Math.floor(row / inner) * length + i) * inner + row % inner;
    // Sorting is stable: equal values stay in the order of their indices.
    const sorted = Array.from({ length: n }, (_, i) => i)
      .sort((i, j) => sign * order(data[place(i, n)], data[place(j, n)]));
    sorted.slice(0, k).forEach((index, i) => {
      values.data[place(i, k)] = data[place(index, n)];
      indices.data[place(i, k)] = index;
    });
  }
}

function kernelArguments(
  to: Arguments,
  [x]: readonly View[],
  [values, indices]: readonly View[],
  axis: number,
  last: number,
): void {
  const { outer, n, inner } = aroundAxis(x.shape, axis);
  to.address(addressOf(values)).address(addressOf(indices)).address(addressOf(x));
  to.integer(outer).integer(n).integer(inner).integer(last);
}

const bothOf = (shape: Shape, { dtype }: TensorSpec): TensorSpec[] => [
  { shape, dtype },
  { shape, dtype: "i32" },
];

const cases: readonly [Shape, number][] = [
  [[5], 0],
  [[1], 0],
  [[3, 70], 1],
  [[70, 3], 0],
  [[2, 9, 5], 1],
  [[2, 1000], 1],
  [[0, 4], 1],
  [[4, 0], 1],
];

/** Different numbers that bf16 holds, in no order: where elements are equal the gradient jumps. */
function differentNumber(_: number, __: number, index: number): number {
  const shuffled = index * 389 % 2048, magnitude = bf16ToNumber(0x3c00 + (shuffled >> 1));
  return shuffled % 2 ? -magnitude : magnitude;
}

/**
 * The elements along an axis in ascending or descending order, and their indices (i32). Stable: equal elements stay in
 * order. NaN counts as larger than any number. The gradient goes back to where the elements came from.
 */
export const sort: Unary<SortParams> = {
  name: "sort",
  outputs: ([x]) => bothOf(x.shape, x),
  reference: ([x], outputs, { axis, descending }) =>
    writeSorted(x, outputs, { axis, k: x.shape[axis], sign: descending ? -1 : 1 }),
  kernel: {
    source,
    entry: "sort",
    cuda: onCuda,
    dtype: ([x]) => x.dtype,
    arguments: (to, inputs, outputs, { axis, descending }) =>
      kernelArguments(to, inputs, outputs, axis, descending ? 1 : 0),
  },
  saves: { outputs: [1] },
  constantOutputs: [1],
  vjp: ([g], { outputs: [, indices], specs: [{ shape, dtype }], params: { axis }, apply }) =>
    [
      apply(scatterSum, [indices, g], { axis, size: shape[axis] })[0].to(dtype),
    ] as readonly [Tensor],
  samples: cases.flatMap(([shape, axis]) =>
    [false, true].map((descending) => ({
      shapes: [shape] as const,
      params: { axis, descending },
      draw: differentNumber,
    }))
  ),
};

/**
 * The k largest elements along an axis, in descending order, and their indices (i32); of equal ones, those with lower
 * indices come first. NaN counts as larger than any number. The gradient goes back to where they came from.
 */
export const topK: Unary<TopKParams> = {
  name: "topK",
  outputs: ([x], { axis, k }) => {
    const n = x.shape[axis];
    if (!Number.isInteger(k) || k < 0 || k > n) {
      throw new ShapeError(
        `topK: no ${k} largest elements in axis ${axis} of ${formatShape(x.shape)} (${n}). ` +
          `Use a k from 0 to ${n}.`,
      );
    }
    return bothOf(x.shape.with(axis, k), x);
  },
  reference: ([x], outputs, { axis, k }) => writeSorted(x, outputs, { axis, k, sign: -1 }),
  kernel: {
    source,
    entry: "top_k",
    cuda: onCuda,
    dtype: ([x]) => x.dtype,
    arguments: (to, inputs, outputs, { axis, k }) => kernelArguments(to, inputs, outputs, axis, k),
  },
  saves: { outputs: [1] },
  constantOutputs: [1],
  vjp: ([g], { outputs: [, indices], specs: [{ shape, dtype }], params: { axis }, apply }) =>
    [
      apply(scatterSum, [indices, g], { axis, size: shape[axis] })[0].to(dtype),
    ] as readonly [Tensor],
  samples: cases.flatMap(([shape, axis]) =>
    [0, 1, 4, 50].filter((k) => k <= shape[axis])
      .map((k) => ({ shapes: [shape] as const, params: { axis, k }, draw: differentNumber }))
  ),
};
