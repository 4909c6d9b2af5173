/**
 * Next-token prediction: what pretraining and supervised fine-tuning share.
 *
 * @module
 */
import { type Decoder, decoderCrossEntropy, packed, type Placement } from "../nn/mod.ts";
import { noGrad, scope, Tensor } from "../tensor/mod.ts";
import type { BatchSource, ReplayableLoss, Stage, StepLoss, TokenBatch } from "./stage.ts";

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
  const { tensors, of } = replayableTokenLoss(decoder);
  return { loss: of(tensors(batch, total)) };
}

/** The same for a GPU to replay. */
function replayableTokenLoss(decoder: Decoder): ReplayableLoss<TokenBatch> {
  return {
    key: ({ ids, lengths }) => `${ids.length} tokens in ${roundedCount(lengths)} sequences`,
    tensors: ({ ids, targets, lengths }, total) => {
      const none = new Array<number>(roundedCount(lengths) - lengths.length).fill(0);
      const { positions, sequences } = packed([...lengths, ...none]);
      const { queryOffsets, keyStarts, keyLengths } = sequences!;
      const integers = [ids, targets].map((x) => Tensor.from(x, [x.length], { dtype: "i32" }));
      const normalizer = Tensor.from([total], []);
      return [...integers, normalizer, positions as Tensor, queryOffsets, keyStarts, keyLengths];
    },
    of: ([ids, targets, normalizer, positions, queryOffsets, keyStarts, keyLengths]) => {
      const sequences = { queryOffsets, keyStarts, keyLengths };
      const placement: Placement = { positions, sequences };
      return decoderCrossEntropy(decoder, ids, targets, { placement, normalizer }).loss;
    },
  };
}

/** Sequences of no tokens make up the next power of two, so that shapes seldom change. */
function roundedCount({ length }: readonly number[]): number {
  return 2 ** Math.ceil(Math.log2(Math.max(1, length)));
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
  const loss = Object.assign(
    (batch: TokenBatch, total: number) => tokenLoss(model, batch, total),
    { replayable: replayableTokenLoss(model) },
  );
  return {
    name,
    model,
    batches,
    weight: trainedTokens,
    tokens: ({ ids }) => ids.length,
    loss,
    ...(heldOut && { evaluate: () => Promise.resolve(heldOutFigures(model, heldOut)) }),
    ...(sample && { sample }),
  };
}
