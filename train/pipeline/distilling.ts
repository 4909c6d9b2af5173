/**
 * The stage of the recipe in which the child learns from its parent.
 *
 * @module
 */
import { join } from "node:path";
import { compareDecoders } from "../compare.ts";
import { distillStage } from "../distill.ts";
import type { FusionRecord } from "../puzzle/fuse_child.ts";
import { readJson } from "../puzzle/json_file.ts";
import type { PipelineStage } from "./context.ts";
import { fusionFile } from "./fusing.ts";
import { openTexts } from "./texts.ts";
import { batchesOf, heldOutBatches, trainInPipeline } from "./training.ts";

/** Global knowledge distillation of the whole child. */
export const distillationStage: PipelineStage = {
  name: "distill",
  title: "lets the child learn what the parent predicts",
  async run(context) {
    const { recipe } = context, { seed, distill: config } = recipe;
    using texts = await openTexts(recipe);
    const tokenizer = await context.tokenizer();
    const fused = context.has("fusion")
      ? readJson<FusionRecord>(join(context.folderOf("fusion"), fusionFile))
      : null;
    using teacher = context.loadParent();
    using student = context.loadNewest({ train: true });
    const reader = { spec: student.spec, tokenizer, config, seed };
    const heldOut = await heldOutBatches(texts.heldOut, reader);
    const before = compareDecoders(teacher, student, heldOut);
    const { direction, beta, temperature, klWeight, cosineWeight, lossWeight } = config;
    const stage = distillStage({
      ...{ student, teacher, heldOut, batches: batchesOf(texts.train, reader) },
      ...{ direction, beta, temperature, klWeight, cosineWeight, lossWeight },
      ...fused && fused.depths.length > 0 ? { depths: fused.depths } : {},
    });
    const outcome = await trainInPipeline(context, { decoder: student, tokenizer, config, stage });
    if (outcome === null) return null;
    const after = compareDecoders(teacher, student, heldOut);
    return {
      ...outcome,
      metrics: {
        ...outcome.metrics,
        ...{ lossBefore: before.loss, lossAfter: after.loss },
        ...{ klBefore: before.kl, klAfter: after.kl },
      },
    };
  },
};
