/**
 * Layer normalisation over the last axis (Ba, Kiros & Hinton, 2016), with weights stored as they are or around 0.
 *
 * @module
 */
import type { Shape } from "../layout.ts";
import type { Op, Sample, Ternary } from "../op.ts";
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

/** How weights are stored. */
export interface LayerNormOptions {
  /** Multiply by 1 + weight (Nemotron's LayerNorm1P); off by default. */
  readonly onePlus?: boolean;
}

/** How to normalise, and how weights are stored. */
interface LayerNormParams extends NormParams {
  readonly onePlus: boolean;
}

type BackwardParams = NormBackwardParams & Pick<LayerNormParams, "onePlus">;
type BackwardInputs = readonly [g: Tensor, x: Tensor, weight: Tensor, mean: Tensor, rstd: Tensor];

const source = new URL("./layer_norm.c", import.meta.url);
const cudaSource = new URL("./layer_norm.cu", import.meta.url);
const eps = 1e-5;
const shapes: readonly Shape[] = [[3, 5], [1], [2, 3, 33], [67, 16], [130, 300], [0, 4], [3, 0]];

/** Gradient of x, and those of weight and bias as one sum for each block of rows. */
const layerNormBackward: Op<BackwardParams, BackwardInputs> = {
  name: "layerNormBackward",
  outputs: ([g, x], { weights }) => {
    const partials = partialsOf(x, weights);
    return [{ shape: x.shape, dtype: g.dtype }, partials, partials];
  },
  reference: ([g, x, weight, mean, rstd], [dx, weightSums, biasSums], { weights, onePlus }) => {
    const { rows, dim } = rowsOf(x.shape), shift = onePlus ? 1 : 0;
    weightSums.data.fill(0);
    biasSums.data.fill(0);
    for (let row = 0; row < rows; row++) {
      const at = row * dim, block = Math.floor(row / rowsPerBlock) * dim;
      const normed = (i: number): number => (x.data[at + i] - mean.data[row]) * rstd.data[row];
      let sum = 0, products = 0;
      for (let i = 0; i < dim; i++) {
        const h = g.data[at + i] * (shift + weight.data[i]);
        sum += h;
        products += h * normed(i);
      }
      for (let i = 0; i < dim; i++) {
        const h = g.data[at + i] * (shift + weight.data[i]);
        dx.data[at + i] = rstd.data[row] * (h - sum / dim - normed(i) * products / dim);
        if (!weights) continue;
        weightSums.data[block + i] += g.data[at + i] * normed(i);
        biasSums.data[block + i] += g.data[at + i];
      }
    }
  },
  kernel: {
    source,
    entry: "layer_norm_backward",
    cuda: {
      source: cudaSource,
      launches: ([, x]) => [blockForEach(Math.ceil(rowsOf(x.shape).rows / rowsPerBlock))],
    },
    arguments: (to, [g, x, weight, mean, rstd], [dx, ...sums], { weights, onePlus }) => {
      const { rows, dim } = rowsOf(x.shape);
      to.address(addressOf(dx));
      for (const partials of sums) to.address(weights ? addressOf(partials) : 0);
      for (const input of [g, x, weight, mean, rstd]) to.address(addressOf(input));
      to.integer(rows).integer(dim).integer(rowsPerBlock).float(onePlus ? 1 : 0);
    },
  },
  samples: shapes.flatMap((shape) =>
    [true, false].map((weights): Sample<BackwardParams, BackwardInputs> => ({
      shapes: [shape, shape, shape.slice(-1), shape.slice(0, -1), shape.slice(0, -1)],
      params: { weights, onePlus: !weights },
      dtypes: [null, null, null, "f32", "f32"],
    }))
  ),
};

/**
 * y = (x − mean)·r·weight + bias with r = 1/√(variance + eps) of each row; 1 + weight instead of weight where `onePlus`.
 * `x`: [..., dim], `weight` and `bias`: [dim]. Outputs y, the mean and r (f32).
 */
export const layerNorm: Ternary<LayerNormParams> = {
  name: "layerNorm",
  outputs: ([x, weight, bias]) => {
    checkNorm("layerNorm", x, { weight, bias });
    return [{ shape: x.shape, dtype: x.dtype }, perRow(x), perRow(x)];
  },
  reference: ([x, weight, bias], [y, means, rstd], { eps, onePlus }) => {
    const { rows, dim } = rowsOf(x.shape), shift = onePlus ? 1 : 0;
    for (let row = 0; row < rows; row++) {
      const at = row * dim;
      let sum = 0, squares = 0;
      for (let i = 0; i < dim; i++) sum += x.data[at + i];
      const mean = sum / dim;
      for (let i = 0; i < dim; i++) squares += (x.data[at + i] - mean) ** 2;
      const r = 1 / Math.sqrt(squares / dim + eps);
      for (let i = 0; i < dim; i++) {
        y.data[at + i] = (x.data[at + i] - mean) * r * (shift + weight.data[i]) + bias.data[i];
      }
      means.data[row] = mean;
      rstd.data[row] = r;
    }
  },
  kernel: {
    source,
    entry: "layer_norm",
    cuda: {
      source: cudaSource,
      launches: ([x]) => [overRows(rowsOf(x.shape).rows, rowsOf(x.shape).dim)],
    },
    arguments: (to, inputs, outputs, { eps, onePlus }) => {
      const { rows, dim } = rowsOf(inputs[0].shape);
      for (const tensor of [...outputs, ...inputs]) to.address(addressOf(tensor));
      to.integer(rows).integer(dim).float(onePlus ? 1 : 0).float(eps);
    },
  },
  saves: { inputs: [0, 1], outputs: [1, 2] },
  constantOutputs: [1, 2],
  companions: [layerNormBackward],
  vjp: ([g], context) => {
    const { inputs: [x, weight], outputs: [, mean, rstd], needs, params, apply } = context;
    const weights = needs[1] || needs[2], { onePlus } = params;
    const inputs = [g, x, weight, mean, rstd] as const;
    const [dx, weightSums, biasSums] = apply(layerNormBackward, inputs, { weights, onePlus });
    return [
      dx,
      needs[1] ? addPartials(weightSums, 1, context) : null,
      needs[2] ? addPartials(biasSums, 2, context) : null,
    ];
  },
  samples: shapes.flatMap((shape) =>
    [false, true].map((onePlus): Sample<LayerNormParams, readonly [Tensor, Tensor, Tensor]> => ({
      shapes: [shape, shape.slice(-1), shape.slice(-1)],
      params: { eps, onePlus },
    }))
  ),
};
