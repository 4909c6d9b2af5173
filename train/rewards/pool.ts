/**
 * Computes rewards side by side, and outlives those that fail.
 *
 * @module
 */
import type { Reward, RewardCompletion, RewardRow } from "./reward.ts";

/** How rewards are computed. */
export interface RewardPoolOptions {
  /** A score that takes longer is given up, in milliseconds; 10,000 by default. */
  readonly timeoutMs?: number;
  /** How many completions are scored at once; 8 by default. */
  readonly concurrency?: number;
  /** What a reward that fails gives; 0 by default. */
  readonly failureScore?: number;
}

/** What the rewards say about a completion. */
export interface RewardOutcome {
  /** By name of the reward. */
  readonly scores: Readonly<Record<string, number>>;
  /** Why rewards failed, by name; those that did not are missing. */
  readonly failures: Readonly<Record<string, string>>;
}

/**
 * Scores completions by several rewards, some at once. A reward that throws, gives no finite number or takes too long gets
 * the failure score. What never lets go of the processor must be an {@linkcode isolatedReward}: nothing else in this
 * process can stop it.
 *
 * @example
 * ```ts
 * import { formatReward, mathReward, RewardPool } from "@denotron/denotron/train";
 * import assert from "node:assert/strict";
 *
 * const pool = new RewardPool({ correct: mathReward(), format: formatReward });
 * const completion = { text: "It is 4.", ended: true, tokens: 5, maxTokens: 10 };
 * const { scores } = await pool.score(completion, { answer: "4", thinking: true });
 * assert.deepEqual(scores, { correct: 1, format: 0 });
 * ```
 */
export class RewardPool {
  readonly #options: Required<RewardPoolOptions>;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  /** `rewards` by name. */
  constructor(
    readonly rewards: Readonly<Record<string, Reward>>,
    { timeoutMs = 10_000, concurrency = 8, failureScore = 0 }: RewardPoolOptions = {},
  ) {
    this.#options = { timeoutMs, concurrency, failureScore };
  }

  /** What the rewards say about one completion; never rejects. */
  async score(completion: RewardCompletion, row: RewardRow): Promise<RewardOutcome> {
    if (this.#running >= this.#options.concurrency) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else this.#running++;
    try {
      return await this.#scoreNow(completion, row);
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#running--;
    }
  }

  async #scoreNow(completion: RewardCompletion, row: RewardRow): Promise<RewardOutcome> {
    const scores: Record<string, number> = {}, failures: Record<string, string> = {};
    await Promise.all(
      Object.entries(this.rewards).map(async ([name, reward]) => {
        try {
          scores[name] = await this.#scoreInTime(reward, completion, row);
        } catch (error) {
          scores[name] = this.#options.failureScore;
          failures[name] = error instanceof Error ? error.message : String(error);
        }
      }),
    );
    return { scores, failures };
  }

  async #scoreInTime(
    reward: Reward,
    completion: RewardCompletion,
    row: RewardRow,
  ): Promise<number> {
    const { timeoutMs } = this.#options;
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const tooLate = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no score in time (${timeoutMs} ms)`)), timeoutMs);
    });
    try {
      const score = await Promise.race([reward(completion, row, abort.signal), tooLate]);
      if (typeof score === "number" && Number.isFinite(score)) return score;
      throw new TypeError(`the score is no finite number (${String(score)})`);
    } finally {
      clearTimeout(timer);
      abort.abort();
    }
  }
}

/** The outcome of each completion, by one pool. `rows` has the row of each completion. */
export function runRewards(
  rewards: Readonly<Record<string, Reward>>,
  completions: readonly RewardCompletion[],
  rows: readonly RewardRow[],
  options: RewardPoolOptions = {},
): Promise<RewardOutcome[]> {
  if (completions.length !== rows.length) {
    throw new RangeError(
      `runRewards: each completion needs its row (${completions.length} and ${rows.length}).`,
    );
  }
  const pool = new RewardPool(rewards, options);
  return Promise.all(completions.map((completion, i) => pool.score(completion, rows[i])));
}
