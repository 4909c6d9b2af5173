/**
 * What the recipe will cost.
 *
 * @module
 */
import { Decoder } from "../../nn/mod.ts";
import type { Recipe } from "../config/recipe_schema.ts";
import { trainSyntheticTokenizer } from "../data/synthetic/mod.ts";
import { type Estimate, estimate, measureSpeed } from "../jobs/estimate.ts";
import { llamaSpec } from "../jobs/new_model.ts";
import { trainOptions } from "../jobs/train_options.ts";
import { pretrainStage } from "../pretrain.ts";
import { textsOf } from "./texts.ts";
import { batchesOf } from "./training.ts";

/** The cost of each stage that trains on tokens, had it the parent's size, at the speed of a few steps of pretraining. */
export async function estimateRecipe(recipe: Recipe): Promise<Record<string, Estimate>> {
  const { dtype, seed, pretrain, distill, cpt, sft } = recipe, { shape } = pretrain;
  const tokenizer = trainSyntheticTokenizer({ vocabularySize: shape.vocabulary, seed }).tokenizer();
  const spec = llamaSpec(shape, tokenizer.vocabularySize);
  using model = new Decoder(spec, { dtype, seed });
  const reader = { tokenizer, spec, config: pretrain, seed };
  const batches = batchesOf(textsOf(recipe).train, reader);
  const options = trainOptions(pretrain, pretrain.steps);
  const tokensPerSecond = await measureSpeed({ stage: pretrainStage({ model, batches }), options });
  const trained = model.namedParameters().values().reduce((sum, { size }) => sum + size, 0);
  return Object.fromEntries(
    Object.entries({ pretrain, distill, cpt, sft }).map(([name, config]) => [
      name,
      estimate({
        spec,
        dtype,
        trained,
        frozen: 0,
        context: config.context ?? spec.context,
        batchTokens: config.batchTokens,
        microTokens: Math.ceil(config.batchTokens / config.microBatches),
        steps: config.steps,
        epochTokens: null,
        averages: config.averageDecay !== undefined,
        tokensPerSecond,
      }),
    ]),
  );
}
