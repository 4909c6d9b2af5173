/**
 * How much better than its group a completion is.
 *
 * @module
 */

/**
 * What rewards are compared with, within the completions of one prompt:
 *
 * - `leave_one_out`: the mean of the others that ended, over their standard deviation (NVIDIA NeMo-Aligner, which trained
 *   Llama-Nemotron Ultra)
 * - `group`: the mean of all, over their standard deviation + 1e-4 (GRPO as in TRL)
 * - `mean`: the mean of all (Dr. GRPO, Liu et al. 2025)
 * - `rloo`: the mean of the others (REINFORCE leave-one-out, Ahmadian et al. 2024)
 */
export type AdvantageKind = "leave_one_out" | "group" | "mean" | "rloo";

/** The advantages of a group, and how far its rewards lie apart. */
export interface GroupAdvantages {
  /** [completions] */
  readonly advantages: readonly number[];
  /** The standard deviation of the rewards, that of a sample. */
  readonly std: number;
}

/**
 * The advantages of the completions of one prompt. `ended` tells which of them the model ended itself; only
 * `leave_one_out` asks.
 *
 * @example
 * ```ts
 * import { groupAdvantages } from "@denotron/denotron/train";
 * import assert from "node:assert/strict";
 *
 * const rewards = [1, 0, 0, 0], ended = [true, true, true, true];
 * assert.deepEqual(groupAdvantages(rewards, ended, "mean").advantages, [0.75, -0.25, -0.25, -0.25]);
 * assert.equal(groupAdvantages(rewards, ended, "rloo").advantages[0], 1);
 * ```
 */
export function groupAdvantages(
  rewards: readonly number[],
  ended: readonly boolean[],
  kind: AdvantageKind = "leave_one_out",
): GroupAdvantages {
  const count = rewards.length, mean = sum(rewards) / count;
  const std = count > 1
    ? Math.sqrt(sum(rewards.map((reward) => (reward - mean) ** 2)) / (count - 1))
    : 0;
  switch (kind) {
    case "leave_one_out":
      return { advantages: leaveOneOut(rewards, ended), std };
    case "group":
      return { advantages: rewards.map((reward) => (reward - mean) / (std + 1e-4)), std };
    case "mean":
      return { advantages: rewards.map((reward) => reward - mean), std };
    case "rloo": {
      const others = Math.max(1, count - 1);
      return { advantages: rewards.map((reward) => (reward - mean) * count / others), std };
    }
  }
}

/**
 *     n   = Σ valid − 1
 *     b_i = Σ_{j≠i} r_j·valid_j / n                    where at most one is valid, b_i = r_i
 *     s_i = √( Σ_{j≠i} r_j²·valid_j / n − b_i² )       0 where that is no number
 *     A_i = (r_i − b_i) / s_i                          not divided where s_i is 0
 *
 * There is no small number in the denominator. n is the same for completions that did not end, although all the valid
 * ones are others to them: the published code has it so.
 */
function leaveOneOut(rewards: readonly number[], ended: readonly boolean[]): number[] {
  const n = ended.filter(Boolean).length - 1;
  if (n < 1) return rewards.map(() => 0);
  return rewards.map((reward, i) => {
    const others = rewards.filter((_, j) => j !== i && ended[j]);
    const baseline = sum(others) / n;
    const variance = sum(others.map((other) => other ** 2)) / n - baseline ** 2;
    // Equal rewards such as 0.1 leave a rest of rounding, which would be divided by.
    const noise = 1e-12 * Math.max(1, baseline ** 2);
    return variance > noise ? (reward - baseline) / Math.sqrt(variance) : reward - baseline;
  });
}

/** Whether all completions of a group are worth the same: there is nothing to learn from it. */
export function isUniform(rewards: readonly number[]): boolean {
  return rewards.every((reward) => Math.abs(reward - rewards[0]) <= 1e-8);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
