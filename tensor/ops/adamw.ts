/**
 * AdamW.
 *
 * @module
 */
import { ShapeError } from "../errors.ts";
import { formatShape, sameShape, sizeOf } from "../layout.ts";
import type { Op, Sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { addressOf } from "./address.ts";
import { checkAlike } from "./arena.ts";
import { overElements } from "./launch.ts";

/** What all steps of a run have in common. */
export interface AdamwParams {
  /** Decay of the mean of gradients. */
  readonly beta1: number;
  /** Decay of the mean of squared gradients. */
  readonly beta2: number;
  /** Added to the root of the mean square. */
  readonly eps: number;
  /** Only the first so many elements shrink. */
  readonly decayCount: number;
  /** Write a bf16 copy of the parameters as a fourth output. */
  readonly copy?: boolean;
}

/** What the tensor of factors holds, in this order: one step's numbers that are the same for all elements. */
export const adamwFactors = ["decay", "stepSize", "correction", "gradScale", "applied"] as const;

const defaults: AdamwParams = { beta1: 0.9, beta2: 0.95, eps: 1e-8, decayCount: 0 };

/** A first step, one much later, and one that is left out. */
const first = [0.99, 1, 0.25, 1, 1], later = [0.99, 0.1, 1, 0.25, 1], none = [0, 9, 9, NaN, 0];

function sampleOf(
  size: number,
  factors: readonly number[],
  params: Partial<AdamwParams> = {},
): Sample<AdamwParams, AdamwInputs> {
  return {
    shapes: [[size], [size], [size], [size], [factors.length]],
    params: { ...defaults, ...params },
    dtypes: [null, null, null, null, "f32"],
    draw: (input, uniform, index) => {
      if (input === 4) return factors[index];
      return input === 3 ? uniform : 4 * uniform - 2;
    },
  };
}

/** Arenas of one shape, and the factors. */
type AdamwInputs = readonly [
  ...readonly [master: Tensor, gradient: Tensor, m: Tensor, v: Tensor],
  factors: Tensor,
];

/**
 * Master weights, gradient, m, v → the next master weights, m, v (Loshchilov and Hutter, "Decoupled Weight Decay
 * Regularization", algorithm 2, as `torch.optim.AdamW` computes it). With g = gradScale · gradient and step t,
 *
 *     m ← m + (1 − β₁)(g − m)        v ← β₂·v + (1 − β₂)·g²
 *     w ← w·decay − stepSize · m / (√v / correction + eps)
 *
 * where decay = 1 − lr·weightDecay, stepSize = lr/(1 − β₁ᵗ) and correction = √(1 − β₂ᵗ). These factors, which differ from
 * step to step, are a tensor, f32 [5], so that a device can compute them: see `adamwFactors` and the op stepFactors. A step
 * that is not `applied` leaves everything as it is, whatever the gradient holds.
 *
 * Every element is on its own, so the outputs of `callInto` may be the inputs.
 */
export const adamw: Op<AdamwParams, AdamwInputs> = {
  name: "adamw",
  outputs: (inputs, { copy }) => {
    checkAlike("adamw", ["master", "gradient", "m", "v"], inputs.slice(0, 4));
    const [{ shape, dtype }] = inputs, like = { shape, dtype }, factors = inputs[4];
    if (factors.dtype !== "f32" || !sameShape(factors.shape, [adamwFactors.length])) {
      throw new ShapeError(
        `adamw: the factors are ${factors.dtype} ${formatShape(factors.shape)}, not f32 ` +
          `(${sizeOf(factors.shape)} vs ${adamwFactors.length}). Pass ${adamwFactors.join(", ")}.`,
      );
    }
    return copy ? [like, like, like, { shape, dtype: "bf16" }] : [like, like, like];
  },
  reference: ([master, gradient, m, v, factors], [newMaster, newM, newV, copy], params) => {
    const { beta1, beta2, eps, decayCount } = params;
    const [decay, stepSize, correction, gradScale, applied] = factors.data;
    for (let i = 0; i < master.data.length; i++) {
      [newMaster.data[i], newM.data[i], newV.data[i]] = [master.data[i], m.data[i], v.data[i]];
      if (applied !== 0) {
        const g = gradient.data[i] * gradScale;
        const mean = m.data[i] + (1 - beta1) * (g - m.data[i]);
        const square = beta2 * v.data[i] + (1 - beta2) * g * g;
        const kept = master.data[i] * (i < decayCount ? decay : 1);
        newM.data[i] = mean;
        newV.data[i] = square;
        newMaster.data[i] = kept - stepSize * mean / (Math.sqrt(square) / correction + eps);
      }
      if (copy) copy.data[i] = newMaster.data[i];
    }
  },
  kernel: {
    source: new URL("./adamw.c", import.meta.url),
    entry: "adamw",
    cuda: {
      source: new URL("./adamw.cu", import.meta.url),
      launches: (_, [newMaster]) => [overElements(sizeOf(newMaster.shape))],
    },
    arguments: (to, inputs, [newMaster, newM, newV, copy], params) => {
      const { beta1, beta2, eps, decayCount } = params;
      to.address(addressOf(newMaster)).address(addressOf(newM)).address(addressOf(newV));
      to.address(copy ? addressOf(copy) : 0);
      for (const x of inputs) to.address(addressOf(x));
      to.integer(sizeOf(newMaster.shape)).integer(decayCount);
      to.float(1 - beta1).float(beta2).float(1 - beta2).float(eps);
    },
  },
  samples: [
    sampleOf(5, first),
    sampleOf(1, later),
    sampleOf(0, first),
    sampleOf(3001, later, { decayCount: 1500 }),
    sampleOf(3001, none, { decayCount: 1500 }),
    sampleOf(40000, first, { decayCount: 40000, beta1: 0, eps: 1e-3 }),
  ],
};
