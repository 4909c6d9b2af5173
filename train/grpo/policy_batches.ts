/**
 * Rollouts as the micro-batches of optimizer steps.
 *
 * @module
 */
import type { Decoder } from "../../nn/mod.ts";
import type { ChatTemplate, Tokenizer } from "../../text/mod.ts";
import { type Cursor, stateMembers } from "../data/cursor.ts";
import { PromptCoder } from "../eval/mod.ts";
import { type CompletionSource, seedOf } from "../generator.ts";
import {
  type Reward,
  type RewardCombination,
  RewardPool,
  type RewardPoolOptions,
  type RewardRow,
  verifiedProduct,
} from "../rewards/mod.ts";
import type { BatchSource, Json } from "../stage.ts";
import { type AdvantageKind, groupAdvantages, isUniform } from "./advantages.ts";
import { type PolicyBatch, policyBatch, type TrainedCompletion } from "./batch.ts";
import { rolloutFigures } from "./figures.ts";
import { type JudgedGroup, trainedCompletions } from "./judged.ts";
import { partsByTokens } from "./log_probs.ts";
import {
  type ImportanceCorrection,
  policyLossDefaults,
  type PolicyLossOptions,
} from "./options.ts";
import type { Reference } from "./reference.ts";
import { type SampledGroup, sampleGroups, type SamplingOptions } from "./rollout.ts";
import { decodeCompletions, encodeCompletions } from "./saved.ts";

/** Tokens of a micro-batch unless told otherwise. */
const mostTokens = 8192;

/** How rollouts are made and cut into steps. */
export interface RolloutOptions {
  /** What trains. */
  readonly policy: Decoder;
  /** What it may not move far from; without one there is no divergence in the loss. */
  readonly reference?: Reference;
  /** The model's. */
  readonly tokenizer: Tokenizer;
  /** How conversations are written (default: the tokenizer's own template). */
  readonly template?: ChatTemplate;
  /** Rows with a question, in `messages` or `prompt`, and what the rewards read. */
  readonly prompts: Cursor<RewardRow>;
  /** By name; `correct` and `format` for Llama-Nemotron's. */
  readonly rewards: Readonly<Record<string, Reward>>;
  /** How they become one; by default {@linkcode verifiedProduct}. */
  readonly combine?: RewardCombination;
  /** How they are computed. */
  readonly pool?: RewardPoolOptions;
  /** Where completions come from. */
  readonly generate: CompletionSource;
  /** Gives the policy's weights to what generates; called before each rollout. */
  readonly refresh?: () => unknown;
  /** 72 by default. */
  readonly promptsPerRollout?: number;
  /** 16 by default. */
  readonly samplesPerPrompt?: number;
  /** Optimizer steps that share a rollout, each with other prompts of it; 2 by default. */
  readonly stepsPerRollout?: number;
  /** The most tokens of a completion. */
  readonly maxTokens: number;
  /** Only the most likely tokens that together reach this probability are drawn from; 1, the default, for all. */
  readonly topP?: number;
  /** About how many tokens a micro-batch has; 8,192 by default. */
  readonly tokensPerMicroBatch?: number;
  /** By default `leave_one_out`. */
  readonly advantages?: AdvantageKind;
  /** How the loss is made up; its temperature is also that of the rollouts. */
  readonly loss: PolicyLossOptions;
  /** Against the mismatch of generation and training; none by default. It needs log-probabilities from the generator. */
  readonly correction?: ImportanceCorrection;
  /**
   * Takes the generator's log-probabilities for those of the weights that wrote the completions, which saves a forward
   * pass; by default they are computed. Right for an engine that computes as training does, and tells so by
   * `sampling/token_mult_prob_error` 1 without this.
   */
  readonly reuseLogProbs?: boolean;
  /** Whether completions that did not end are left out of the loss; by default they are scored like others. */
  readonly maskOverlong?: boolean;
  /**
   * Draws other prompts for those whose completions are all worth the same, in at most so many rounds; 1, the default,
   * keeps them all (DAPO's dynamic sampling).
   */
  readonly samplingRounds?: number;
  /** Decides what is drawn; 0 by default. */
  readonly seed?: number;
  /** Called with each rollout, counted from 1. */
  readonly onRollout?: (rollout: number, groups: readonly JudgedGroup[]) => void;
}

/** A micro-batch and the figures of the rollout that it is from. */
export interface RolloutBatch extends PolicyBatch {
  /** See `rolloutFigures`; and `rollout/tokens_per_second`, `rollout/seconds`, and `rollout/share` of the time. */
  readonly figures: Readonly<Record<string, number>>;
}

/**
 * Makes rollouts when they are needed. Its state holds what is left of the current one, because the weights that wrote it
 * are gone; a rollout that was not finished is made again from the same seeds.
 */
export class PolicyBatches implements BatchSource<RolloutBatch> {
  readonly #options: RolloutOptions;
  readonly #sampling: SamplingOptions;
  #rollouts = 0;
  /** What each of the coming steps learns from. */
  #pending: TrainedCompletion[][] = [];
  #figures: Readonly<Record<string, number>> = {};
  /** When the last micro-batches were given away, to tell what training takes. */
  #trainingSince: number | null = null;

