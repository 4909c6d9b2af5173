/**
 * The stage of the recipe that teaches conversations and the reasoning switch.
 *
 * @module
 */
import { sftStage } from "../sft.ts";
import type { PipelineStage } from "./context.ts";
import { openConversations } from "./questions.ts";
import { batchesOf, heldOutBatches, trainInPipeline } from "./training.ts";

/** Fine-tunes the child on questions answered twice: with the working, and at once. */
export const fineTuningStage: PipelineStage = {
  name: "sft",
  title: "teaches answers with and without thinking",
  async run(context) {
    const { recipe } = context, { seed, sft: config } = recipe;
    const tokenizer = await context.tokenizer();
    using model = context.loadNewest({ train: true });
    using conversations = await openConversations(recipe);
    const reader = { spec: model.spec, tokenizer, config, seed };
    const stage = sftStage({
      model,
      batches: batchesOf(conversations.train, reader),
      heldOut: await heldOutBatches(conversations.heldOut, reader),
    });
    return await trainInPipeline(context, { decoder: model, tokenizer, config, stage });
  },
};
