/**
 * What an optimizer does to flat arenas of parameters, in place: one launch each, whatever the number of parameters.
 *
 * @module
 */
import { noGrad } from "./autograd.ts";
import type { DeviceName } from "./device.ts";
import * as ops from "./ops/mod.ts";
import { scope } from "./scope.ts";
import { call, callInto, Tensor } from "./tensor.ts";

/** Arenas that a step reads and writes; all have one shape. */
export interface StepArena {
  /** The parameters, f32. */
  readonly master: Tensor;
  /** Their gradient, f32; it is only read. */
  readonly gradient: Tensor;
  /** The parameters again as bf16, to compute with; written in the same pass. */
  readonly copy?: Tensor;
}

/** What AdamW keeps between steps; zeros before the first one. */
export interface AdamwArena extends StepArena {
  /** Running mean of the gradient. */
  readonly m: Tensor;
  /** Running mean of its square. */
  readonly v: Tensor;
}

/** What gradient descent with momentum keeps between steps. */
export interface SgdArena extends StepArena {
  /** The running sum of gradients, zeros before the first step; may be left out without momentum. */
  readonly velocity?: Tensor;
}

/** What all steps take. */
export interface StepOptions {
  /** Learning rate. */
  readonly lr: number;
  /** Only the first so many elements decay; all by default. */
  readonly decayCount?: number;
  /** Gradients are multiplied by this first, as for clipping; 1 by default. */
  readonly gradScale?: number;
}

/** What steps of AdamW have in common; the defaults are PyTorch's. */
export interface AdamwConstants {
  /** Decay of the mean of gradients; 0.9 by default. */
  readonly beta1?: number;
  /** Decay of the mean of squared gradients; 0.999 by default. */
  readonly beta2?: number;
  /** Added to the root of the mean square; 1e-8 by default. */
  readonly eps?: number;
}

/** One step of AdamW. */
export interface AdamwOptions extends StepOptions, AdamwConstants {
  /** Number of this step, from 1. */
  readonly step: number;
  /** Share of `lr` by which parameters shrink; 0.01 by default. */
  readonly weightDecay?: number;
}

/** One step of AdamW whose numbers the device has computed. */
export interface AdamwFactorOptions extends AdamwConstants, Pick<StepOptions, "decayCount"> {
  /** As `StepControl` has them. */
  readonly factors: Tensor;
}

/** One step of gradient descent; the defaults are PyTorch's. */
export interface SgdOptions extends StepOptions {
  /** Decay of the velocity; 0 by default. */
  readonly momentum?: number;
  /** Step from where the velocity leads; false by default. */
  readonly nesterov?: boolean;
  /** Times the parameters, added to their gradient; 0 by default. */
  readonly weightDecay?: number;
}

/**
 * One step of AdamW (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", as `torch.optim.AdamW` computes it):
 * `master`, `m`, `v` and `copy` are updated in place.
 *
 * Throws ShapeError or DTypeError when the arenas differ.
 *
 * @example
 * ```ts
 * import { adamw, Tensor } from "@denotron/denotron/tensor";
 * import assert from "node:assert/strict";
 *
 * using master = Tensor.from([1, -1]), gradient = Tensor.from([0.5, -2]);
 * using m = Tensor.zeros([2]), v = Tensor.zeros([2]);
 * adamw({ master, gradient, m, v }, { lr: 0.25, weightDecay: 0, step: 1 });
 * const [first, second] = master.data(); // the first step is lr against the gradient's sign
 * assert.ok(Math.abs(first - 0.75) < 1e-6 && Math.abs(second + 0.75) < 1e-6);
 * ```
 */
export function adamw(arena: AdamwArena, options: AdamwOptions | AdamwFactorOptions): void {
  const { master, gradient, m, v, copy } = arena;
  const { decayCount = master.size, beta1 = 0.9, beta2 = 0.999, eps = 1e-8 } = options;
  const outputs = copy ? [master, m, v, copy] : [master, m, v];
  const params = { beta1, beta2, eps, decayCount, copy: copy !== undefined };
  scope(() => {
    const factors = "factors" in options ? options.factors : factorsOf(options, master.device);
    callInto(ops.adamw, [master, gradient, m, v, factors], outputs, params);
  });
}

