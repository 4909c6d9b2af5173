/**
 * The stage of the recipe that measures what the models can do.
 *
 * @module
 */
import { join } from "node:path";
import { kvBytesPerToken } from "../../engine/mod.ts";
import { type Decoder, summarize } from "../../nn/mod.ts";
import { type EvalReport, evaluate } from "../eval/mod.ts";
import { pauseFor, unlessStopped } from "../interruption.ts";
import { enginePath } from "../puzzle/engine_path.ts";
import { readJson, writeJson } from "../puzzle/json_file.ts";
import { timeDecoders } from "../puzzle/measure.ts";
import type { Json } from "../stage.ts";
import type { PipelineStage, StageContext } from "./context.ts";
import { engineFor, stoppable } from "./problems.ts";
import { problemsOf, rewardsOf } from "./questions.ts";

/** What a model makes of the problems, with thinking and without. */
type Answers = readonly EvalReport[];

/** Lets the models before and after reinforcement learning answer new problems, and times parent and child. */
export const evaluationStage: PipelineStage = {
  name: "evaluation",
  title: "answers problems that it has not seen, and tells how fast it is",
  run(context) {
    return unlessStopped(context.signal, async () => {
      const stages = (["sft", "grpo"] as const).filter((stage) => context.has(stage));
      const answers: [string, Answers][] = [];
      for (const stage of stages) answers.push([stage, await answersOf(context, stage)]);
      const all = answers.flatMap(([, reports]) => reports);
      const tokens = all.reduce((sum, one) => sum + one.problems * one.tokens, 0);
      return {
        tokens: Math.round(tokens),
        metrics: {
          problems: all[0]?.problems ?? 0,
          ...figures(answers.at(-1)?.[1] ?? []),
          ...Object.fromEntries(answers.map(([stage, reports]) => [stage, figures(reports)])),
          ...await speeds(context),
        },
      };
    });
  },
};

/** The reports of a stage's model, which are kept in case that the run is interrupted later. */
async function answersOf(context: StageContext, stage: "sft" | "grpo"): Promise<Answers> {
  const path = join(context.folder, `${stage}.json`);
  const known = readJson<Answers>(path);
  if (known) return known;
  const { recipe, signal } = context, { problems, ...drawn } = recipe.evaluation;
  const tokenizer = await context.tokenizer();
  using decoder = context.load(stage, { train: false });
  using engine = engineFor(decoder);
  const rows = await problemsOf(context, problems, "heldOut", decoder.context - drawn.maxTokens);
  const task = { name: "problems", rows, correct: rewardsOf(recipe).correct };
  const generate = stoppable(engine, signal);
  const reports = await evaluate([task], { generate, tokenizer, ...drawn, seed: recipe.seed });
  writeJson(path, reports);
  return reports;
}

/** Shares, the accuracies with their intervals of 95 % confidence. */
function figures(reports: Answers): { readonly [name: string]: Json } {
  if (reports.length === 0) return {};
  const [on, off] = ["on", "off"].map((mode) => reports.find((one) => one.mode === mode)!);
  return {
    accuracyOn: on.accuracy.value,
    accuracyOff: off.accuracy.value,
    intervalOn: [on.accuracy.low, on.accuracy.high],
    intervalOff: [off.accuracy.low, off.accuracy.high],
    formatOn: orNull(on.format.value),
    formatOff: orNull(off.format.value),
    endedOn: on.ended.value,
    endedOff: off.ended.value,
    tokensOn: on.tokens,
    tokensOff: off.tokens,
  };
}

/** Of completions that never ended, no share keeps to the switch. */
function orNull(share: number): number | null {
  return Number.isNaN(share) ? null : share;
}

/** Sizes and measured speeds of parent and child, which take turns. */
async function speeds(context: StageContext): Promise<{ readonly [name: string]: Json }> {
  const { dtype, puzzle: { scenario, search: { rounds } } } = context.recipe;
  using parent = context.loadParent();
  using child = context.loadNewest({ train: false });
  const batch = Math.max(...scenario.batchSizes), used = { ...scenario, batchSizes: [batch] };
  const pause = pauseFor(context.signal);
  const times = await timeDecoders([parent, child], used, { path: enginePath, rounds, pause });
  const [parentFigures, childFigures] = [parent, child].map((decoder: Decoder, i) => ({
    parameters: summarize(decoder.spec).parameters.total,
    decodeTokensPerSecond: batch / Math.min(...times.map((round) => round[i][0].decode)),
    kvBytesPerToken: kvBytesPerToken(decoder.spec, dtype),
  }));
  return { batch, parent: parentFigures, child: childFigures };
}
