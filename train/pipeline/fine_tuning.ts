/**
 * The stage of the recipe that teaches conversations and the reasoning switch.
 *
 * @module
 */
import { sftRow } from "../data/synthetic/mod.ts";
import { sftStage } from "../sft.ts";
import type { PipelineStage } from "./context.ts";
import { generatedRows, rowCount } from "./texts.ts";
import { batchesOf, heldOutBatches, trainInPipeline } from "./training.ts";

/** Fine-tunes the child on questions answered twice: with the working, and at once. */
export const fineTuningStage: PipelineStage = {
  name: "sft",
  title: "teaches answers with and without thinking",
  async run(context) {
    const { recipe: { seed, tasks, heldOutRows, sft: config } } = context;
    const tokenizer = await context.tokenizer();
    using model = context.load("cpt", { train: true });
    const rows = { ...tasks, seed, carefulShare: config.carefulShare };
    const reader = { spec: model.spec, tokenizer, config, seed };
    const learned = generatedRows("conversations", rowCount, (i) => ({ ...sftRow(i, rows) }));
    const heldOut = generatedRows(
      "held-out conversations",
      heldOutRows,
      (i) => ({ ...sftRow(i, { ...rows, split: "validation" }) }),
    );
    const stage = sftStage({
      model,
      batches: batchesOf(learned, reader),
      heldOut: await heldOutBatches(heldOut, reader),
    });
    return await trainInPipeline(context, { decoder: model, tokenizer, config, stage });
  },
};
