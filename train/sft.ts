/**
 * Supervised fine-tuning.
 *
 * @module
 */
import { batchesInTurn, type BatchPart } from "./batches.ts";
import type { TrainOptions } from "./options.ts";
import { type ScheduledPart, schedulesInTurn } from "./schedule.ts";
import type { BatchSource, Stage, TokenBatch } from "./stage.ts";
import { tokenStage, type TokenStageOptions } from "./token_loss.ts";

/** A part of fine-tuning: a mixture of data, and its learning rate. */
export interface SftBlend extends BatchPart<TokenBatch>, ScheduledPart {
  /** Begin it with an optimizer that has forgotten its means; false by default. */
  readonly resetOptimizer?: boolean;
}

/** Blends as one run. */
export interface SftPlan extends Pick<TrainOptions, "steps" | "lr" | "resetOptimizerAt"> {
  /** The blends' batches, one blend after the other. */
  readonly batches: BatchSource<TokenBatch>;
}

/**
 * Cross-entropy on the tokens that the assistant wrote, each of which counts for the same, whatever row it is in. All of
 * `model` trains, or what is not frozen, such as low-rank adapters. `filterRows()` leaves only rows whose answer is right.
 */
export function sftStage(options: TokenStageOptions): Stage<TokenBatch> {
  return tokenStage("sft", options);
}

/**
 * Fine-tuning in several blends, each with a learning rate of its own, as LN-Nano's three (2505.00949, section 4): only
 * reasoning; with plain answers among it; then a small one of chat, instructions and tools.
 *
 * @example
 * ```ts
 * import {
 *   constantSchedule,
 *   cosineSchedule,
 *   packedBatches,
 *   rowsOf,
 *   sftBlends,
 *   streamRows,
 * } from "@denotron/denotron/train";
 * import assert from "node:assert/strict";
 *
 * const answer = { ids: Int32Array.of(5, 6), trained: Uint8Array.of(0, 1) };
 * const batches = () =>
 *   packedBatches({ source: streamRows(rowsOf([answer], "answers")), context: 4, tokensPerBatch: 4 });
 * const plan = sftBlends([
 *   { steps: 100, batches: batches(), schedule: cosineSchedule({ peak: 1e-4, steps: 100 }) },
 *   { steps: 20, batches: batches(), schedule: constantSchedule({ peak: 1e-5 }), resetOptimizer: true },
 * ]);
 * assert.deepEqual([plan.steps, plan.resetOptimizerAt, plan.lr(101)], [120, [101], 1e-5]);
 * ```
 */
export function sftBlends(blends: readonly SftBlend[]): SftPlan {
  const firstSteps: number[] = [];
  let steps = 0;
  for (const blend of blends) {
    if (blend.resetOptimizer) firstSteps.push(steps + 1);
    steps += blend.steps;
  }
  return {
    steps,
    batches: batchesInTurn(blends),
    lr: schedulesInTurn(blends),
    resetOptimizerAt: firstSteps,
  };
}
