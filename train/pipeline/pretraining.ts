/**
 * The stage of the recipe that makes the parent.
 *
 * @module
 */
import { Decoder, summarize } from "../../nn/mod.ts";
import { llamaSpec } from "../jobs/new_model.ts";
import { pretrainStage } from "../pretrain.ts";
import type { PipelineStage } from "./context.ts";
import { openTexts } from "./texts.ts";
import { batchesOf, heldOutBatches, trainInPipeline } from "./training.ts";

/** Trains a decoder from random weights on problems, solutions and stories. */
export const pretrainingStage: PipelineStage = {
  name: "pretrain",
  title: "trains the parent on problems and stories",
  async run(context) {
    const { recipe } = context, { seed, dtype, pretrain: config } = recipe;
    const tokenizer = await context.tokenizer();
    using texts = await openTexts(recipe);
    const spec = llamaSpec(config.shape, tokenizer.vocabularySize);
    using model = new Decoder(spec, { dtype, seed });
    const reader = { spec, tokenizer, config, seed };
    const stage = pretrainStage({
      model,
      batches: batchesOf(texts.train, reader),
      heldOut: await heldOutBatches(texts.heldOut, reader),
    });
    const outcome = await trainInPipeline(context, { decoder: model, tokenizer, config, stage });
    if (outcome === null) return null;
    const { parameters } = summarize(spec);
    return { ...outcome, metrics: { ...outcome.metrics, parameters: parameters.total } };
  },
};
