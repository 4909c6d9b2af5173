/**
 * Lets a model answer prompts several times, and scores what it says.
 *
 * @module
 */
import type { EncodedPrompt, PromptCoder } from "../eval/mod.ts";
import type { CompletionIds, CompletionSource } from "../generator.ts";
import type {
  RewardCombination,
  RewardCompletion,
  RewardOutcome,
  RewardPool,
  RewardRow,
} from "../rewards/mod.ts";

/** How completions are drawn and scored. */
export interface SamplingOptions {
  /** Between rows and ids. */
  readonly coder: PromptCoder;
  /** Where completions come from. */
  readonly generate: CompletionSource;
  /** The rewards by name. */
  readonly pool: RewardPool;
  /** How they become one. */
  readonly combine: RewardCombination;
  /** Completions of each prompt. */
  readonly samples: number;
  /** The most tokens of a completion. */
  readonly maxTokens: number;
  /** Divides the logits. */
  readonly temperature: number;
  /** Only the most likely tokens that together reach this probability are drawn from. */
  readonly topP: number;
}

/** A completion and what it is worth. */
export interface SampledCompletion extends CompletionIds {
  /** As rewards read it. */
  readonly completion: RewardCompletion;
  /** Its reward. */
  readonly reward: number;
  /** What the reward is made of. */
  readonly outcome: RewardOutcome;
}

/** A prompt with its completions. */
export interface SampledGroup {
  /** Where the prompt came from. */
  readonly row: RewardRow;
  /** What the model read. */
  readonly prompt: EncodedPrompt;
  /** What it wrote. */
  readonly completions: readonly SampledCompletion[];
}

/** Completions of each row's prompt. They are scored while others are still being written. */
export async function sampleGroups(
  rows: readonly RewardRow[],
  seed: number,
  { coder, generate, pool, combine, samples, ...drawn }: SamplingOptions,
): Promise<SampledGroup[]> {
  const prompts = rows.map((row) => coder.encode(row));
  const repeated = prompts.flatMap((prompt) => Array.from({ length: samples }, () => prompt.ids));
  const scoring: Promise<SampledCompletion>[] = [];
  const score = async (ids: CompletionIds, group: number): Promise<SampledCompletion> => {
    const completion = coder.decode(ids, prompts[group], drawn.maxTokens);
    const outcome = await pool.score(completion, rows[group]);
    return { ...ids, completion, outcome, reward: combine(outcome.scores, completion) };
  };
  await generate(repeated, {
    ...drawn,
    ...{ seed, stop: coder.stop, logProbs: true },
    onCompletion: (ids, place) => {
      scoring[place] = score(ids, Math.floor(place / samples));
    },
  });
  const scored = await Promise.all(scoring);
  return rows.map((row, group) => ({
    row,
    prompt: prompts[group],
    completions: scored.slice(group * samples, (group + 1) * samples),
  }));
}
