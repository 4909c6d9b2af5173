/**
 * Next-token prediction: what pretraining and supervised fine-tuning share.
 *
 * @module
 */
import { type Decoder, decoderCrossEntropy } from "../nn/mod.ts";
import { noGrad, scope, Tensor } from "../tensor/mod.ts";
import type { BatchSource, Stage, StepLoss, TokenBatch } from "./stage.ts";

/** What a stage of next-token prediction needs. */
export interface TokenStageOptions {
  /** A decoder that trains whole, or in part, or through low-rank adapters: whatever is not frozen. */
  readonly model: Decoder;
  /** What it learns from. */
  readonly batches: BatchSource<TokenBatch>;
  /** Micro-batches that it does not learn from, to evaluate. */
  readonly heldOut?: readonly TokenBatch[];
  /** A text to look at. */
  readonly sample?: () => Promise<string>;
}

/** How many tokens of a micro-batch are trained. */
export function trainedTokens({ targets }: TokenBatch): number {
  return targets.reduce((count, target) => target >= 0 ? count + 1 : count, 0);
}

/** The cross-entropy of a micro-batch's trained tokens, summed and divided by `total`. */
export function tokenLoss(decoder: Decoder, batch: TokenBatch, total: number): StepLoss {
  const { loss } = decoderCrossEntropy(decoder, ...tensorsOf(batch), {
    lengths: batch.lengths,
    normalizer: total,
  });
  return { loss };
}

/** The mean cross-entropy of all trained tokens, in nats, and its exponential. */
export function heldOutFigures(
  decoder: Decoder,
  batches: readonly TokenBatch[],
): { readonly loss: number; readonly perplexity: number } {
  let sum = 0, count = 0;
  for (const batch of batches) {
    count += trainedTokens(batch);
    sum += noGrad(() => scope(() => tokenLoss(decoder, batch, 1).loss.item()));
  }
  const loss = sum / count;
  return { loss, perplexity: Math.exp(loss) };
}

/** A stage whose loss is that of its trained tokens. */
export function tokenStage(
  name: string,
  { model, batches, heldOut, sample }: TokenStageOptions,
): Stage<TokenBatch> {
  return {
    name,
    model,
    batches,
    weight: trainedTokens,
    tokens: ({ ids }) => ids.length,
    loss: (batch, total) => tokenLoss(model, batch, total),
    ...(heldOut && { evaluate: () => Promise.resolve(heldOutFigures(model, heldOut)) }),
    ...(sample && { sample }),
  };
}

/** ids and targets, i32 [tokens]. */
function tensorsOf({ ids, targets }: TokenBatch): [Tensor, Tensor] {
  const tensor = (values: Int32Array) => Tensor.from(values, [values.length], { dtype: "i32" });
  return [tensor(ids), tensor(targets)];
}
