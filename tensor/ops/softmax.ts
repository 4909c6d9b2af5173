/**
 * Softmax, its logarithm, and the logarithm of its denominator.
 *
 * @module
 */
import type { Arguments } from "../../ffi/mod.ts";
import { type DType, isFloating } from "../dtype.ts";
import { DTypeError } from "../errors.ts";
import type { Shape } from "../layout.ts";
import type { Binary, Kernel, NumberTensor, Ternary, Unary, View } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { addressOf } from "./address.ts";
import { aroundAxis, type AxisParams } from "./reduce.ts";
import { alongAxis } from "./launch.ts";

function checkFloating(name: string, dtype: DType): void {
  if (isFloating(dtype)) return;
  throw new DTypeError(`${name}: ${dtype} elements have no exponential. Cast first: x.to("f32").`);
}

function kernel(entry: string): Kernel<AxisParams> {
  return {
    source: new URL("./softmax.c", import.meta.url),
    entry,
    cuda: {
      source: new URL("./softmax.cu", import.meta.url),
      launches: ([x], _, { axis }) => [alongAxis(aroundAxis(x.shape, axis))],
    },
    arguments: (to: Arguments, inputs: readonly View[], [out]: readonly View[], { axis }) => {
      to.address(addressOf(out));
      for (const input of inputs) to.address(addressOf(input));
      const { outer, n, inner } = aroundAxis(inputs[0].shape, axis);
      to.integer(outer).integer(n).integer(inner);
    },
  };
}

/** Calls `visit` with the places of the elements of each row along `axis`, and its place where the axis is dropped. */
function forEachRow(
  shape: Shape,
  axis: number,
  visit: (row: readonly number[], result: number) => void,
): void {
  const { outer, n, inner } = aroundAxis(shape, axis);
  for (let result = 0; result < outer * inner; result++) {
    const first = Math.floor(result / inner) * n * inner + result % inner;
    visit(Array.from({ length: n }, (_, i) => first + i * inner), result);
  }
}

const largestOf = ({ data }: NumberTensor, row: readonly number[]): number =>
  row.reduce((largest, i) => Math.max(largest, data[i]), -Infinity);

/** Σ e^(x − shift). With the largest x as the shift nothing overflows. */
const sumExp = ({ data }: NumberTensor, row: readonly number[], shift: number): number =>
  row.reduce((sum, i) => sum + Math.exp(data[i] - shift), 0);

const cases: readonly [Shape, number][] = [
  [[5], 0],
  [[1], 0],
  [[150, 8], 1],
  [[3, 70], 1],
  [[70, 3], 0],
  [[2, 9, 5], 1],
  [[2, 3, 130], 1],
  [[4, 300], 1],
  [[0, 4], 1],
  [[4, 0], 1],
  [[4, 0], 0],
];
const samples = cases.map(([shape, axis]) => ({ shapes: [shape] as const, params: { axis } }));

/** From y = softmax(x) and the gradient g of y: y·(g − Σ y·g). */
const softmaxBackward: Binary<AxisParams> = {
  name: "softmaxBackward",
  outputs: ([{ shape, dtype }]) => [{ shape, dtype }],
  reference: ([y, g], [out], { axis }) =>
    forEachRow(y.shape, axis, (row) => {
      const dot = row.reduce((sum, i) => sum + y.data[i] * g.data[i], 0);
      for (const i of row) out.data[i] = y.data[i] * (g.data[i] - dot);
    }),
  kernel: kernel("softmax_backward"),
  samples: cases.map(([shape, axis]) => ({ shapes: [shape, shape], params: { axis } })),
};

