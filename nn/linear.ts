/**
 * The linear layer.
 *
 * @module
 */
import type { Tensor } from "../tensor/mod.ts";
import type { LowRank } from "./low_rank.ts";
import { Module } from "./module.ts";

/**
 * y = x·Wᵀ + b, and + s·(x·Aᵀ)·Bᵀ with a low-rank adapter.
 * weight: [out, in], bias: [out]; x: [..., in] → [..., out].
 *
 * @example
 * ```ts
 * import { constant, Linear, parameter } from "@denotron/denotron/nn";
 * import { scope, Tensor } from "@denotron/denotron/tensor";
 * import assert from "node:assert/strict";
 *
 * using layer = new Linear(parameter([2, 3], constant(1)), parameter([2], constant(0.5)));
 * assert.deepEqual(scope(() => [...layer.forward(Tensor.from([1, 2, 3])).data()]), [6.5, 6.5]);
 * ```
 */
export class Linear extends Module {
  /** Adds to the layer's output; see `addLora()`. */
  adapter: LowRank | null = null;

  /** A layer that owns its weights. */
  constructor(readonly weight: Tensor, readonly bias: Tensor | null = null) {
    super();
  }

  /** x: [..., in] → [..., out]. */
  forward(x: Tensor): Tensor {
    let y = x.linear(this.weight);
    if (this.bias) y = y.add(this.bias);
    return this.adapter?.active ? y.add(this.adapter.forward(x)) : y;
  }
}
