/**
 * The stage of the recipe that takes a parent which is there already.
 *
 * @module
 */
import { Decoder, openCheckpoint, summarize } from "../../nn/mod.ts";
import { Tokenizer } from "../../text/mod.ts";
import { heldOutFigures } from "../token_loss.ts";
import type { PipelineStage } from "./context.ts";
import { openTexts } from "./texts.ts";
import { heldOutBatches } from "./training.ts";

/** Copies the given model with its tokenizer, and measures it. */
export const parentStage: PipelineStage = {
  name: "parent",
  title: "takes the given model, and measures it",
  async run({ recipe, run, place, modelFolder }) {
    const { seed, dtype, puzzle: config, tokenizer: { path } } = recipe;
    using source = openCheckpoint(recipe.model!);
    using decoder = Decoder.load(source, { dtype, train: false });
    const { spec } = decoder;
    decoder.save(modelFolder);
    const tokenizer = await Tokenizer.load(path ?? recipe.model!);
    await tokenizer.save(modelFolder);
    run.model(`${place}/model`);
    using texts = await openTexts(recipe);
    const heldOut = await heldOutBatches(texts.heldOut, { spec, tokenizer, config, seed });
    const { loss, perplexity } = heldOutFigures(decoder, heldOut);
    const { parameters } = summarize(spec);
    return { tokens: 0, metrics: { loss, perplexity, parameters: parameters.total } };
  },
};
