/**
 * Averages of weights over the steps.
 *
 * @module
 */
import type { ParameterArena } from "../nn/mod.ts";
import { ema, type Tensor } from "../tensor/mod.ts";

/**
 * The exponential moving average of what is trained (Polyak and Juditsky, 1992): average ← decay · average + (1 − decay) ·
 * weights after each step, beginning with the weights themselves.
 *
 * @example
 * ```ts
 * import { ParameterArena } from "@denotron/denotron/nn";
 * import { WeightAverage } from "@denotron/denotron/train";
 * import assert from "node:assert/strict";
 *
 * using arena = new ParameterArena([{ name: "weight", shape: [1] }]);
 * using average = new WeightAverage([arena], 0.75);
 * arena.master.fill(4);
 * average.update();
 * average.apply();
 * assert.equal(arena.master.data()[0], 1); // 0.75 · 0 + 0.25 · 4
 * ```
 */
export class WeightAverage implements Disposable {
  readonly #averages: ReadonlyMap<ParameterArena, Tensor>;

  /** Averages that equal the weights of `arenas` now. Throws RangeError for a decay that is not in [0, 1). */
  constructor(arenas: readonly ParameterArena[], readonly decay: number) {
    if (!(decay >= 0 && decay < 1)) {
      throw new RangeError(
        `WeightAverage: the decay must be at least 0 and less than 1 (${decay}).`,
      );
    }
    this.#averages = new Map(arenas.map((arena) => [arena, arena.master.clone().keep()]));
  }

  /** The averages by name, for checkpoints. */
  state(): Map<string, Tensor> {
    return new Map([...this.#averages.values()].map((average, i) => [`${i}.average`, average]));
  }

  /** To be called after each step. */
  update(): void {
    for (const [{ master }, average] of this.#averages) ema(average, master, this.decay);
  }

  /** Puts the averages in the place of the weights. */
  apply(): void {
    for (const [arena, average] of this.#averages) setWeights(arena, average);
  }

  /** Runs `body` with the averages in the place of the weights, and puts those back bit for bit. */
  async during<T>(body: () => Promise<T>): Promise<T> {
    const weights = [...this.#averages.keys()].map((arena) =>
      [arena, arena.master.clone().keep()] as const
    );
    this.apply();
    try {
      return await body();
    } finally {
      for (const [arena, master] of weights) {
        setWeights(arena, master);
        master[Symbol.dispose]();
      }
    }
  }

  /** Gives the memory back. */
  [Symbol.dispose](): void {
    for (const average of this.#averages.values()) average[Symbol.dispose]();
  }
}

function setWeights(arena: ParameterArena, weights: Tensor): void {
  arena.master.assign(weights);
  arena.refresh();
}
