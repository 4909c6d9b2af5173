/**
 * Largest and smallest elements along one axis.
 *
 * @module
 */
import type { Arguments } from "../../ffi/mod.ts";
import { ShapeError } from "../errors.ts";
import { formatShape, type Shape } from "../layout.ts";
import type { CudaKernel, NumberTensor, Sample, Ternary, Unary, View } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { addressOf } from "./address.ts";
import { alongAxis } from "./launch.ts";
import { aroundAxis, type AxisParams } from "./reduce.ts";

const source = new URL("./extremum.c", import.meta.url);
const cuda: CudaKernel<AxisParams> = {
  source: new URL("./extremum.cu", import.meta.url),
  launches: ([x], _, { axis }) => [alongAxis(aroundAxis(x.shape, axis))],
};

/** The shape without `axis`. Throws ShapeError when there is nothing along it to choose from. */
function without(name: string, shape: Shape, axis: number): Shape {
  if (shape[axis] > 0) return shape.toSpliced(axis, 1);
  throw new ShapeError(
    `${name}: axis ${axis} of ${formatShape(shape)} is empty (0). ` +
      `Nothing has no ${name}; skip empty tensors, or concat a bound to them.`,
  );
}

/** Calls `visit` with the first place, the step, and the place in the result, of everything along `axis`. */
function along(
  shape: Shape,
  axis: number,
  visit: (first: number, step: number, n: number, result: number) => void,
): void {
  const { outer, n, inner } = aroundAxis(shape, axis);
  for (let result = 0; result < outer * inner; result++) {
    const first = Math.floor(result / inner) * n * inner + result % inner;
    visit(first, inner, n, result);
  }
}

/** Place of the first of the most extreme elements; NaN is more extreme than any number. */
function bestOf(
  { data }: NumberTensor,
  first: number,
  step: number,
  n: number,
  sign: number,
): number {
  let best = first;
  for (let i = first; i < first + n * step; i += step) {
    const unseenNaN = data[i] !== data[i] && data[best] === data[best];
    if (sign * data[i] > sign * data[best] || unseenNaN) best = i;
  }
  return best;
}

function kernelArguments(
  to: Arguments,
  inputs: readonly View[],
  [out]: readonly View[],
  { axis }: AxisParams,
): void {
  to.address(addressOf(out));
  for (const input of inputs) to.address(addressOf(input));
  const { outer, n, inner } = aroundAxis(inputs[0].shape, axis);
  to.integer(outer).integer(n).integer(inner);
}

const cases: readonly [Shape, number][] = [
  [[5], 0],
  [[1], 0],
  [[3, 70], 1],
  [[70, 3], 0],
  [[2, 9, 5], 1],
  [[1, 259], 1],
  [[3, 2, 130], 1],
  [[0, 4], 1],
  [[4, 0], 0],
];

const samples: readonly Sample<AxisParams, readonly [Tensor]>[] = cases.map(([shape, axis]) => ({
  shapes: [shape],
  params: { axis },
}));

/** From an extremum's input, output and the gradient g of its output: g in equal shares where x is the extremum. */
const extremumBackward: Ternary<AxisParams> = {
  name: "extremumBackward",
  outputs: ([{ shape, dtype }]) => [{ shape, dtype }],
  reference: ([x, y, g], [out], { axis }) =>
    along(x.shape, axis, (first, step, n, result) => {
      const places = Array.from({ length: n }, (_, i) => first + i * step);
      const equals = places.filter((i) => x.data[i] === y.data[result]);
      for (const i of places) out.data[i] = equals.length > 0 ? 0 : NaN; // y is NaN
      for (const i of equals) out.data[i] = g.data[result] / equals.length;
    }),
  kernel: { source, entry: "extremum_backward", cuda, arguments: kernelArguments },
  samples: cases.map(([shape, axis]) => ({
    shapes: [shape, shape.toSpliced(axis, 1), shape.toSpliced(axis, 1)] as const,
    params: { axis },
    draw: (_: number, uniform: number) => Math.round(uniform * 4),
  })),
};

function extremum(name: "max" | "min", sign: number): Unary<AxisParams> {
  return {
    name,
    outputs: ([{ shape, dtype }], { axis }) => [{ shape: without(name, shape, axis), dtype }],
    reference: ([x], [out], { axis }) =>
      along(x.shape, axis, (first, step, n, result) => {
        out.data[result] = x.data[bestOf(x, first, step, n, sign)];
      }),
    kernel: { source, entry: name, cuda, dtype: ([x]) => x.dtype, arguments: kernelArguments },
    saves: { inputs: [0], outputs: [0] },
    vjp: ([g], { inputs: [x], outputs: [y], params, apply }) =>
      apply(extremumBackward, [x, y, g], params) as [Tensor],
    companions: [extremumBackward],
    samples,
  };
}

/** The largest element along an axis, which is dropped; NaN if there is one. Equal ones share the gradient evenly. */
export const max: Unary<AxisParams> = extremum("max", 1);

/** The smallest element along an axis, which is dropped; NaN if there is one. Equal ones share the gradient evenly. */
export const min: Unary<AxisParams> = extremum("min", -1);

/** The index (i32) of the largest element along an axis, which is dropped: the first of equals, or the first NaN. */
export const argmax: Unary<AxisParams> = {
  name: "argmax",
  outputs: ([{ shape }], { axis }) => [{ shape: without("argmax", shape, axis), dtype: "i32" }],
  reference: ([x], [out], { axis }) =>
    along(x.shape, axis, (first, step, n, result) => {
      out.data[result] = (bestOf(x, first, step, n, 1) - first) / step;
    }),
  kernel: { source, entry: "argmax", cuda, dtype: ([x]) => x.dtype, arguments: kernelArguments },
  samples,
};
