/**
 * The stage of the recipe that pretrains the child further.
 *
 * @module
 */
import { batchesInTurn } from "../batches.ts";
import { pretrainRow } from "../data/synthetic/mod.ts";
import { pretrainStage } from "../pretrain.ts";
import { heldOutFigures } from "../token_loss.ts";
import type { Recipe } from "../config/recipe_schema.ts";
import type { Dataset, Row } from "../data/mod.ts";
import type { PipelineStage } from "./context.ts";
import { generatedRows, openTexts, rowCount } from "./texts.ts";
import { batchesOf, heldOutBatches, trainInPipeline } from "./training.ts";

/**
 * Continued pretraining on two distributions with a steep decay, as Nemotron-4 15B's (2402.16819, section 2): texts as the
 * parent has seen them, and then more questions with answers, of what the model is weak at.
 */
export const continuationStage: PipelineStage = {
  name: "cpt",
  title: "pretrains the child further, on what it has seen and then on what it is weak at",
  async run(context) {
    const { recipe } = context, { seed, cpt: config } = recipe;
    using texts = await openTexts(recipe);
    const tokenizer = await context.tokenizer();
    using model = context.loadNewest({ train: true });
    const reader = { spec: model.spec, tokenizer, config, seed };
    const heldOut = await heldOutBatches(texts.heldOut, reader);
    const before = heldOutFigures(model, heldOut);
    const second = Math.round(config.secondShare * config.steps);
    const batches = batchesInTurn([
      { steps: config.steps - second, batches: batchesOf(texts.train, reader) },
      { steps: second, batches: batchesOf(secondTexts(recipe), reader) },
    ]);
    const stage = pretrainStage({ model, batches, heldOut });
    // Where the second texts begin the loss is another one, which is no spike.
    const steady = second > 0 ? { ...config, spikeFactor: Infinity } : config;
    const parts = { decoder: model, tokenizer, config: steady, stage };
    const outcome = await trainInPipeline(context, parts);
    if (outcome === null) return null;
    const losses = { lossBefore: before.loss, lossAfter: heldOutFigures(model, heldOut).loss };
    return { ...outcome, metrics: { ...outcome.metrics, ...losses } };
  },
};

/** No stories, harder problems, and more of them with the answer at once. */
function secondTexts({ seed, pretrain, cpt }: Recipe): Dataset<Row> {
  const { weakLevels: levels, directShare } = cpt, { carefulShare } = pretrain;
  const texts = { seed, levels, directShare, carefulShare, storyShare: 0, stage: "cpt" };
  return generatedRows("questions", rowCount, (i) => ({ ...pretrainRow(i, texts) }));
}
