/**
 * Losses of decoders. The logits are never all there: the head is multiplied in chunks of tokens.
 *
 * @module
 */
import {
  type Chunking,
  type CrossEntropyOptions,
  type DivergenceOptions,
  linearCrossEntropy,
  linearKl,
  linearLogProbs,
  type LogProbOptions,
  type Tensor,
  type TokenDivergence,
  type TokenLogProbs,
  type TokenLoss,
} from "../tensor/mod.ts";
import type { Decoder, ForwardOptions } from "./decoder.ts";

/**
 * The mean cross-entropy of the tokens that a decoder predicts. ids and targets: i32 [batch, time], or [tokens] of packed
 * sequences; a target of -1 does not count. `nll` is f32 [tokens], of all sequences one after the other.
 * Throws IndexError for ids or targets outside of the vocabulary.
 *
 * @example
 * ```ts
 * import { Decoder, decoderCrossEntropy, type DecoderSpec } from "@denotron/denotron/nn";
 * import { scope, Tensor } from "@denotron/denotron/tensor";
 * import assert from "node:assert/strict";
 *
 * const spec: DecoderSpec = {
 *   vocab: 32, dim: 16, context: 64, headDim: 8, tied: true,
 *   norm: { kind: "rms_norm", eps: 1e-5 },
 *   rope: { theta: 10_000, fraction: 1, scaling: null },
 *   blocks: [{ attention: { kind: "gqa", heads: 2, kvHeads: 1 }, ffn: null }],
 * };
 * using decoder = new Decoder(spec);
 * const text = [1, 2, 3, 4, 5, 6];
 * const loss = scope(() => {
 *   const ids = Tensor.from(text.slice(0, -1), [1, 5], { dtype: "i32" });
 *   const targets = Tensor.from(text.slice(1), [1, 5], { dtype: "i32" });
 *   const { loss } = decoderCrossEntropy(decoder, ids, targets);
 *   loss.backward();
 *   return loss.item();
 * });
 * assert.ok(Math.abs(loss - Math.log(32)) < 1); // it knows nothing yet
 * ```
 */
export function decoderCrossEntropy(
  decoder: Decoder,
  ids: Tensor,
  targets: Tensor,
  options: ForwardOptions & CrossEntropyOptions & Chunking = {},
): TokenLoss {
  const hidden = rowsOf(decoder.hidden(ids, options));
  return linearCrossEntropy(hidden, decoder.headWeight, targets.reshape([-1]), options);
}

/**
 * The log-probability that a decoder gives each target, and the entropy of its prediction there, f32 [tokens]. ids and
 * targets: i32 [batch, time], or [tokens] of packed sequences; a target of -1 gives 0.
 * Throws IndexError for ids or targets outside of the vocabulary.
 */
export function decoderLogProbs(
  decoder: Decoder,
  ids: Tensor,
  targets: Tensor,
  options: ForwardOptions & LogProbOptions = {},
): TokenLogProbs {
  const hidden = rowsOf(decoder.hidden(ids, options));
  return linearLogProbs(hidden, decoder.headWeight, targets.reshape([-1]), options);
}

/**
 * The mean divergence of a student's predictions from a teacher's, given what the `hidden()` of each returned for the same
 * ids: [..., dim], where the dims may differ. Gradients flow to the student only.
 * Throws ShapeError when tokens or vocabularies differ.
 */
export function decoderDivergence(
  student: Decoder,
  studentHidden: Tensor,
  teacher: Decoder,
  teacherHidden: Tensor,
  options: DivergenceOptions & Chunking = {},
): TokenDivergence {
  const [own, other] = [rowsOf(studentHidden), rowsOf(teacherHidden)];
  return linearKl(own, student.headWeight, other, teacher.headWeight, options);
}

/** [..., dim] → [tokens, dim]. */
function rowsOf(hidden: Tensor): Tensor {
  return hidden.reshape([-1, hidden.shape.at(-1)!]);
}
