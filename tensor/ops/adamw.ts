/**
 * AdamW.
 *
 * @module
 */
import { sizeOf } from "../layout.ts";
import type { Op } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { addressOf } from "./address.ts";
import { checkAlike } from "./arena.ts";
import { overElements } from "./launch.ts";

/** One step of AdamW. */
export interface AdamwParams {
  /** Learning rate. */
  readonly lr: number;
  /** Decay of the mean of gradients. */
  readonly beta1: number;
  /** Decay of the mean of squared gradients. */
  readonly beta2: number;
  /** Added to the root of the mean square. */
  readonly eps: number;
  /** Share of `lr` by which parameters shrink. */
  readonly weightDecay: number;
  /** Only the first so many elements shrink. */
  readonly decayCount: number;
  /** Number of this step, from 1. */
  readonly step: number;
  /** Gradients are multiplied by this first. */
  readonly gradScale: number;
  /** Write a bf16 copy of the parameters as a fourth output. */
  readonly copy?: boolean;
}

/** The factors that do not depend on the element. */
function factors({ lr, beta1, beta2, weightDecay, step }: AdamwParams): {
  decay: number;
  stepSize: number;
  correction: number;
} {
  return {
    decay: 1 - lr * weightDecay,
    stepSize: lr / (1 - beta1 ** step),
    correction: Math.sqrt(1 - beta2 ** step),
  };
}

const defaults: AdamwParams = {
  lr: 0.1,
  beta1: 0.9,
  beta2: 0.95,
  eps: 1e-8,
  weightDecay: 0.1,
  decayCount: 0,
  step: 1,
  gradScale: 1,
};

const draw = (input: number, uniform: number): number => input === 3 ? uniform : 4 * uniform - 2;

/**
 * Master weights, gradient, m, v → the next master weights, m, v (Loshchilov and Hutter, "Decoupled Weight Decay
 * Regularization", algorithm 2, as `torch.optim.AdamW` computes it). With g = gradScale · gradient and t = step,
 *
 *     m ← m + (1 − β₁)(g − m)        v ← β₂·v + (1 − β₂)·g²
 *     w ← w·(1 − lr·weightDecay) − lr/(1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + eps)
 *
 * Every element is on its own, so the outputs of `callInto` may be the inputs.
 */
export const adamw: Op<AdamwParams, readonly [Tensor, Tensor, Tensor, Tensor]> = {
  name: "adamw",
  outputs: (inputs, { copy }) => {
    checkAlike("adamw", ["master", "gradient", "m", "v"], inputs);
    const [{ shape, dtype }] = inputs, like = { shape, dtype };
    return copy ? [like, like, like, { shape, dtype: "bf16" }] : [like, like, like];
  },
  reference: ([master, gradient, m, v], [newMaster, newM, newV, copy], params) => {
    const { beta1, beta2, eps, decayCount, gradScale } = params;
    const { decay, stepSize, correction } = factors(params);
    for (let i = 0; i < master.data.length; i++) {
      const g = gradient.data[i] * gradScale;
      const mean = m.data[i] + (1 - beta1) * (g - m.data[i]);
      const square = beta2 * v.data[i] + (1 - beta2) * g * g;
      const kept = master.data[i] * (i < decayCount ? decay : 1);
      newM.data[i] = mean;
      newV.data[i] = square;
      newMaster.data[i] = kept - stepSize * mean / (Math.sqrt(square) / correction + eps);
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
      const { beta1, beta2, eps, decayCount, gradScale } = params;
      const { decay, stepSize, correction } = factors(params);
      to.address(addressOf(newMaster)).address(addressOf(newM)).address(addressOf(newV));
      to.address(copy ? addressOf(copy) : 0);
      for (const x of inputs) to.address(addressOf(x));
      to.integer(sizeOf(newMaster.shape)).integer(decayCount).float(decay).float(gradScale);
      to.float(1 - beta1).float(beta2).float(1 - beta2).float(stepSize).float(correction).float(
        eps,
      );
    },
  },
  samples: [
    { shapes: [[5], [5], [5], [5]], params: defaults, draw },
    { shapes: [[1], [1], [1], [1]], params: { ...defaults, step: 1000, gradScale: 0.25 }, draw },
    { shapes: [[0], [0], [0], [0]], params: defaults, draw },
    {
      shapes: [[3001], [3001], [3001], [3001]],
      params: { ...defaults, decayCount: 1500, step: 3 },
      draw,
    },
    {
      shapes: [[40000], [40000], [40000], [40000]],
      params: { ...defaults, decayCount: 40000, beta1: 0, eps: 1e-3 },
      draw,
    },
  ],
};
