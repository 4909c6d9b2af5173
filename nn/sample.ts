/**
 * Choosing the next token.
 *
 * @module
 */

/** How a token is drawn from logits. */
export interface SampleOptions {
  /** Divides the logits; 0, the default, takes the most likely token. */
  readonly temperature?: number;
  /** Only so many of the most likely tokens are drawn from; 0, the default, for all. */
  readonly topK?: number;
  /** Only the most likely tokens that together reach this probability are drawn from; 1, the default, for all. */
  readonly topP?: number;
}

/**
 * The token that a uniform number in [0, 1) selects: temperature first, then top-k, then top-p (Holtzman et al., "The
 * curious case of neural text degeneration", 2020). Of equal logits the first comes first. Throws RangeError for a
 * negative temperature, or a topP outside of (0, 1].
 *
 * @example
 * ```ts
 * import { sampleToken } from "@denotron/denotron/nn";
 * import assert from "node:assert/strict";
 * const logits = [0, 2, 1];
 * assert.equal(sampleToken(logits, {}, 0.9), 1);
 * assert.equal(sampleToken(logits, { temperature: 1, topK: 2 }, 0.9), 2);
 * ```
 */
export function sampleToken(
  logits: ArrayLike<number>,
  { temperature = 0, topK = 0, topP = 1 }: SampleOptions,
  uniform: number,
): number {
  if (!(temperature >= 0) || !(topP > 0 && topP <= 1)) {
    throw new RangeError(
      `sample: temperature ${temperature} and topP ${topP} make no distribution. ` +
        `Use a temperature of at least 0, and topP above 0 to 1.`,
    );
  }
  if (temperature === 0) return likeliest(logits);
  const all = Uint32Array.from({ length: logits.length }, (_, id) => id);
  // A stable order, so that equal logits keep that of their ids; sorted only when it matters.
  const sorted = topK > 0 || topP < 1 ? all.sort((a, b) => logits[b] - logits[a] || a - b) : all;
  const ids = topK > 0 ? sorted.subarray(0, topK) : sorted;
  const top = logits[likeliest(logits)];
  const weights = Float64Array.from(ids, (id) => Math.exp((logits[id] - top) / temperature));
  const count = topP < 1 ? reaching(weights, topP * total(weights, weights.length)) : ids.length;
  return ids[reaching(weights, uniform * total(weights, count), count) - 1];
}

function likeliest(logits: ArrayLike<number>): number {
  let best = 0;
  for (let id = 1; id < logits.length; id++) if (logits[id] > logits[best]) best = id;
  return best;
}

function total(weights: Float64Array, count: number): number {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += weights[i];
  return sum;
}

/** How many of the first `limit` weights it takes to sum to more than, or in the end just to, `target`. */
function reaching(weights: Float64Array, target: number, limit: number = weights.length): number {
  let sum = 0, count = 0;
  while (count < limit && (sum <= target || count === 0)) sum += weights[count++];
  return count;
}