/** e^x / Σ e^x along an axis. */
export const softmax: Unary<AxisParams> = {
  name: "softmax",
  outputs: ([{ shape, dtype }]) => {
    checkFloating("softmax", dtype);
    return [{ shape, dtype }];
  },
  reference: ([x], [out], { axis }) =>
    forEachRow(x.shape, axis, (row) => {
      const largest = largestOf(x, row), total = sumExp(x, row, largest);
      for (const i of row) out.data[i] = Math.exp(x.data[i] - largest) / total;
    }),
  kernel: kernel("softmax"),
  saves: { outputs: [0] },
  vjp: ([g], { outputs: [y], params, apply }) => apply(softmaxBackward, [y, g], params) as [Tensor],
  companions: [softmaxBackward],
  samples,
};

/** From y = logSoftmax(x) and the gradient g of y: g − e^y·Σ g. */
const logSoftmaxBackward: Binary<AxisParams> = {
  name: "logSoftmaxBackward",
  outputs: ([{ shape, dtype }]) => [{ shape, dtype }],
  reference: ([y, g], [out], { axis }) =>
    forEachRow(y.shape, axis, (row) => {
      const total = row.reduce((sum, i) => sum + g.data[i], 0);
      for (const i of row) out.data[i] = g.data[i] - Math.exp(y.data[i]) * total;
    }),
  kernel: kernel("log_softmax_backward"),
  samples: cases.map(([shape, axis]) => ({ shapes: [shape, shape], params: { axis } })),
};

/** x − ln Σ e^x along an axis. */
export const logSoftmax: Unary<AxisParams> = {
  name: "logSoftmax",
  outputs: ([{ shape, dtype }]) => {
    checkFloating("logSoftmax", dtype);
    return [{ shape, dtype }];
  },
  reference: ([x], [out], { axis }) =>
    forEachRow(x.shape, axis, (row) => {
      const largest = largestOf(x, row), total = Math.log(sumExp(x, row, largest));
      for (const i of row) out.data[i] = x.data[i] - largest - total;
    }),
  kernel: kernel("log_softmax"),
  saves: { outputs: [0] },
  vjp: ([g], { outputs: [y], params, apply }) =>
    apply(logSoftmaxBackward, [y, g], params) as [Tensor],
  companions: [logSoftmaxBackward],
  samples,
};

/** From x, y = logSumExp(x) and the gradient g of y: e^(x − y)·g. */
const logSumExpBackward: Ternary<AxisParams> = {
  name: "logSumExpBackward",
  outputs: ([{ shape, dtype }]) => [{ shape, dtype }],
  reference: ([x, y, g], [out], { axis }) =>
    forEachRow(x.shape, axis, (row, result) => {
      for (const i of row) out.data[i] = Math.exp(x.data[i] - y.data[result]) * g.data[result];
    }),
  kernel: kernel("log_sum_exp_backward"),
  samples: cases.map(([shape, axis]) => ({
    shapes: [shape, shape.toSpliced(axis, 1), shape.toSpliced(axis, 1)],
    params: { axis },
  })),
};

/** ln Σ e^x along an axis, which is dropped. */
export const logSumExp: Unary<AxisParams> = {
  name: "logSumExp",
  outputs: ([{ shape, dtype }], { axis }) => {
    checkFloating("logSumExp", dtype);
    return [{ shape: shape.toSpliced(axis, 1), dtype }];
  },
  reference: ([x], [out], { axis }) =>
    forEachRow(x.shape, axis, (row, result) => {
      const largest = largestOf(x, row), shift = Number.isFinite(largest) ? largest : 0;
      out.data[result] = shift + Math.log(sumExp(x, row, shift));
    }),
  kernel: kernel("log_sum_exp"),
  saves: { inputs: [0], outputs: [0] },
  vjp: ([g], { inputs: [x], outputs: [y], params, apply }) =>
    apply(logSumExpBackward, [x, y, g], params) as [Tensor],
  companions: [logSumExpBackward],
  // The logarithm of an empty sum is −∞, which finite differences cannot step around.
  samples: samples.filter(({ shapes: [shape], params: { axis } }) => shape[axis] > 0),
};
