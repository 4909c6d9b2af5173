/**
 * AdamW over everything a model trains.
 *
 * @module
 */
import type { Module, ParameterArena } from "../nn/mod.ts";
import {
  adamw,
  type AdamwConstants,
  globalNorm,
  noGrad,
  scope,
  StepControl,
  type StepOutcome,
  type StepSettings,
  Tensor,
} from "../tensor/mod.ts";

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
 * each run of parameters that are not frozen, which is one launch in all unless some are. Whatever changes from step to
 * step lies in memory of the device.
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
  readonly #constants: Required<AdamwConstants>;
  readonly #weightDecay: number;
  readonly #control: StepControl;

  /** Zeros for what `model` trains. Throws TypeError when it trains nothing. */
  constructor(model: Module, options: OptimizerOptions = {}) {
    const { beta1 = 0.9, beta2 = 0.95, eps = 1e-8, weightDecay = 0.1 } = options;
    [this.#constants, this.#weightDecay] = [{ beta1, beta2, eps }, weightDecay];
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
    this.#control = new StepControl({ device: this.arenas[0].master.device });
  }

  /** Steps since the means were zero: what their bias is corrected by. Waits for the device. */
  get step(): number {
    return this.#control.outcome().step;
  }

  /** The means by name, for checkpoints. */
  state(): Map<string, Tensor> {
    return new Map(
      this.#moments.flatMap(({ m, v }, i) => [[`${i}.m`, m], [`${i}.v`, v]] as const),
    );
  }

  /** Goes on as after this step, once the tensors of `state()` have been filled. */
  restore(step: number): void {
    this.#control.restore(step);
  }

  /** Forgets all gradients. */
  zeroGrad(): void {
    for (const arena of this.arenas) arena.zeroGrad();
  }

  /** √(Σ g²) of all gradients: NaN or infinite when one is. Waits for the device. */
  gradNorm(): number {
    return Math.hypot(...this.arenas.map(({ gradient }) => globalNorm(gradient)));
  }

  /** One step on the gradients, scaled down to `maxGradNorm` first; none when they are not finite. */
  update(lr: number, maxGradNorm: number = Infinity): void {
    this.prepare({ lr, largestNorm: maxGradNorm, largestLoss: Infinity });
    scope(() => this.apply(Tensor.zeros([0], { device: this.arenas[0].master.device })));
  }

  /** Sets the numbers of the next step: one with a larger loss is left out. */
  prepare(settings: Pick<StepSettings, "lr" | "largestNorm" | "largestLoss">): void {
    const { beta1, beta2 } = this.#constants;
    this.#control.set({ ...settings, beta1, beta2, weightDecay: this.#weightDecay });
  }

  /**
   * The step itself, with its losses, f32 [n], and the norm of the gradients where that is known. It reads nothing, so it
   * can be captured as a CUDA graph. To be called in a scope.
   */
  apply(losses: Tensor, norm?: number): void {
    this.#control.decide(losses, norm ?? this.arenas.map(({ gradient }) => gradient));
    const { factors } = this.#control;
    for (const moments of this.#moments) {
      for (const { start, end, decayCount } of moments.arena.trainable()) {
        const options = { ...this.#constants, factors, decayCount };
        noGrad(() => scope(() => adamw(partOf(moments, start, end), options)));
      }
    }
  }

  /** How the last step went. Waits for it. */
  outcome(): StepOutcome {
    return this.#control.outcome();
  }

  /** Forgets the means, as after LN-Ultra's gradients exploded (2505.00949, section 4). */
  reset(): void {
    this.#control.restore(0);
    for (const mean of this.state().values()) mean.fill(0);
  }

  /** Gives the memory of the means back. */
  [Symbol.dispose](): void {
    this.#control[Symbol.dispose]();
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
