/**
 * AdamW over everything a model trains.
 *
 * @module
 */
import type { Module, ParameterArena } from "../nn/mod.ts";
import { adamw, type AdamwOptions, globalNorm, noGrad, scope, Tensor } from "../tensor/mod.ts";

/** What AdamW keeps the same from step to step. */
export interface OptimizerOptions {
  /** Decay of the mean of gradients; 0.9 by default. */
  readonly beta1?: number;
  /** Decay of the mean of squared gradients; 0.95 by default. */
  readonly beta2?: number;
  /** Added to the root of the mean square; 1e-8 by default. */
  readonly eps?: number;
  /** Share of the learning rate by which matrices shrink; 0.1 by default. Vectors, such as norms, do not. */
  readonly weightDecay?: number;
}

/** An arena and its means. */
interface Moments {
  readonly arena: ParameterArena;
  readonly m: Tensor;
  readonly v: Tensor;
}

/**
 * AdamW (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2017) over the arenas of a model: one launch for
 * each run of parameters that are not frozen, which is one launch in all unless some are.
 *
 * @example
 * ```ts
 * import { Linear, normal, parameter, ParameterArena } from "@denotron/denotron/nn";
 * import { scope, Tensor } from "@denotron/denotron/tensor";
 * import { AdamW } from "@denotron/denotron/train";
 * import assert from "node:assert/strict";
 *
 * using layer = new Linear(parameter([1, 2], normal(0)));
 * ParameterArena.adopt(layer);
 * using optimizer = new AdamW(layer);
 * scope(() => layer.forward(Tensor.ones([1, 2])).sum().backward());
 * optimizer.update(0.5); // the first step is lr against the gradient's sign
 * const [first] = layer.weight.detach().data();
 * assert.ok(Math.abs(first + 0.5) < 1e-6);
 * ```
 */
export class AdamW implements Disposable {
  /** The arenas that have something to train. */
  readonly arenas: readonly ParameterArena[];
  readonly #moments: readonly Moments[];
  readonly #options: Omit<AdamwOptions, "lr" | "step">;
  #step = 0;

  /** Zeros for what `model` trains. Throws TypeError when it trains nothing. */
  constructor(model: Module, options: OptimizerOptions = {}) {
    const { beta1 = 0.9, beta2 = 0.95, eps = 1e-8, weightDecay = 0.1 } = options;
    this.#options = { beta1, beta2, eps, weightDecay };
    this.arenas = model.arenas().filter((arena) => arena.trainable().length > 0);
    if (this.arenas.length === 0) {
      throw new TypeError(
        `AdamW: the model has nothing to train (${model.arenas().length} arenas, all frozen). ` +
          `Load it with train: true, unfreeze it, or add adapters.`,
      );
    }
    this.#moments = this.arenas.map((arena) => ({
      arena,
      m: Tensor.zeros(arena.master.shape).keep(),
      v: Tensor.zeros(arena.master.shape).keep(),
    }));
  }

  /** Steps since the means were zero: what their bias is corrected by. */
  get step(): number {
    return this.#step;
  }

  /** The means by name, for checkpoints. */
  state(): Map<string, Tensor> {
    return new Map(
      this.#moments.flatMap(({ m, v }, i) => [[`${i}.m`, m], [`${i}.v`, v]] as const),
    );
  }

  /** Goes on as after this step, once the tensors of `state()` have been filled. */
  restore(step: number): void {
    this.#step = step;
  }

  /** Forgets all gradients. */
  zeroGrad(): void {
    for (const arena of this.arenas) arena.zeroGrad();
  }

  /** √(Σ g²) of all gradients: NaN or infinite when one is. */
  gradNorm(): number {
    return Math.hypot(...this.arenas.map(({ gradient }) => globalNorm(gradient)));
  }

  /** One step on the gradients, multiplied by `gradScale` first, as for clipping. */
  update(lr: number, gradScale = 1): void {
    this.#step++;
    for (const moments of this.#moments) {
      for (const { start, end, decayCount } of moments.arena.trainable()) {
        const options = { ...this.#options, lr, gradScale, decayCount, step: this.#step };
        noGrad(() => scope(() => adamw(partOf(moments, start, end), options)));
      }
    }
  }

  /** Forgets the means, as after LN-Ultra's gradients exploded (2505.00949, section 4). */
  reset(): void {
    this.#step = 0;
    for (const mean of this.state().values()) mean.fill(0);
  }

  /** Gives the memory of the means back. */
  [Symbol.dispose](): void {
    for (const mean of this.state().values()) mean[Symbol.dispose]();
  }
}

/** Elements `start` to `end` of an arena and its means. */
function partOf(
  { arena: { master, gradient, compute }, m, v }: Moments,
  start: number,
  end: number,
): Parameters<typeof adamw>[0] {
  const part = (flat: Tensor): Tensor => flat.slice(0, start, end);
  const arena = { master: part(master), gradient: part(gradient), m: part(m), v: part(v) };
  return compute === master ? arena : { ...arena, copy: part(compute) };
}
