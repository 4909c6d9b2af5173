/**
 * Root mean square normalisation over the last axis (Zhang & Sennrich, 2019), alone or after adding a residual.
 *
 * @module
 */
import type { Arguments } from "../../ffi/mod.ts";
import { bf16ToNumber, numberToBf16 } from "../dtype.ts";
import { ShapeError } from "../errors.ts";
import { formatShape, sameShape, type Shape } from "../layout.ts";
import type { Binary, NumberTensor, Op, Sample, Ternary, View } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { addressOf } from "./address.ts";
import {
  addPartials,
  checkNorm,
  type NormBackwardParams,
  type NormParams,
  partialsOf,
  perRow,
  rowsOf,
  rowsPerBlock,
} from "./norm.ts";
import { blockForEach, overRows } from "./launch.ts";

const source = new URL("./rms_norm.c", import.meta.url);
const cudaSource = new URL("./rms_norm.cu", import.meta.url);
const eps = 1e-5;

/** Rows and columns around the width of a vector, more rows than one block, one element, none. */
const shapes: readonly Shape[] = [[3, 5], [1], [2, 3, 33], [67, 16], [130, 300], [0, 4], [3, 0]];

/** Gradient of y, the normalised x, the weight, 1/√(mean x² + eps), and the gradient that reaches x directly, if any. */
type BackwardInputs =
  | readonly [Tensor, Tensor, Tensor, Tensor]
  | readonly [Tensor, Tensor, Tensor, Tensor, Tensor];

/** Gradient of x, and that of the weight as one sum for each block of rows. */
const rmsNormBackward: Op<NormBackwardParams, BackwardInputs> = {
  name: "rmsNormBackward",
  outputs: (inputs, { weights }) => {
    const [g, x] = inputs;
    return [{ shape: x.shape, dtype: g.dtype }, partialsOf(x, weights)];
  },
  reference: (inputs, [dx, partials], { weights }) => {
    const [g, x, weight, rstd, direct] = inputs as readonly NumberTensor[];
    const { rows, dim } = rowsOf(x.shape);
    partials.data.fill(0);
    for (let row = 0; row < rows; row++) {
      const r = rstd.data[row], at = row * dim, block = Math.floor(row / rowsPerBlock) * dim;
      let products = 0;
      for (let i = 0; i < dim; i++) products += g.data[at + i] * weight.data[i] * x.data[at + i];
      const along = products / dim * r ** 3;
      for (let i = 0; i < dim; i++) {
        dx.data[at + i] = g.data[at + i] * weight.data[i] * r - x.data[at + i] * along +
          (direct ? direct.data[at + i] : 0);
        if (weights) partials.data[block + i] += g.data[at + i] * x.data[at + i] * r;
      }
    }
  },
  kernel: {
    source,
    entry: "rms_norm_backward",
    cuda: {
      source: cudaSource,
      launches: ([, x]) => [blockForEach(Math.ceil(rowsOf(x.shape).rows / rowsPerBlock))],
    },
    arguments: (to, inputs, [dx, partials], { weights }) => {
      const [g, x, weight, rstd, direct] = inputs as readonly View[];
      to.address(addressOf(dx)).address(weights ? addressOf(partials) : 0);
      to.address(addressOf(g)).address(addressOf(x)).address(addressOf(weight));
      to.address(addressOf(rstd)).address(direct ? addressOf(direct) : 0);
      appendSizes(to, x).integer(rowsPerBlock);
    },
  },
  samples: shapes.flatMap((shape) => backwardSamples(shape)),
};

/**
 * y = x·r·weight with r = 1/√(mean x² + eps) of each row. `x`: [..., dim], `weight`: [dim]. Outputs y and r (f32).
 */
export const rmsNorm: Binary<NormParams> = {
  name: "rmsNorm",
  outputs: ([x, weight]) => {
    checkNorm("rmsNorm", x, { weight });
    return [{ shape: x.shape, dtype: x.dtype }, perRow(x)];
  },
  reference: ([x, weight], [y, rstd], params) => normalise(x, weight, y, rstd, params),
  kernel: {
    source,
    entry: "rms_norm",
    cuda: {
      source: cudaSource,
      launches: ([x]) => [overRows(rowsOf(x.shape).rows, rowsOf(x.shape).dim)],
    },
    arguments: (to, [x, weight], [y, rstd], params) => {
      to.address(addressOf(y)).address(addressOf(rstd)).address(0);
      to.address(addressOf(x)).address(0).address(addressOf(weight));
      appendSizes(to, x).float(params.eps);
    },
  },
  saves: { inputs: [0, 1], outputs: [1] },
  constantOutputs: [1],
  companions: [rmsNormBackward],
  vjp: ([g], context) => {
    const { inputs: [x, weight], outputs: [, rstd], needs: [, weights], apply } = context;
    const [dx, partials] = apply(rmsNormBackward, [g, x, weight, rstd], { weights });
    return [dx, weights ? addPartials(partials, 1, context) : null];
  },
  samples: shapes.map((shape): Sample<NormParams, readonly [Tensor, Tensor]> => ({
    shapes: [shape, shape.slice(-1)],
    params: { eps },
  })),
};

