/**
 * Pretraining, and continued pretraining.
 *
 * @module
 */
import type { Stage, TokenBatch } from "./stage.ts";
import { tokenStage, type TokenStageOptions } from "./token_loss.ts";

/**
 * Plain next-token prediction. Continued pretraining, as of Nemotron-4 15B (2402.16819, section 2), is the same with
 * `batchesInTurn()` of two distributions and a `steepSchedule()`; a batch that grows is `rampedBatches()` of a
 * `batchRamp()`.
 */
export function pretrainStage(options: TokenStageOptions): Stage<TokenBatch> {
  return tokenStage("pretrain", options);
}
