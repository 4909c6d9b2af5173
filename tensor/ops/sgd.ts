/**
 * Stochastic gradient descent.
 *
 * @module
 */
import { sizeOf } from "../layout.ts";
import type { Op } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { addressOf } from "./address.ts";
import { checkAlike } from "./arena.ts";
import { overElements } from "./launch.ts";

/** One step of gradient descent. */
export interface SgdParams {
  /** Learning rate. */
  readonly lr: number;
  /** Decay of the velocity. */
  readonly momentum: number;
  /** Step from where the velocity leads. */
  readonly nesterov: boolean;
  /** Times the parameters, added to their gradient. */
  readonly weightDecay: number;
  /** Only the first so many elements decay. */
  readonly decayCount: number;
  /** Gradients are multiplied by this first. */
  readonly gradScale: number;
  /** Write a bf16 copy of the parameters as the last output. */
  readonly copy?: boolean;
}

const defaults: SgdParams = {
  lr: 0.1,
  momentum: 0.9,
  nesterov: false,
  weightDecay: 0.1,
  decayCount: 0,
  gradScale: 1,
};

/**
 * Master weights and gradient, and velocity where there is momentum → the next master weights and velocity, as
 * `torch.optim.SGD` computes them (without dampening). With g = gradScale · gradient + weightDecay · w,
 *
 *     velocity ← momentum · velocity + g
 *     w ← w − lr · (velocity, or g + momentum · velocity for Nesterov, or g without a velocity)
 *
 * Every element is on its own, so the outputs of `callInto` may be the inputs.
 */
export const sgd: Op<SgdParams, readonly [Tensor, Tensor] | readonly [Tensor, Tensor, Tensor]> = {
  name: "sgd",
  outputs: (inputs, { copy }) => {
    checkAlike("sgd", ["master", "gradient", "velocity"], inputs);
    const [{ shape, dtype }] = inputs, like = { shape, dtype };
    const next = inputs.length === 3 ? [like, like] : [like];
    return copy ? [...next, { shape, dtype: "bf16" }] : next;
  },
  reference: ([master, gradient, velocity], [newMaster, ...others], params) => {
    const { lr, momentum, nesterov, weightDecay, decayCount, gradScale, copy } = params;
    for (let i = 0; i < master.data.length; i++) {
      const w = master.data[i];
      const g = gradient.data[i] * gradScale + (i < decayCount ? weightDecay : 0) * w;
      let step = g;
      if (velocity) {
        const next = momentum * velocity.data[i] + g;
        others[0].data[i] = next;
        step = nesterov ? g + momentum * next : next;
      }
      newMaster.data[i] = w - lr * step;
      if (copy) others.at(-1)!.data[i] = newMaster.data[i];
    }
  },
  kernel: {
    source: new URL("./sgd.c", import.meta.url),
    entry: "sgd",
    cuda: {
      source: new URL("./sgd.cu", import.meta.url),
      launches: (_, [newMaster]) => [overElements(sizeOf(newMaster.shape))],
    },
    arguments: (to, [master, gradient, velocity], [newMaster, ...others], params) => {
      const { lr, momentum, nesterov, weightDecay, decayCount, gradScale, copy } = params;
      to.address(addressOf(newMaster)).address(velocity ? addressOf(others[0]) : 0);
      to.address(copy ? addressOf(others.at(-1)!) : 0);
      to.address(addressOf(master)).address(addressOf(gradient));
      to.address(velocity ? addressOf(velocity) : 0);
      to.integer(sizeOf(newMaster.shape)).integer(decayCount).float(weightDecay).float(gradScale);
      to.float(momentum).integer(nesterov ? 1 : 0).float(lr);
    },
  },
  samples: [
    { shapes: [[5], [5]], params: defaults },
    { shapes: [[5], [5], [5]], params: { ...defaults, gradScale: 0.25 } },
    { shapes: [[1], [1], [1]], params: { ...defaults, nesterov: true } },
    { shapes: [[0], [0]], params: defaults },
    { shapes: [[5001], [5001]], params: { ...defaults, decayCount: 2500 } },
    {
      shapes: [[40000], [40000], [40000]],
      params: { ...defaults, decayCount: 33, nesterov: true },
    },
  ],
};
