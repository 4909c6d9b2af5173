/**
 * Log-probabilities of chosen tokens, for preference and reinforcement learning.
 *
 * @module
 */
import { attach, noGrad } from "../autograd.ts";
import { crossEntropyGradient, type CrossEntropyParams } from "../ops/cross_entropy.ts";
import { checkPerToken } from "../ops/logits.ts";
import * as ops from "../ops/mod.ts";
import { scope } from "../scope.ts";
import { callInto, type Tensor } from "../tensor.ts";
import {
  checkHead,
  ChunkedHead,
  type Chunking,
  chunkSize,
  chunksOf,
  HeadGradient,
  type HeadGradients,
  type HeadNeeds,
  headNeeds,
  rowsOf,
} from "./head.ts";
import { wideType } from "./weights.ts";

/** How log-probabilities are computed. */
export interface LogProbOptions extends Chunking {
  /** Divides the logits; 1 by default. */
  readonly temperature?: number;
  /** The target of tokens that have none; -1 by default. */
  readonly ignoreIndex?: number;
}

/** What a head says about each token. */
export interface TokenLogProbs {
  /** log p of each token's target, f32 [tokens]; 0 where ignored. */
  readonly logProbs: Tensor;
  /** −Σ p·log p over the vocabulary, f32 [tokens]; 0 where ignored. No gradient. */
  readonly entropy: Tensor;
}

/** A head, its targets, and how to look at them. */
interface Call {
  readonly hidden: Tensor;
  readonly weight: Tensor;
  readonly targets: Tensor;
  readonly chunk: number;
  readonly params: CrossEntropyParams;
}

/** log p_t = −crossEntropy, chunk by chunk. */
function forward({ hidden, weight, targets, chunk, params }: Call): TokenLogProbs {
  return scope(() => {
    const [tokens] = hidden.shape;
    const perToken = [0, 1, 2].map(() => hidden.newEmpty([tokens], wideType(hidden.dtype)));
    const head = new ChunkedHead(hidden, weight, chunk);
    for (const rows of chunksOf(tokens, chunk)) {
      const outputs = perToken.map((x) => rowsOf(x, rows));
      callInto(ops.crossEntropy, [head.logits(rows), rowsOf(targets, rows)], outputs, params);
    }
    const [_loss, nll, entropy] = perToken;
    return { logProbs: nll.neg(), entropy };
  });
}

/** Computes the logits again, because together they are too large to keep. g: [tokens]. */
function backward(
  { hidden, weight, targets, chunk, params }: Call,
  g: Tensor,
  needs: HeadNeeds,
  into: Tensor | null,
): HeadGradients {
  const slopes = g.neg(), scratch = [0, 1, 2].map(() => slopes.newEmpty(slopes.shape));
  const head = new ChunkedHead(hidden, weight, chunk);
  const gradient = new HeadGradient(hidden, weight, needs, into);
  for (const rows of chunksOf(hidden.shape[0], chunk)) {
    const logits = head.logits(rows), d = head.gradient(rows);
    const inputs = [logits, rowsOf(targets, rows), rowsOf(slopes, rows)] as const;
    const outputs = [d, ...scratch.map((x) => rowsOf(x, rows))];
    callInto(crossEntropyGradient, inputs, outputs, { ...params, dtype: d.dtype });
    gradient.add(d, rows);
  }
  return gradient.results;
}

/**
 * log softmax(hidden·Wᵀ / temperature) of each token's target, and the entropy, without ever holding more than a chunk of
 * the logits; backward computes them again. hidden: [tokens, dim], weight: [vocab, dim], targets: i32 [tokens].
 *
 * Throws ShapeError or DTypeError when the inputs do not fit, IndexError for a target outside the vocabulary.
 *
 * @example
 * ```ts
 * import { linearLogProbs, scope, Tensor } from "@denotron/denotron/tensor";
 * import assert from "node:assert/strict";
 *
 * scope(() => {
 *   const hidden = Tensor.ones([2, 3]).requireGrad(), weight = Tensor.zeros([4, 3]);
 *   const targets = Tensor.from([0, 3], [2], { dtype: "i32" });
 *   const { logProbs, entropy } = linearLogProbs(hidden, weight, targets);
 *   logProbs.sum().backward();
 *   assert.ok(Math.abs(logProbs.data()[1] + Math.log(4)) < 1e-6);
 *   assert.ok(Math.abs(entropy.data()[1] - Math.log(4)) < 1e-6);
 * });
 * ```
 */
export function linearLogProbs(
  hidden: Tensor,
  weight: Tensor,
  targets: Tensor,
  options: LogProbOptions = {},
): TokenLogProbs {
  const name = "linearLogProbs", { temperature = 1, ignoreIndex = -1 } = options;
  if (!(temperature > 0)) {
    throw new RangeError(`${name}: the temperature must be more than 0 (${temperature}).`);
  }
  checkHead(name, hidden, weight);
  checkPerToken(name, "targets", targets, hidden.shape[0], "i32");
  const params = { ignoreIndex, labelSmoothing: 0, zLoss: 0, temperature };
  const chunk = chunkSize(name, weight.shape[0], options), needs = headNeeds(hidden, weight);
  const result = noGrad(() => forward({ hidden, weight, targets, chunk, params }));
  if (!needs.hidden && !needs.weight) return result;
  const saved = [hidden, weight, targets].map((x) => x.alias());
  const leaf = weight.node === null;
  attach(name, [hidden, weight], [result.logProbs], saved, ([g]) => {
    const [hidden, savedWeight, targets] = saved,
      into = leaf && !weight.disposed ? weight.grad : null;
    const call = { hidden, weight: savedWeight, targets, chunk, params };
    const { hidden: ofHidden, weight: ofWeight } = backward(call, g!, needs, into);
    return [ofHidden, leaf ? ofWeight : ofWeight?.to(weight.dtype) ?? null];
  });
  return result;
}
