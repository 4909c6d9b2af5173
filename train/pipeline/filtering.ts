/**
 * The stage of the recipe that finds problems of the right difficulty.
 *
 * @module
 */
import { join } from "node:path";
import { PromptCoder } from "../eval/mod.ts";
import { measurePassRates } from "../grpo/pass_rate.ts";
import { type Rated, withoutEasy } from "../grpo/curriculum.ts";
import { writeJson } from "../puzzle/json_file.ts";
import { RewardPool, type RewardRow, verifiedProduct } from "../rewards/mod.ts";
import { unlessStopped } from "../interruption.ts";
import type { PipelineStage, StageContext } from "./context.ts";
import { engineFor, stoppable } from "./problems.ts";
import { problemsOf, rewardsOf } from "./questions.ts";

/** What reinforcement learning reads: problems with their pass rates. */
export const ratedFile = "problems.json";

/** Ranges of pass rates that the report shows. */
const ranges = 8;

/** Lets the model answer each problem several times, and leaves out those that it has no trouble with. */
export const filterStage: PipelineStage = {
  name: "filter",
  title: "measures how often problems are solved, and leaves out the easy ones",
  async run(context) {
    const { recipe: { filter: { limit, samples } }, folder, signal } = context;
    const rated = await unlessStopped(signal, () => ratedProblems(context));
    if (rated === null) return null;
    const kept = withoutEasy(rated, limit);
    writeJson(join(folder, ratedFile), kept);
    const mean = rated.reduce((sum, { passRate }) => sum + passRate, 0) / rated.length;
    const histogram = Array.from(
      { length: ranges + 1 },
      (_, range) => rated.filter(({ passRate }) => Math.round(passRate * ranges) === range).length,
    );
    const metrics = { problems: rated.length, kept: kept.length, meanPassRate: mean, histogram };
    return { tokens: 0, metrics: { ...metrics, samples } };
  },
};

async function ratedProblems(context: StageContext): Promise<Rated<RewardRow>[]> {
  const { recipe, folder, signal, view } = context, { filter, grpo: { maxTokens } } = recipe;
  const tokenizer = await context.tokenizer();
  using decoder = context.loadNewest({ train: false });
  using engine = engineFor(decoder);
  const longest = decoder.context - maxTokens;
  const problems = await problemsOf(context, filter.prompts, "train", longest);
  return await measurePassRates(problems, {
    path: join(folder, "pass_rates.jsonl"),
    coder: new PromptCoder(tokenizer),
    generate: stoppable(engine, signal),
    pool: new RewardPool(rewardsOf(recipe)),
    combine: verifiedProduct(),
    samples: filter.samples,
    ...{ maxTokens, temperature: 1, topP: 1, seed: recipe.seed },
    onProgress: (done, total) => view.tell(`filter  ${done}/${total} problems`),
  });
}
