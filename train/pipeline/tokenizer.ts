/**
 * The first stage of the recipe.
 *
 * @module
 */
import { trainSyntheticTokenizer } from "../data/synthetic/mod.ts";
import type { PipelineStage } from "./context.ts";

/** Learns the vocabulary of the run's texts. */
export const tokenizerStage: PipelineStage = {
  name: "tokenizer",
  title: "learns a vocabulary",
  async run({ recipe: { seed, tokenizer, pretrain: { shape } }, modelFolder }) {
    const trained = trainSyntheticTokenizer({
      vocabularySize: shape.vocabulary,
      rows: tokenizer.rows,
      seed,
    });
    await Deno.mkdir(modelFolder, { recursive: true });
    await trained.save(modelFolder);
    return { tokens: 0, metrics: { vocabulary: trained.vocabulary.size } };
  },
};