/**
 * sum = x + residual and y = rmsNorm(sum), in one pass. `x`, `residual`: [..., dim], `weight`: [dim]. Outputs sum, y, and
 * what each row was divided by, inverted (f32).
 */
export const addRmsNorm: Ternary<NormParams> = {
  name: "addRmsNorm",
  outputs: ([x, residual, weight]) => {
    checkNorm("addRmsNorm", x, { weight });
    checkResidual(x, residual);
    const { shape, dtype } = x;
    return [{ shape, dtype }, { shape, dtype }, perRow(x)];
  },
  reference: ([x, residual, weight], [sum, y, rstd], params) => {
    // Rounded as it is stored, so that the result is that of an addition followed by a normalisation.
    const stored = (value: number): number =>
      sum.dtype === "bf16" ? bf16ToNumber(numberToBf16(value)) : value;
    for (let i = 0; i < sum.data.length; i++) sum.data[i] = stored(x.data[i] + residual.data[i]);
    normalise(sum, weight, y, rstd, params);
  },
  kernel: {
    source,
    entry: "rms_norm",
    cuda: {
      source: cudaSource,
      launches: ([x]) => [overRows(rowsOf(x.shape).rows, rowsOf(x.shape).dim)],
    },
    arguments: (to, [x, residual, weight], [sum, y, rstd], params) => {
      to.address(addressOf(y)).address(addressOf(rstd)).address(addressOf(sum));
      to.address(addressOf(x)).address(addressOf(residual)).address(addressOf(weight));
      appendSizes(to, x).float(params.eps);
    },
  },
  saves: { inputs: [2], outputs: [0, 2] },
  constantOutputs: [2],
  vjp: (gradients, context) => {
    const { inputs: [, , weight], outputs: [sum, , rstd], needs: [, , weights], apply } = context;
    const [direct, g] = gradients as readonly (Tensor | null)[];
    if (!g) return [direct, direct, null];
    const inputs = direct
      ? [g, sum, weight, rstd, direct] as const
      : [g, sum, weight, rstd] as const;
    const [dx, partials] = apply(rmsNormBackward, inputs, { weights });
    return [dx, dx, weights ? addPartials(partials, 2, context) : null];
  },
  samples: shapes.map((shape): Sample<NormParams, readonly [Tensor, Tensor, Tensor]> => ({
    shapes: [shape, shape, shape.slice(-1)],
    params: { eps },
  })),
};

function backwardSamples(shape: Shape): Sample<NormBackwardParams, BackwardInputs>[] {
  const four = [shape, shape, shape.slice(-1), shape.slice(0, -1)] as const;
  const dtypes = [null, null, null, "f32"] as const;
  return [
    { shapes: four, params: { weights: true }, dtypes },
    { shapes: [...four, shape], params: { weights: false }, dtypes },
  ];
}

function appendSizes(to: Arguments, { shape }: View): Arguments {
  const { rows, dim } = rowsOf(shape);
  return to.integer(rows).integer(dim);
}

/** y = x·r·weight, row by row. */
function normalise(
  x: NumberTensor,
  weight: NumberTensor,
  y: NumberTensor,
  rstd: NumberTensor,
  { eps }: NormParams,
): void {
  const { rows, dim } = rowsOf(x.shape);
  for (let row = 0; row < rows; row++) {
    const at = row * dim;
    let squares = 0;
    for (let i = 0; i < dim; i++) squares += x.data[at + i] ** 2;
    const r = 1 / Math.sqrt(squares / dim + eps);
    rstd.data[row] = r;
    for (let i = 0; i < dim; i++) y.data[at + i] = x.data[at + i] * r * weight.data[i];
  }
}

function checkResidual(x: View, residual: View): void {
  if (sameShape(x.shape, residual.shape) && x.dtype === residual.dtype) return;
  throw new ShapeError(
    `addRmsNorm: the residual does not fit the input, ${
      formatShape(residual.shape)
    } ${residual.dtype} and ${formatShape(x.shape)} ${x.dtype}. Pass the same shape and type.`,
  );
}