  /** Rollouts of nothing yet. */
  constructor(options: RolloutOptions) {
    const { samplesPerPrompt = 16, maxTokens, topP = 1 } = options;
    const { temperature } = policyLossDefaults(options.loss);
    this.#options = options;
    this.#sampling = {
      coder: new PromptCoder(options.tokenizer, options.template),
      generate: options.generate,
      pool: new RewardPool(options.rewards, options.pool),
      combine: options.combine ?? verifiedProduct(),
      ...{ samples: samplesPerPrompt, maxTokens, temperature, topP },
    };
  }

  /** The micro-batches of a step; null when there are no more prompts. */
  async next(): Promise<readonly RolloutBatch[] | null> {
    if (this.#pending.length === 0) await this.#rollout();
    const completions = this.#pending.shift();
    if (!completions) return null;
    this.#trainingSince ??= performance.now();
    const parts = partsByTokens(completions, this.#options.tokensPerMicroBatch ?? mostTokens);
    return parts.map((part) => ({ ...policyBatch(part), figures: this.#figures }));
  }

  /** The place. */
  state(): Json {
    return {
      prompts: this.#options.prompts.state(),
      rollouts: this.#rollouts,
      figures: this.#figures,
      pending: this.#pending.map(encodeCompletions),
    };
  }

  /** Goes to a place. */
  restore(state: Json): void {
    const names = ["prompts", "rollouts", "figures", "pending"] as const;
    const members = stateMembers("grpo", state, names);
    this.#options.prompts.restore(members.prompts);
    this.#rollouts = members.rollouts as number;
    this.#figures = members.figures as Record<string, number>;
    this.#pending = (members.pending as Json[]).map(decodeCompletions);
    this.#trainingSince = null;
  }

  async #rollout(): Promise<void> {
    const { policy, refresh, stepsPerRollout = 2, onRollout } = this.#options;
    const start = performance.now();
    const trainingSeconds = this.#trainingSince === null
      ? null
      : (start - this.#trainingSince) / 1000;
    this.#trainingSince = null;
    await refresh?.();
    policy.eval();
    try {
      const { sampled, kept } = await this.#sample();
      const judged = kept.map((group) => this.#judge(group));
      const { groups, mismatch } = trainedCompletions(judged, {
        ...this.#options,
        temperature: this.#sampling.temperature,
        tokensPerBatch: this.#options.tokensPerMicroBatch ?? mostTokens,
      });
      this.#rollouts++;
      const seconds = (performance.now() - start) / 1000, figures = rolloutFigures(sampled);
      const tokens = sampled.flatMap(({ completions }) => completions)
        .reduce((sum, { ids }) => sum + ids.length, 0);
      this.#figures = {
        ...figures,
        ...mismatch,
        "rollout/seconds": seconds,
        "rollout/tokens_per_second": tokens / seconds,
        ...(trainingSeconds !== null && { "rollout/share": seconds / (seconds + trainingSeconds) }),
      };
      this.#pending = evenParts(groups, stepsPerRollout).map((part) => part.flat())
        .filter((step) => step.length > 0);
      if (judged.length > 0) onRollout?.(this.#rollouts, judged);
    } finally {
      policy.train();
    }
  }

  /** Groups to learn from, and all that were drawn for them. */
  async #sample(): Promise<{ sampled: SampledGroup[]; kept: SampledGroup[] }> {
    const { promptsPerRollout = 72, samplingRounds = 1, seed = 0, prompts } = this.#options;
    const sampled: SampledGroup[] = [];
    let kept: SampledGroup[] = [];
    for (let round = 0; round < samplingRounds && kept.length < promptsPerRollout; round++) {
      const rows: RewardRow[] = [];
      while (rows.length < promptsPerRollout - kept.length) {
        const row = await prompts.next();
        if (row === null) break;
        rows.push(row);
      }
      if (rows.length === 0) break;
      const drawn = seedOf(seed, "rollout", this.#rollouts, round);
      const groups = await sampleGroups(rows, drawn, this.#sampling);
      sampled.push(...groups);
      const wanted = samplingRounds === 1 ? groups : groups.filter(isInformative);
      kept = [...kept, ...wanted];
    }
    // A rollout without differences still has a divergence to learn from.
    return { sampled, kept: kept.length > 0 ? kept : sampled };
  }

  #judge(group: SampledGroup): JudgedGroup {
    const { completions } = group, rewards = completions.map(({ reward }) => reward);
    const ended = completions.map((one) => one.ended);
    return { ...group, ...groupAdvantages(rewards, ended, this.#options.advantages) };
  }
}

function isInformative({ completions }: SampledGroup): boolean {
  return !isUniform(completions.map(({ reward }) => reward));
}

/** Things in so many parts of about the same size. */
function evenParts<T>(things: readonly T[], parts: number): T[][] {
  const border = (part: number): number => Math.floor(part * things.length / parts);
  return Array.from({ length: parts }, (_, part) => things.slice(border(part), border(part + 1)));
}
