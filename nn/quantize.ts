/**
 * Copies of weights for generation: one matrix for layers that read the same, in the type that reads fastest.
 *
 * @module
 */
import { call, noGrad, scope, Tensor } from "../tensor/mod.ts";
import { matmulWide } from "../tensor/ops/mod.ts";
import type { Linear } from "./linear.ts";

/** What a copy reads of a layer. */
export type LinearWeights = Pick<Linear, "weight" | "bias" | "adapter">;

/** How a copy of weights is stored. */
export type WeightFormat = "f32" | "bf16";

/**
 * The outputs of several linear layers that read the same input, side by side: y = x·Wᵀ + b with their weights one below
 * the other, low-rank adapters merged. x: [..., in] → [..., sum of outs].
 *
 * @example
 * ```ts
 * import { constant, Linear, parameter, WeightCopy } from "@denotron/denotron/nn";
 * import { scope, Tensor } from "@denotron/denotron/tensor";
 * import assert from "node:assert/strict";
 *
 * using gate = new Linear(parameter([2, 3], constant(1)));
 * using up = new Linear(parameter([1, 3], constant(2)));
 * using copy = new WeightCopy([gate, up], "f32");
 * assert.deepEqual(scope(() => [...copy.forward(Tensor.from([1, 2, 3])).data()]), [6, 6, 12]);
 * ```
 */
export class WeightCopy implements Disposable {
  /** Rows of each layer, one below the other: [sum of outs, in]. */
  readonly weight: Tensor;
  /** [sum of outs]; null when no layer has one. */
  readonly bias: Tensor | null;
  /** How the weight is stored. */
  readonly format: WeightFormat;

  /** The weights of `layers` as they are now. */
  constructor(layers: readonly LinearWeights[], format: WeightFormat) {
    this.format = format;
    const outs = layers.reduce((sum, { weight }) => sum + weight.shape[0], 0);
    this.weight = Tensor.empty([outs, layers[0].weight.shape[1]], { dtype: format }).keep();
    this.bias = layers.some(({ bias }) => bias)
      ? Tensor.zeros([outs], { dtype: format }).keep()
      : null;
    this.refresh(layers);
  }

  /** Takes over what the same layers weigh now. */
  refresh(layers: readonly LinearWeights[]): void {
    noGrad(() =>
      scope(() => {
        let row = 0;
        for (const layer of layers) {
          const end = row + layer.weight.shape[0];
          this.weight.slice(0, row, end).assign(effectiveWeight(layer));
          if (layer.bias) this.bias!.slice(0, row, end).assign(layer.bias);
          row = end;
        }
      })
    );
  }

  /** x: [..., in] → [..., sum of outs], in the type of x. */
  forward(x: Tensor): Tensor {
    const y = x.linear(this.weight);
    return this.bias ? y.add(this.bias) : y;
  }

  /** x: [rows, in] → f32 [rows, sum of outs], without a bias: logits. */
  forwardWide(x: Tensor): Tensor {
    if (x.dtype === "f32") return x.linear(this.weight);
    return call(matmulWide, [x, this.weight.t()], {})[0];
  }

  /** Gives the memory back. Safe to call twice. */
  [Symbol.dispose](): void {
    this.weight[Symbol.dispose]();
    this.bias?.[Symbol.dispose]();
  }
}

/** What a layer multiplies by: W, or W + s·B·A with an adapter. */
function effectiveWeight({ weight, adapter }: LinearWeights): Tensor {
  if (!adapter?.active) return weight;
  const product = adapter.b.to("f32").matmul(adapter.a.to("f32"));
  return weight.to("f32").add(product.mul(adapter.scale));
}
