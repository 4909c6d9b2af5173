/**
 * The language model's head.
 *
 * @module
 */
import { call, type Tensor } from "../tensor/mod.ts";
import { matmulWide } from "../tensor/ops/mod.ts";
import { Module } from "./module.ts";

/** logits = x·Wᵀ. weight: [vocab, dim]; x: [..., dim] → f32 [..., vocab]. */
export class Head extends Module {
  /** A head that owns its weight. */
  constructor(readonly weight: Tensor) {
    super();
  }

  /** x: [..., dim] → f32 [..., vocab]. */
  forward(x: Tensor): Tensor {
    return projectWide(x, this.weight);
  }
}

/** x·Wᵀ as f32 whatever the inputs are: bf16 has too few digits to tell likely tokens apart. */
export function projectWide(x: Tensor, weight: Tensor): Tensor {
  if (x.dtype === "f32") return x.linear(weight);
  const [vocab, dim] = weight.shape;
  return call(matmulWide, [x.reshape([x.size / dim, dim]), weight.t()], {})[0]
    .reshape([...x.shape.slice(0, -1), vocab]);
}
