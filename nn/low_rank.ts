/**
 * The low-rank adapter of a linear layer.
 *
 * @module
 */
import type { Tensor } from "../tensor/mod.ts";
import type { Dropout } from "./dropout.ts";
import { Module } from "./module.ts";

/**
 * s·(dropout(x)·Aᵀ)·Bᵀ (Hu et al., "LoRA", 2021). a: [rank, in], b: [out, rank]; x: [..., in] → [..., out].
 */
export class LowRank extends Module {
  /** Whether it adds anything; off while it is merged into the weight. */
  active = true;

  /** An adapter that owns its factors; their product is multiplied by `scale`. */
  constructor(
    readonly a: Tensor,
    readonly b: Tensor,
    readonly scale: number,
    readonly dropout: Dropout,
  ) {
    super();
  }

  /** x: [..., in] → [..., out]. */
  forward(x: Tensor): Tensor {
    return this.dropout.forward(x).linear(this.a).linear(this.b).mul(this.scale);
  }
}
