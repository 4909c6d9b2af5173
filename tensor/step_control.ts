/**
 * The numbers of a training step, kept where the gradients are.
 *
 * @module
 */
import { noGrad } from "./autograd.ts";
import type { DeviceName } from "./device.ts";
import { encode } from "./dtype.ts";
import * as ops from "./ops/mod.ts";
import { stepOutcome, stepSettings } from "./ops/step_factors.ts";
import { adamwFactors } from "./ops/adamw.ts";
import { call, callInto, Tensor } from "./tensor.ts";

/** What the host says of a step of AdamW. */
export interface StepSettings {
  /** Learning rate. */
  readonly lr: number;
  /** The gradient is scaled down to this norm; Infinity leaves it. */
  readonly largestNorm: number;
  /** A step with a larger loss is left out. */
  readonly largestLoss: number;
  /** Decay of the mean of gradients. */
  readonly beta1: number;
  /** Decay of the mean of squared gradients. */
  readonly beta2: number;
  /** Share of `lr` by which parameters shrink. */
  readonly weightDecay: number;
}

/** How a step went. */
export interface StepOutcome {
  /** The sum of its losses. */
  readonly loss: number;
  /** The norm of its gradients. */
  readonly gradNorm: number;
  /** Whether it changed the weights. */
  readonly applied: boolean;
  /** Steps that did, so far. */
  readonly step: number;
}

/**
 * Learning rate, limits, the number of the step and what follows from them, in memory of the device: whether a step
 * counts, how far gradients are clipped and how AdamW's means are corrected is decided there, so that nobody waits within
 * a step and a graph can repeat it.
 *
 * @example
 * ```ts
 * import { adamw, scope, StepControl, Tensor } from "@denotron/denotron/tensor";
 * import assert from "node:assert/strict";
 *
 * using master = Tensor.from([1, -1]), gradient = Tensor.from([3, -4]);
 * using m = Tensor.zeros([2]), v = Tensor.zeros([2]), control = new StepControl();
 * const settings = { lr: 0.25, largestNorm: 1, largestLoss: Infinity, beta1: 0.9, beta2: 0.95, weightDecay: 0 };
 * control.set(settings);
 * scope(() => control.decide(Tensor.from([2.5]), [gradient]));
 * adamw({ master, gradient, m, v }, { factors: control.factors, beta2: 0.95 });
 * assert.deepEqual(control.outcome(), { loss: 2.5, gradNorm: 5, applied: true, step: 1 });
 * assert.ok(Math.abs(master.data()[0] - 0.75) < 1e-6);
 * ```
 */
export class StepControl implements Disposable {
  /** What `adamw` takes, f32 [5]; written by `decide()`. */
  readonly factors: Tensor;
  readonly #settings: Tensor;
  readonly #outcome: Tensor;

  /** No step was made yet. */
  constructor(device: { readonly device?: DeviceName } = {}) {
    this.factors = Tensor.zeros([adamwFactors.length], device).keep();
    const numbers = { ...device, dtype: "f64" } as const;
    this.#settings = Tensor.zeros([stepSettings.length], numbers).keep();
    this.#outcome = Tensor.zeros([stepOutcome.length], numbers).keep();
  }

  /** Sets the numbers of the next step. A step counts when loss and norm are finite and the loss is at most `largestLoss`. */
  set(settings: StepSettings): void {
    write(this.#settings, stepSettings.map((name) => settings[name]));
  }

  /** Sets how many steps were made. */
  restore(step: number): void {
    write(this.#outcome, [0, 0, 0, step]);
  }

  /**
   * Decides about a step with these losses, f32 [n], and gradients, or with the norm that those are known to have. Waits
   * for nothing. To be called in a scope.
   */
  decide(losses: Tensor, gradients: readonly Tensor[] | number): void {
    noGrad(() => {
      const norms = typeof gradients === "number"
        ? Tensor.from([gradients], [1], { device: losses.device })
        : Tensor.stack(gradients.map((x) => call(ops.globalNorm, [x], undefined)[0]));
      const inputs = [losses, norms, this.#settings, this.#outcome] as const;
      callInto(ops.stepFactors, inputs, [this.factors, this.#outcome], undefined);
    });
  }

  /** How the last step went. Waits for it. */
  outcome(): StepOutcome {
    const [loss, gradNorm, applied, step] = this.#outcome.data();
    return { loss, gradNorm, applied: applied !== 0, step };
  }

  /** Gives the memory back. Safe to call twice. */
  [Symbol.dispose](): void {
    for (const own of [this.factors, this.#settings, this.#outcome]) own[Symbol.dispose]();
  }
}

/** Overwrites a tensor of f64. */
function write({ storage, dtype }: Tensor, values: readonly number[]): void {
  const bytes = new Uint8Array(8 * values.length);
  encode(dtype, values, bytes.buffer, 0);
  storage.backend.write(storage, 0, bytes);
}
