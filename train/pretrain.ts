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
 *
 * @example
 * ```ts
 * import { Decoder, type DecoderSpec } from "@denotron/denotron/nn";
 * import {
 *   packedBatches,
 *   pretrainStage,
 *   rowsOf,
 *   steepSchedule,
 *   streamRows,
 *   train,
 * } from "@denotron/denotron/train";
 * import assert from "node:assert/strict";
 *
 * const spec: DecoderSpec = {
 *   vocab: 32, dim: 16, context: 8, headDim: 8, tied: true,
 *   norm: { kind: "rms_norm", eps: 1e-5 },
 *   rope: { theta: 10_000, fraction: 1, scaling: null },
 *   blocks: [{ attention: { kind: "gqa", heads: 2, kvHeads: 1 }, ffn: null }],
 * };
 * using model = new Decoder(spec);
 * const text = { ids: Int32Array.of(1, 2, 3, 4), trained: Uint8Array.of(0, 1, 1, 1) };
 * const source = streamRows(rowsOf([text], "a text"));
 * const batches = packedBatches({ source, context: 8, tokensPerBatch: 8 });
 * const losses: number[] = [];
 * await train(pretrainStage({ model, batches }), {
 *   steps: 20,
 *   lr: steepSchedule({ peak: 0.03, steps: 20 }),
 * }, {
 *   folder: null,
 *   interrupted: false,
 *   metrics: (_, { loss }) => losses.push(loss),
 *   sample: () => {},
 *   warn: console.warn,
 * });
 * assert.ok(losses[19] < losses[0] / 2);
 * ```
 */
export function pretrainStage(options: TokenStageOptions): Stage<TokenBatch> {
  return tokenStage("pretrain", options);
}
