/**
 * The low-rank adapter of a linear layer.
 *
 * @module
 */
import { scope, type Tensor } from "../tensor/mod.ts";
import type { Dropout } from "./dropout.ts";
import { Module } from "./module.ts";

/**
 * s·(dropout(x)·Aᵀ)·Bᵀ (Hu et al., "LoRA", 2021). a: [rank, in], b: [out, rank]; x: [..., in] → [..., out].
 */
export class LowRank extends Module {
  #original: Tensor | null = null;
  /** Whether it is left out of what the layer computes for the time being. */
  suspended = false;

  /** An adapter that owns its factors; their product is multiplied by `scale`. */
  constructor(
    readonly a: Tensor,
    readonly b: Tensor,
    readonly scale: number,
    readonly dropout: Dropout,
  ) {
    super();
  }

  /** Whether it adds to what the layer computes: it does unless it is suspended, or merged into the weight. */
  get active(): boolean {
    return this.#original === null && !this.suspended;
  }

  /** x: [..., in] → [..., out]. */
  forward(x: Tensor): Tensor {
    return this.dropout.forward(x).linear(this.a).linear(this.b).mul(this.scale);
  }

  /**
   * Adds s·B·A to a weight [out, in], computed in f32. Returns the largest difference between that sum and what the weight
   * holds, which rounds it to its type. A copy of the weight is kept for `unmerge()`.
   */
  merge(weight: Tensor): number {
    return scope(() => {
      const original = weight.detach().clone();
      const product = this.b.detach().to("f32").matmul(this.a.detach().to("f32"));
      const sum = original.to("f32").add(product.mul(this.scale));
      weight.assign(sum);
      this.#original = original.keep();
      return weight.detach().to("f32").sub(sum).abs().max().item();
    });
  }

  /** Puts the weight back as it was before `merge()`, bit for bit. */
  unmerge(weight: Tensor): void {
    if (this.#original) weight.assign(this.#original);
    this.#forget();
  }

  #forget(): void {
    this.#original?.[Symbol.dispose]();
    this.#original = null;
  }

  /** Gives the memory back. Safe to call twice. */
  override [Symbol.dispose](): void {
    super[Symbol.dispose]();
    this.#forget();
  }
}
