/**
 * Normalisations over the last axis.
 *
 * @module
 */
import type { Tensor } from "../tensor/mod.ts";
import { Module } from "./module.ts";

/** A normalisation that keeps the shape. */
export type Norm = RmsNorm | LayerNorm | LayerNorm1p;

/** x / √(mean x² + eps) ⊙ weight (Zhang & Sennrich, 2019). weight: [dim]; x: [..., dim] → same. */
export class RmsNorm extends Module {
  /** A layer that owns its weight. */
  constructor(readonly weight: Tensor, readonly eps: number = 1e-5) {
    super();
  }

  /** x: [..., dim] → same. */
  forward(x: Tensor): Tensor {
    return x.rmsNorm(this.weight, this.eps);
  }
}

/** (x − mean) / √(variance + eps) ⊙ weight + bias (Ba et al., 2016). weight, bias: [dim]; x: [..., dim] → same. */
export class LayerNorm extends Module {
  /** A layer that owns its weights. */
  constructor(readonly weight: Tensor, readonly bias: Tensor, readonly eps: number = 1e-5) {
    super();
  }

  /** x: [..., dim] → same. */
  forward(x: Tensor): Tensor {
    return x.layerNorm(this.weight, this.bias, this.eps);
  }
}

/**
 * (x − mean) / √(variance + eps) ⊙ (1 + weight) + bias, so that weight decay pulls the scale to 1 (Nemotron-4).
 * weight, bias: [dim]; x: [..., dim] → same.
 */
export class LayerNorm1p extends Module {
  /** A layer that owns its weights. */
  constructor(readonly weight: Tensor, readonly bias: Tensor, readonly eps: number = 1e-5) {
    super();
  }

  /** x: [..., dim] → same. */
  forward(x: Tensor): Tensor {
    return x.layerNorm(this.weight, this.bias, this.eps, { onePlus: true });
  }
}