/** The factors of a step that counts. */
function factorsOf(options: AdamwOptions, device: DeviceName): Tensor {
  const { lr, step, gradScale = 1, beta1 = 0.9, beta2 = 0.999, weightDecay = 0.01 } = options;
  const [stepSize, correction] = [lr / (1 - beta1 ** step), Math.sqrt(1 - beta2 ** step)];
  return Tensor.from([1 - lr * weightDecay, stepSize, correction, gradScale, 1], [5], { device });
}

/**
 * One step of gradient descent, with momentum when there is a `velocity`, as `torch.optim.SGD` computes it: `master`,
 * `velocity` and `copy` are updated in place.
 *
 * Throws ShapeError or DTypeError when the arenas differ, TypeError for momentum without a velocity.
 *
 * @example
 * ```ts
 * import { sgd, Tensor } from "@denotron/denotron/tensor";
 * import assert from "node:assert/strict";
 *
 * using master = Tensor.from([1, -1]), gradient = Tensor.from([2, 4]);
 * sgd({ master, gradient }, { lr: 0.25 });
 * assert.deepEqual([...master.data()], [0.5, -2]);
 * ```
 */
export function sgd(arena: SgdArena, options: SgdOptions): void {
  const { master, gradient, velocity, copy } = arena;
  const { lr, decayCount = master.size, gradScale = 1 } = options;
  const { momentum = 0, nesterov = false, weightDecay = 0 } = options;
  if (momentum !== 0 && !velocity) {
    throw new TypeError(`sgd: momentum (${momentum}) needs a velocity. Pass one of zeros.`);
  }
  const outputs = [master, velocity, copy].filter((x) => x !== undefined);
  callInto(ops.sgd, velocity ? [master, gradient, velocity] : [master, gradient], outputs, {
    lr,
    momentum,
    nesterov,
    weightDecay,
    decayCount,
    gradScale,
    copy: copy !== undefined,
  });
}

/**
 * average ← decay · average + (1 − decay) · values, in place.
 *
 * Throws ShapeError or DTypeError when the two differ.
 *
 * @example
 * ```ts
 * import { ema, Tensor } from "@denotron/denotron/tensor";
 * import assert from "node:assert/strict";
 *
 * using average = Tensor.from([0, 4]), values = Tensor.from([1, 0]);
 * ema(average, values, 0.75);
 * assert.deepEqual([...average.data()], [0.25, 3]);
 * ```
 */
export function ema(average: Tensor, values: Tensor, decay: number): void {
  callInto(ops.ema, [average, values], [average], { decay });
}

/**
 * √(Σ x²) of a gradient arena, as a number: NaN or infinite when an element is. Its bits do not depend on the number of
 * threads. Waits for the device.
 *
 * @example
 * ```ts
 * import { globalNorm, Tensor } from "@denotron/denotron/tensor";
 * import assert from "node:assert/strict";
 *
 * using gradient = Tensor.from([3, 4]);
 * assert.equal(globalNorm(gradient), 5);
 * ```
 */
export function globalNorm(gradient: Tensor): number {
  return noGrad(() => scope(() => call(ops.globalNorm, [gradient], undefined)[0].item()));
}

/**
 * The factor that brings a gradient of this norm down to at most `maxNorm`: min(1, maxNorm / norm). Given to a step as
 * `gradScale` it clips without another pass over the gradient. A norm that is not finite clips to nothing useful: skip
 * the step.
 *
 * @example
 * ```ts
 * import { clipScale } from "@denotron/denotron/tensor";
 * import assert from "node:assert/strict";
 *
 * assert.equal(clipScale(4, 1), 0.25);
 * assert.equal(clipScale(0.5, 1), 1);
 * ```
 */
export function clipScale(norm: number, maxNorm: number): number {
  return norm > maxNorm ? maxNorm / norm : 1;
}

/**
 * Scale a gradient arena in place so that its norm is at most `maxNorm`. Returns the norm from before, as a number; when
 * that is not finite, nothing is changed.
 *
 * @example
 * ```ts
 * import { clipByGlobalNorm, Tensor } from "@denotron/denotron/tensor";
 * import assert from "node:assert/strict";
 *
 * using gradient = Tensor.from([6, 8]);
 * assert.equal(clipByGlobalNorm(gradient, 5), 10);
 * assert.deepEqual([...gradient.data()], [3, 4]);
 * ```
 */
export function clipByGlobalNorm(gradient: Tensor, maxNorm: number): number {
  const norm = globalNorm(gradient), number = clipScale(norm, maxNorm);
  if (Number.isFinite(norm) && number < 1) callInto(ops.mul, [gradient], [gradient], { number });
  return norm;
}
