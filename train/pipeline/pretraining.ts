/**
 * The stage of the recipe that makes the parent.
 *
 * @module
 */
import { Decoder, summarize } from "../../nn/mod.ts";
import { pretrainRow } from "../data/synthetic/mod.ts";
import { llamaSpec } from "../jobs/new_model.ts";
import { pretrainStage } from "../pretrain.ts";
import type { PipelineStage } from "./context.ts";
import { generatedRows, trainInPipeline } from "./training.ts";

/** Texts that differ; more than are ever read. */
const rowCount = 1_000_000;
const heldOutRows = 200;

/** Trains a decoder from random weights on problems, solutions and stories. */
export const pretrainingStage: PipelineStage = {
  name: "pretrain",
  title: "trains the parent on problems and stories",
  async run(context) {
    const { recipe: { seed, dtype, tasks, pretrain } } = context;
    const { shape, carefulShare, storyShare, directShare } = pretrain;
    const tokenizer = await context.tokenizer();
    const spec = llamaSpec(shape, tokenizer.vocabularySize);
    using decoder = new Decoder(spec, { dtype, seed });
    const texts = { ...tasks, seed, carefulShare, storyShare, directShare };
    const outcome = await trainInPipeline(context, {
      decoder,
      tokenizer,
      config: pretrain,
      rows: generatedRows("texts", rowCount, (i) => ({ ...pretrainRow(i, texts) })),
      heldOut: generatedRows(
        "held-out texts",
        heldOutRows,
        (i) => ({ ...pretrainRow(i, { ...texts, split: "validation" }) }),
      ),
      stage: (data) => pretrainStage({ model: decoder, ...data }),
    });
    if (outcome === null) return null;
    const { parameters, kvBytesPerToken } = summarize(spec);
    const sizes = { parameters: parameters.total, kvBytesPerToken: kvBytesPerToken.bf16 };
    return { ...outcome, metrics: { ...outcome.metrics, ...sizes } };
  },
};
