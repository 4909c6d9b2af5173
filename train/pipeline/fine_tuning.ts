/**
 * The stage of the recipe that teaches conversations and the reasoning switch.
 *
 * @module
 */
import { sftRow } from "../data/synthetic/mod.ts";
import { sftStage } from "../sft.ts";
import type { PipelineStage } from "./context.ts";
import { generatedRows, trainInPipeline } from "./training.ts";

/** Conversations that differ; more than are ever read. */
const rowCount = 1_000_000;
const heldOutRows = 200;

/** Fine-tunes the parent on questions answered twice: with the working, and at once. */
export const fineTuningStage: PipelineStage = {
  name: "sft",
  title: "teaches answers with and without thinking",
  async run(context) {
    const { recipe: { seed, tasks, sft } } = context;
    const tokenizer = await context.tokenizer();
    using decoder = context.load("search", { train: true });
    const rows = { ...tasks, seed, carefulShare: sft.carefulShare };
    return await trainInPipeline(context, {
      decoder,
      tokenizer,
      config: sft,
      rows: generatedRows("conversations", rowCount, (i) => ({ ...sftRow(i, rows) })),
      heldOut: generatedRows(
        "held-out conversations",
        heldOutRows,
        (i) => ({ ...sftRow(i, { ...rows, split: "validation" }) }),
      ),
      stage: (data) => sftStage({ model: decoder, ...data }),
    });
  },
};
