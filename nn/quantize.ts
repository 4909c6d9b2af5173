/**
 * Copies of weights for generation: one matrix for layers that read the same, in the type that reads fastest.
 *
 * @module
 */
import { call, callInto, noGrad, scope, Tensor } from "../tensor/mod.ts";
import { packedShape } from "../tensor/ops/int8.ts";
import { linearInt8, matmulWide, quantizeRows } from "../tensor/ops/mod.ts";
import type { Linear } from "./linear.ts";

/** What a copy reads of a layer. */
export type LinearWeights = Pick<Linear, "weight" | "bias" | "adapter">;

/**
 * How a copy of weights is stored. int8 has a scale for each row, and quantises what it multiplies, each token with a
 * scale of its own.
 */
export type WeightFormat = "f32" | "bf16" | "int8";

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
  /** How it is stored. */
  readonly format: WeightFormat;
  /** [sum of outs, in], all rows one below the other; or, for int8, what `quantizeRows` makes of that. */
  readonly #weights: readonly Tensor[];
  readonly #bias: Tensor | null;

  /** The weights of `layers` as they are now. */
  constructor(layers: readonly LinearWeights[], format: WeightFormat) {
    this.format = format;
    const out = layers.reduce((sum, { weight }) => sum + weight.shape[0], 0);
    const shape = [out, layers[0].weight.shape[1]];
    this.#weights = format === "int8"
      ? [
        Tensor.empty(packedShape(shape), { dtype: "i8" }).keep(),
        Tensor.empty([out]).keep(),
        Tensor.empty([out], { dtype: "i32" }).keep(),
      ]
      : [Tensor.empty(shape, { dtype: format }).keep()];
    const dtype = format === "int8" ? "f32" : format;
    this.#bias = layers.some(({ bias }) => bias) ? Tensor.zeros([out], { dtype }).keep() : null;
    this.refresh(layers);
  }

  /** Takes over what the same layers weigh now. */
  refresh(layers: readonly LinearWeights[]): void {
    noGrad(() =>
      scope(() => {
        const weights = layers.map(effectiveWeight);
        if (this.format === "int8") {
          callInto(quantizeRows, [Tensor.concat(weights)], this.#weights, undefined);
        } else {
          stack(weights, this.#weights[0]);
        }
        if (!this.#bias) return;
        const rows = layers.map(({ bias, weight }) => bias ?? weight.newZeros([weight.shape[0]]));
        stack(rows, this.#bias);
      })
    );
  }

  /** x: [..., in] → [..., sum of outs], in the type of x: bf16 for bf16, else f32. */
  forward(x: Tensor): Tensor {
    const y = this.#multiply(x);
    return this.#bias ? y.add(this.#bias) : y;
  }

  /** x: [rows, in] → f32 [rows, sum of outs], without a bias: logits. */
  forwardWide(x: Tensor): Tensor {
    if (x.dtype === "f32") return this.#multiply(x);
    return call(matmulWide, [x, this.#weights[0].t()], {})[0];
  }

  #multiply(x: Tensor): Tensor {
    const [weight, scales, sums] = this.#weights;
    if (this.format !== "int8") return x.linear(weight);
    return call(linearInt8, [x, weight, scales, sums], undefined)[0];
  }

  /** Gives the memory back. Safe to call twice. */
  [Symbol.dispose](): void {
    for (const weight of this.#weights) weight[Symbol.dispose]();
    this.#bias?.[Symbol.dispose]();
  }
}

/** What a layer multiplies by: W, or W + s·B·A with an adapter. */
function effectiveWeight({ weight, adapter }: LinearWeights): Tensor {
  if (!adapter?.active) return weight;
  const product = adapter.b.to("f32").matmul(adapter.a.to("f32"));
  return weight.to("f32").add(product.mul(adapter.scale));
}

/** Copies tensors one below the other into one that exists. */
function stack(tensors: readonly Tensor[], into: Tensor): void {
  let row = 0;
  for (const tensor of tensors) into.slice(0, row, row += tensor.shape[0]).assign(tensor);
}
