/**
 * How often a model is right, and how sure that is.
 *
 * @module
 */
import { RandomKey } from "../../tensor/mod.ts";

/** A figure and the interval that it lies in with some confidence. */
export interface Estimate {
  /** The figure itself. */
  readonly value: number;
  /** Where the interval begins. */
  readonly low: number;
  /** Where the interval ends. */
  readonly high: number;
}

/**
 * The probability that at least one of `k` samples is right, from `samples` of which `correct` are: 1 − C(n − c, k) / C(n, k),
 * which is not biased (Chen et al., "Evaluating large language models trained on code", 2021). Throws RangeError for more
 * samples wanted than there are.
 *
 * @example
 * ```ts
 * import { passAtK } from "@denotron/denotron/train";
 * import assert from "node:assert/strict";
 *
 * assert.equal(passAtK(4, 1, 2), 0.5);
 * assert.equal(passAtK(4, 3, 2), 1);
 * ```
 */
export function passAtK(samples: number, correct: number, k: number): number {
  if (!(k >= 1 && k <= samples) || correct < 0 || correct > samples) {
    throw new RangeError(`passAtK: ${k} of ${samples} samples, ${correct} right, is impossible.`);
  }
  let allWrong = 1;
  for (let i = 0; i < k; i++) allWrong *= Math.max(0, samples - correct - i) / (samples - i);
  return 1 - allWrong;
}

/**
 * The share of successes with Wilson's score interval, which holds for few trials and for shares near 0 and 1 as well.
 * `z` is the normal quantile of the confidence: 1.96 for 95 %.
 */
export function wilsonInterval(successes: number, trials: number, z = 1.959964): Estimate {
  if (trials === 0) return { value: NaN, low: 0, high: 1 };
  const share = successes / trials, square = z * z / trials;
  const center = (share + square / 2) / (1 + square);
  const half = z * Math.sqrt(share * (1 - share) / trials + square / (4 * trials)) / (1 + square);
  return {
    value: share,
    low: successes === 0 ? 0 : center - half,
    high: successes === trials ? 1 : center + half,
  };
}

/** How a bootstrap is drawn. */
export interface BootstrapOptions {
  /** Resamples; 2,000 by default. */
  readonly resamples?: number;
  /** Share of resamples inside of the interval; 0.95 by default. */
  readonly confidence?: number;
  /** Decides the resamples; 0 by default. */
  readonly seed?: number;
}

/**
 * The mean with its percentile bootstrap interval: problems are drawn again with replacement, each with the figure that its
 * samples have, so that samples of one problem do not count as independent (Efron, 1979).
 */
export function bootstrapMean(
  figures: readonly number[],
  { resamples = 2000, confidence = 0.95, seed = 0 }: BootstrapOptions = {},
): Estimate {
  const count = figures.length, key = new RandomKey(seed).derive("bootstrap");
  if (count === 0) return { value: NaN, low: NaN, high: NaN };
  const means = Float64Array.from({ length: resamples }, (_, resample) => {
    let sum = 0;
    for (let i = 0; i < count; i++) {
      sum += figures[Math.floor(key.uniform(resample * count + i) * count)];
    }
    return sum / count;
  }).sort();
  const at = (share: number): number =>
    means[Math.min(resamples - 1, Math.floor(share * resamples))];
  return {
    value: figures.reduce((sum, figure) => sum + figure, 0) / count,
    low: at((1 - confidence) / 2),
    high: at((1 + confidence) / 2),
  };
}
