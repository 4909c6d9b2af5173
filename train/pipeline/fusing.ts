/**
 * The stage of the recipe that makes feed-forward parts run side by side.
 *
 * @module
 */
import { join } from "node:path";
import { Decoder, openHuggingFace, summarize, writeHuggingFace } from "../../nn/mod.ts";
import { compareDecoders } from "../compare.ts";
import { fuseChild } from "../puzzle/fuse_child.ts";
import { writeJson } from "../puzzle/json_file.ts";
import type { PipelineStage } from "./context.ts";
import { openTexts } from "./texts.ts";
import { heldOutBatches } from "./training.ts";

/** What the stage of distillation reads: see `FusionRecord`. */
export const fusionFile = "fusion.json";

/** FFN Fusion: parts without attention between them become one wide part. */
export const fusionStage: PipelineStage = {
  name: "fusion",
  title: "joins feed-forward parts that have no attention between them",
  async run(context) {
    const { recipe, view, folder, modelFolder } = context, { seed, dtype, puzzle } = recipe;
    const { enabled, maxHidden, maxDependency, ...others } = recipe.fusion;
    const limits = {
      ...maxHidden === undefined ? {} : { maxHidden },
      ...maxDependency === undefined ? {} : { maxDependency },
    };
    using child = openHuggingFace(context.modelOf("puzzle"));
    const tokenizer = await context.tokenizer();
    using texts = await openTexts(recipe);
    const reader = { spec: child.spec, tokenizer, config: puzzle, seed };
    const { record, fused } = fuseChild(child, {
      fusion: enabled ? { ...others, ...limits } : null,
      calibration: await heldOutBatches(texts.calibration, reader),
      dtype,
    });
    writeHuggingFace(modelFolder, fused, { like: child.config, files: child.files });
    writeJson(join(folder, fusionFile), record);
    view.tell(saying(record.groups));
    using parent = context.loadParent();
    using model = Decoder.load(modelFolder, { dtype, train: false });
    const { loss, kl } = compareDecoders(
      parent,
      model,
      await heldOutBatches(texts.heldOut, reader),
    );
    const { parameters } = summarize(model.spec), blocks = model.spec.blocks.length;
    return {
      tokens: 0,
      metrics: { loss, kl, blocks, parameters: parameters.total, groups: record.groups },
    };
  },
};

function saying(groups: readonly (readonly number[])[]): string {
  if (groups.length === 0) return "fusion: the child has no such parts, it stays as it is";
  return `fusion: ${groups.map((group) => `blocks ${group.join(" and ")}`).join("; ")}`;
}
