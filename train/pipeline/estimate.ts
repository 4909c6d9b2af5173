/**
 * What the recipe will cost.
 *
 * @module
 */
import { Decoder, type DecoderSpec, openCheckpoint } from "../../nn/mod.ts";
import { Tokenizer } from "../../text/mod.ts";
import type { Recipe } from "../config/recipe_schema.ts";
import { trainSyntheticTokenizer } from "../data/synthetic/mod.ts";
import { type Estimate, estimate, measureSpeed } from "../jobs/estimate.ts";
import { llamaSpec } from "../jobs/new_model.ts";
import { trainOptions } from "../jobs/train_options.ts";
import { pretrainStage } from "../pretrain.ts";
import { openTexts } from "./texts.ts";
import { batchesOf } from "./training.ts";

/** The cost of each stage that trains on tokens, had it the parent's size, at the speed of a few steps of pretraining. */
export async function estimateRecipe(recipe: Recipe): Promise<Record<string, Estimate>> {
  const { dtype, seed, pretrain, distill, cpt, sft } = recipe, { shape } = pretrain;
  const { model: given, tokenizer: { path } } = recipe;
  const tokenizer = given === undefined
    ? trainSyntheticTokenizer({ vocabularySize: shape.vocabulary, seed }).tokenizer()
    : await Tokenizer.load(path ?? given);
  const spec = given === undefined ? llamaSpec(shape, tokenizer.vocabularySize) : specOf(given);
  using model = new Decoder(spec, { dtype, seed });
  const reader = { tokenizer, spec, config: given === undefined ? pretrain : cpt, seed };
  using texts = await openTexts(recipe);
  const batches = batchesOf(texts.train, reader);
  const options = trainOptions(pretrain, pretrain.steps);
  const tokensPerSecond = await measureSpeed({ stage: pretrainStage({ model, batches }), options });
  const trained = model.namedParameters().values().reduce((sum, { size }) => sum + size, 0);
  return Object.fromEntries(
    Object.entries({ ...given === undefined ? { pretrain } : {}, distill, cpt, sft }).map((
      [name, config],
    ) => [
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

function specOf(model: string): DecoderSpec {
  using source = openCheckpoint(model);
  return source.spec;
}
