/**
 * What a rollout amounted to, named as in TRL.
 *
 * @module
 */
import { groupAdvantages, isUniform } from "./advantages.ts";
import type { SampledGroup } from "./rollout.ts";

/**
 * `reward` and `reward_std` (the mean over groups of their standard deviation), `frac_reward_zero_std`,
 * `rewards/<name>/mean`, `rewards/failures` (the share of completions with a reward that failed), and of the completions
 * `mean_length`, `min_length`, `max_length`, `mean_terminated_length` and `clipped_ratio`, the share that did not end.
 */
export function rolloutFigures(groups: readonly SampledGroup[]): Record<string, number> {
  const rewards = groups.map(({ completions }) => completions.map(({ reward }) => reward));
  const all = groups.flatMap(({ completions }) => completions);
  const lengths = all.map(({ ids }) => ids.length);
  const ended = all.filter((one) => one.ended);
  const stds = rewards.map((group) => groupAdvantages(group, [], "mean").std);
  const names = Object.keys(all[0]?.outcome.scores ?? {});
  return {
    reward: mean(all.map(({ reward }) => reward)),
    reward_std: mean(stds),
    frac_reward_zero_std: mean(rewards.map((group) => Number(isUniform(group)))),
    ...Object.fromEntries(names.map((name) => [
      `rewards/${name}/mean`,
      mean(all.map(({ outcome }) => outcome.scores[name])),
    ])),
    "rewards/failures": mean(
      all.map(({ outcome }) => Math.min(1, Object.keys(outcome.failures).length)),
    ),
    "completions/mean_length": mean(lengths),
    "completions/min_length": lengths.reduce((a, b) => Math.min(a, b), lengths[0] ?? 0),
    "completions/max_length": lengths.reduce((a, b) => Math.max(a, b), 0),
    "completions/mean_terminated_length": mean(ended.map(({ ids }) => ids.length)),
    "completions/clipped_ratio": 1 - ended.length / Math.max(1, all.length),
  };
}

/**
 * How differently generation and training see the same tokens: `sampling/token_mult_prob_error`, the mean of
 * exp |generated − old|, and `sampling/kl_error`, the mean of generated − old, which estimates a divergence.
 */
export function mismatchFigures(
  old: readonly Float32Array[],
  generated: readonly (readonly number[] | null)[],
): Record<string, number> {
  let ratio = 0, difference = 0, count = 0;
  old.forEach((logProbs, i) => {
    generated[i]?.forEach((logProb, t) => {
      ratio += Math.exp(Math.abs(logProb - logProbs[t]));
      difference += logProb - logProbs[t];
      count++;
    });
  });
  if (count === 0) return {};
  return {
    "sampling/token_mult_prob_error": ratio / count,
    "sampling/kl_error": difference / count,
  };
}

/** 0 for nothing. */
function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}
