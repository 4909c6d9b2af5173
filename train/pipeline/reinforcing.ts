/**
 * The stage of the recipe that learns from answers of its own.
 *
 * @module
 */
import { join } from "node:path";
import { rowsOf, streamRows } from "../data/mod.ts";
import { GaussianCurriculum, type Rated } from "../grpo/curriculum.ts";
import { frozenReference } from "../grpo/reference.ts";
import { grpoStage } from "../grpo/stage.ts";
import { completionsTable } from "../grpo/table.ts";
import { readJson } from "../puzzle/json_file.ts";
import type { RewardRow } from "../rewards/mod.ts";
import { metricsFile } from "../runs/stage_recorder.ts";
import { readStepLog, type StepLine } from "../runs/step_log.ts";
import type { Recipe } from "../config/recipe_schema.ts";
import { engineCompletions } from "../generator.ts";
import type { PipelineStage } from "./context.ts";
import { ratedFile } from "./filtering.ts";
import { engineFor } from "./problems.ts";
import { rewardsOf } from "./questions.ts";
import { trainInPipeline } from "./training.ts";

/** GRPO: answers that are right and well-formed become more likely, from easier problems to harder ones. */
export const reinforcementStage: PipelineStage = {
  name: "grpo",
  title: "makes right answers with thinking more likely",
  async run(context) {
    const { recipe, folder } = context, { seed, grpo: config } = recipe;
    const rated = readJson<Rated<RewardRow>[]>(join(context.folderOf("filter"), ratedFile))!;
    const tokenizer = await context.tokenizer();
    using policy = context.loadNewest({ train: true });
    using engine = engineFor(policy);
    using start = config.klCost > 0 ? context.loadNewest({ train: false }) : null;
    const { clipLow, clipHigh, klCost } = config;
    const stage = grpoStage({
      policy,
      tokenizer,
      prompts: config.order === "random"
        ? streamRows(rowsOf(rated.map(({ row }) => row), "problems"), { seed })
        : curriculumOf(rated, recipe),
      rewards: rewardsOf(recipe),
      generate: engineCompletions(engine),
      refresh: () => engine.refresh(policy),
      ...start ? { reference: frozenReference(start) } : {},
      promptsPerRollout: config.promptsPerRollout,
      samplesPerPrompt: config.samplesPerPrompt,
      stepsPerRollout: config.stepsPerRollout,
      samplingRounds: config.samplingRounds,
      maxTokens: config.maxTokens,
      tokensPerMicroBatch: config.microTokens,
      advantages: config.advantages,
      loss: { clipLow, clipHigh, klCost },
      // The engine computes as training does: `sampling/token_mult_prob_error` is 1.
      reuseLogProbs: true,
      seed,
      onRollout: completionsTable(join(folder, "completions")),
    });
    const outcome = await trainInPipeline(context, { decoder: policy, tokenizer, config, stage });
    if (outcome === null) return null;
    const rollouts = rolloutFigures(readStepLog(join(folder, metricsFile)));
    return { ...outcome, metrics: { ...outcome.metrics, problems: rated.length, ...rollouts } };
  },
};

function curriculumOf(
  rated: readonly Rated<RewardRow>[],
  { seed, grpo }: Recipe,
): GaussianCurriculum<RewardRow> {
  const { promptsPerRollout, stepsPerRollout, steps, curriculum: { from, to, width } } = grpo;
  return new GaussianCurriculum(rated, {
    batch: promptsPerRollout,
    batches: Math.ceil(steps / stepsPerRollout),
    mean: (progress) => from + (to - from) * progress,
    ...{ width, seed },
  });
}

/** Steps at the beginning and at the end over which the reward is averaged. */
const edge = 10;

/** The speed of all rollouts together, and the reward at first and at last. */
function rolloutFigures(lines: readonly StepLine[]): Record<string, number> {
  const column = (name: string): number[] =>
    lines.map((line) => line[name]).filter((value) => typeof value === "number");
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value, 0) / values.length;
  const seconds = column("rollout/seconds"), speeds = column("rollout/tokens_per_second");
  const tokens = speeds.reduce((sum, speed, i) => sum + speed * seconds[i], 0);
  const rewards = column("reward");
  return {
    rewardBefore: mean(rewards.slice(0, edge)),
    rewardAfter: mean(rewards.slice(-edge)),
    rolloutTokensPerSecond: tokens / seconds.reduce((sum, one) => sum + one, 0),
  };
}
