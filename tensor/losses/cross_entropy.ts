/**
 * Cross-entropy, of logits or of a head whose logits are never all there.
 *
 * @module
 */
import { noGrad } from "../autograd.ts";
import { crossEntropyGradient, type CrossEntropyParams } from "../ops/cross_entropy.ts";
import { checkPerToken } from "../ops/logits.ts";
import * as ops from "../ops/mod.ts";
import { scope } from "../scope.ts";
import { call, callInto, type Tensor } from "../tensor.ts";
import { attachHead } from "./attach_head.ts";
import {
  checkHead,
  ChunkedHead,
  type Chunking,
  chunkSize,
  chunksOf,
  HeadGradient,
  headNeeds,
  rowsOf,
} from "./head.ts";
import { tokenScales, type Weighting } from "./weights.ts";

/** What a cross-entropy counts. */
export interface CrossEntropyOptions extends Weighting {
  /** The target of tokens that do not count; -1 by default. */
  readonly ignoreIndex?: number;
  /** Share of the target's probability that is spread over the vocabulary; 0 by default. */
  readonly labelSmoothing?: number;
  /** Times the mean of (log Σ exp z)², which keeps logits from drifting; 0 by default. */
  readonly zLoss?: number;
}

/** A loss, and what each token contributes. */
export interface TokenLoss {
  /** The weighted mean, one number. */
  readonly loss: Tensor;
  /** −log p of each token's target, f32 [tokens], without smoothing and z-loss; 0 where ignored. No gradient. */
  readonly nll: Tensor;
}

function paramsOf(options: CrossEntropyOptions): CrossEntropyParams {
  const { ignoreIndex = -1, labelSmoothing = 0, zLoss = 0 } = options;
  return { ignoreIndex, labelSmoothing, zLoss, temperature: 1 };
}

/**
 * The mean cross-entropy of logits [tokens, vocab] and targets i32 [tokens]:
 * (1 − labelSmoothing)·(−log p_t) + labelSmoothing·mean(−log p) + zLoss·(log Σ exp z)² of each token, f32. 0 where no
 * token counts (PyTorch: NaN).
 *
 * Throws ShapeError or DTypeError when the inputs do not fit, IndexError for a target outside the vocabulary.
 *
 * @example
 * ```ts
 * import { crossEntropy, Tensor } from "@denotron/denotron/tensor";
 * import assert from "node:assert/strict";
 *
 * using logits = Tensor.zeros([2, 4]), targets = Tensor.from([3, -1], [2], { dtype: "i32" });
 * using loss = crossEntropy(logits, targets); // the second token does not count
 * assert.ok(Math.abs(loss.item() - Math.log(4)) < 1e-6);
 * ```
 */
export function crossEntropy(
  logits: Tensor,
  targets: Tensor,
  options: CrossEntropyOptions = {},
): Tensor {
  return scope(() => {
    const params = paramsOf(options), [losses] = call(ops.crossEntropy, [logits, targets], params);
    const counted = targets.notEqual(params.ignoreIndex);
    return losses.mul(tokenScales("crossEntropy", losses, losses.shape, options, counted)).sum();
  });
}

/**
 * What {@link crossEntropy} computes of the logits hidden·Wᵀ, without ever holding more than a chunk of them: each chunk's
 * logits become their own gradient in place, and go into the gradients of both factors at once. hidden: [tokens, dim],
 * weight: [vocab, dim], targets: i32 [tokens]. The chunks change rounding only; log-probabilities do not depend on them.
 *
 * Throws ShapeError or DTypeError when the inputs do not fit, IndexError for a target outside the vocabulary.
 *
 * @example
 * ```ts
 * import { linearCrossEntropy, scope, Tensor } from "@denotron/denotron/tensor";
 * import assert from "node:assert/strict";
 *
 * scope(() => {
 *   const hidden = Tensor.ones([3, 2]), weight = Tensor.zeros([4, 2]).requireGrad();
 *   const targets = Tensor.from([0, 1, 2], [3], { dtype: "i32" });
 *   const { loss, nll } = linearCrossEntropy(hidden, weight, targets);
 *   loss.backward();
 *   assert.ok(Math.abs(loss.item() - Math.log(4)) < 1e-6);
 *   assert.deepEqual(nll.shape, [3]);
 *   assert.deepEqual(weight.grad!.shape, [4, 2]);
 * });
 * ```
 */
export function linearCrossEntropy(
  hidden: Tensor,
  weight: Tensor,
  targets: Tensor,
  options: CrossEntropyOptions & Chunking = {},
): TokenLoss {
  const name = "linearCrossEntropy", [tokens] = hidden.shape, params = paramsOf(options);
  checkHead(name, hidden, weight);
  checkPerToken(name, "targets", targets, tokens, "i32");
  const chunk = chunkSize(name, weight.shape[0], options), needs = headNeeds(hidden, weight);
  const { loss, nll, gradient } = noGrad(() =>
    scope(() => {
      const counted = targets.notEqual(params.ignoreIndex);
      const scales = tokenScales(name, hidden, [tokens], options, counted);
      const perToken = [0, 1, 2].map(() => scales.newEmpty([tokens])); // loss, nll, entropy
      const head = new ChunkedHead(hidden, weight, chunk);
      const gradient = new HeadGradient(hidden, weight, needs);
      for (const rows of chunksOf(tokens, chunk)) {
        const logits = head.logits(rows), target = rowsOf(targets, rows);
        const outputs = perToken.map((x) => rowsOf(x, rows));
        if (needs.hidden || needs.weight) {
          const d = head.gradient(rows), inputs = [logits, target, rowsOf(scales, rows)] as const;
          callInto(crossEntropyGradient, inputs, [d, ...outputs], { ...params, dtype: d.dtype });
          gradient.add(d, rows);
        } else callInto(ops.crossEntropy, [logits, target], outputs, params);
      }
      const [losses, nll] = perToken;
      return { loss: losses.mul(scales).sum(), nll, gradient: gradient.results };
    })
  );
  attachHead(name, loss, hidden, weight, gradient);
  return { loss, nll };
}
