/**
 * Distances between the activations of two models.
 *
 * @module
 */
import * as ops from "../ops/mod.ts";
import { scope } from "../scope.ts";
import { call, type Tensor } from "../tensor.ts";
import { tokenScales, type Weighting } from "./weights.ts";

/** How an error is measured against the target's size. */
export interface NormalizedMseOptions {
  /** Divide over the whole batch, or each row by its own; `batch` by default. */
  readonly over?: "batch" | "row";
  /** Keeps the divisor from 0; 1e-6 by default. */
  readonly eps?: number;
}

/** How angles are averaged. */
export interface CosineOptions extends Weighting {
  /** The least norm to divide by; 1e-8 by default. */
  readonly eps?: number;
}

/**
 * mean (x − y)² over all elements, f32. Gradients flow to both.
 *
 * Throws ShapeError or DTypeError when the two differ.
 *
 * @example
 * ```ts
 * import { mseLoss, Tensor } from "@denotron/denotron/tensor";
 * import assert from "node:assert/strict";
 *
 * using x = Tensor.from([1, 2]), y = Tensor.from([1, 4]);
 * using loss = mseLoss(x, y);
 * assert.equal(loss.item(), 2);
 * ```
 */
export function mseLoss(x: Tensor, y: Tensor): Tensor {
  return scope(() => call(ops.squaredError, [x, y], undefined)[0].sum().div(x.size));
}

/**
 * The error relative to the size of the target: Σ (x − y)² / (Σ y² + eps), over the whole batch (with eps per element, as
 * an MSE over an MSE), or the mean of it over rows (the last axis). The target gets no gradient. This is the loss that
 * block libraries are trained with (Bercovich et al., "Puzzle", 2024, appendix A).
 *
 * Throws ShapeError or DTypeError when the two differ.
 *
 * @example
 * ```ts
 * import { normalizedMse, Tensor } from "@denotron/denotron/tensor";
 * import assert from "node:assert/strict";
 *
 * using x = Tensor.from([[0, 0]]), target = Tensor.from([[3, 4]]);
 * using loss = normalizedMse(x, target);
 * assert.ok(Math.abs(loss.item() - 1) < 1e-6);
 * ```
 */
export function normalizedMse(
  x: Tensor,
  target: Tensor,
  { over = "batch", eps = 1e-6 }: NormalizedMseOptions = {},
): Tensor {
  return scope(() => {
    const [errors, squares] = call(ops.squaredError, [x, target.detach()], undefined);
    if (over === "row") return errors.div(squares.add(eps)).mean();
    return errors.sum().div(squares.sum().add(eps * x.size));
  });
}

/**
 * The mean of 1 − cos(x, y) over rows (the last axis), f32: cos = x·y / (max(‖x‖, eps)·max(‖y‖, eps)). [..., n]; weights
 * are [...]. Gradients flow to both.
 *
 * Throws ShapeError or DTypeError when the two differ.
 *
 * @example
 * ```ts
 * import { cosineLoss, Tensor } from "@denotron/denotron/tensor";
 * import assert from "node:assert/strict";
 *
 * using x = Tensor.from([[1, 0], [1, 0]]), y = Tensor.from([[2, 0], [0, 3]]);
 * using loss = cosineLoss(x, y);
 * assert.equal(loss.item(), 0.5);
 * ```
 */
export function cosineLoss(x: Tensor, y: Tensor, options: CosineOptions = {}): Tensor {
  return scope(() => {
    const [rows] = call(ops.cosineDistance, [x, y], { eps: options.eps ?? 1e-8 });
    return rows.mul(tokenScales("cosineLoss", rows, rows.shape, options)).sum();
  });
}
