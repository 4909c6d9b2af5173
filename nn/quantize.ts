/**
 * Copies of weights for generation: one matrix for layers that read the same, in the type that reads fastest.
 *
 * @module
 */
import {
  call,
  device,
  DeviceError,
  type DeviceName,
  noGrad,
  scope,
  Tensor,
} from "../tensor/mod.ts";
import {
  linearFp8,
  linearInt8,
  linearPacked,
  linearPairs,
  matmulWide,
  packPairs,
  packRows,
  quantizeFp8,
  quantizeRows,
} from "../tensor/ops/mod.ts";
import type { Linear } from "./linear.ts";

/** What a copy reads of a layer. */
export type LinearWeights = Pick<Linear, "weight" | "bias" | "adapter">;

/**
 * How a copy of weights is stored. int8 and fp8 (e4m3) have a scale for each row, and quantise what they multiply, each
 * token with a scale of its own. fp8 needs a GPU that multiplies 8-bit floats, of compute capability 8.9 or later.
 */
export type WeightFormat = "f32" | "bf16" | "int8" | "fp8";

/** How a copy computes. */
export interface WeightCopyOptions {
  /** Whether the first half of the outputs are gates, as in SwiGLU: y = silu(gate)·up; false by default. */
  readonly gated?: boolean;
}

/**
 * The outputs of several linear layers that read the same input, side by side: y = x·Wᵀ + b with their weights one below
 * the other, low-rank adapters merged. x: [..., in] → [..., sum of outs], or half of them where they are gated.
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
  /** All rows one below the other, as the packing op of the format leaves them; bf16 on a GPU: [outs, in]. */
  readonly #weights: readonly Tensor[];
  readonly #bias: Tensor | null;
  readonly #outs: number;
  readonly #gated: boolean;
  /** Whether the product itself applies the gates. */
  readonly #fused: boolean;

  /** The weights of `layers` as they are now. Throws DeviceError for fp8 where the device has no products of it. */
  constructor(
    layers: readonly LinearWeights[],
    format: WeightFormat,
    { gated = false }: WeightCopyOptions = {},
  ) {
    if (format === "fp8") requireFp8(layers[0].weight.device);
    const biased = layers.some(({ bias }) => bias), dtype = activationType(format);
    [this.format, this.#gated] = [format, gated];
    this.#fused = gated && format === "f32" && !biased;
    this.#outs = layers.reduce((sum, { weight }) => sum + weight.shape[0], 0);
    this.#weights = scope(() => this.#stored(layers).map((weight) => weight.keep()));
    this.#bias = biased ? Tensor.zeros([this.#outs], { dtype }).keep() : null;
    this.#refreshBias(layers);
  }

  /** Takes over what the same layers weigh now. */
  refresh(layers: readonly LinearWeights[]): void {
    scope(() => this.#stored(layers).forEach((weight, i) => this.#weights[i].assign(weight)));
    this.#refreshBias(layers);
  }

  #refreshBias(layers: readonly LinearWeights[]): void {
    let row = 0;
    noGrad(() =>
      scope(() => {
        for (const { weight: { shape: [out] }, bias } of layers) {
          const end = row + out;
          if (bias) this.#bias!.slice(0, row, end).assign(bias);
          row = end;
        }
      })
    );
  }

  /** The weights of layers in the form of the format. */
  #stored(layers: readonly LinearWeights[]): Tensor[] {
    return noGrad(() =>
      scope(() => {
        const weight = Tensor.concat(layers.map(effectiveWeight));
        switch (this.format) {
          case "f32":
            return call(packRows, [weight.to("f32")], { gated: this.#fused });
          case "bf16":
            if (weight.device === "cpu") return call(packPairs, [weight.to("bf16")], undefined);
            return [weight.to("bf16")];
          case "int8":
            return call(quantizeRows, [weight], undefined);
          case "fp8":
            return call(quantizeFp8, [weight], undefined);
        }
      })
    );
  }

  /** x: [..., in] → [..., outputs], in the type of x, which is `activationType` of the format. */
  forward(x: Tensor): Tensor {
    const product = this.#multiply(x), y = this.#bias ? product.add(this.#bias) : product;
    return this.#gated && !this.#fused ? y.swigluHalves() : y;
  }

  /** x: [rows, in] → f32 [rows, sum of outs], without a bias: logits. */
  forwardWide(x: Tensor): Tensor {
    return this.#multiply(x, true);
  }

  /**
   * The same, and the largest of each 256 of them, f32 [rows, ⌈sum of outs / 256⌉], NaN where one is; [rows, 0] in formats
   * whose products do not note them.
   */
  forwardLogits(x: Tensor): readonly [logits: Tensor, maxima: Tensor] {
    if (this.format === "f32" && x.device === "cpu") {
      const params = { out: this.#outs, gated: false, maxima: true };
      const [logits, maxima] = call(linearPacked, [x, this.#weights[0]], params);
      return [logits, maxima];
    }
    return [this.forwardWide(x), Tensor.empty([x.shape[0], 0], { device: x.device })];
  }

  #multiply(x: Tensor, wide = false): Tensor {
    const [weight, scales, sums] = this.#weights;
    switch (this.format) {
      case "f32":
        return call(linearPacked, [x, weight], {
          ...{ out: this.#outs, gated: this.#fused, maxima: false },
        })[0];
      case "bf16":
        if (weight.device === "cpu") {
          return call(linearPairs, [x, weight], { out: this.#outs, wide })[0];
        }
        return wide ? call(matmulWide, [x, weight.t()], {})[0] : x.linear(weight);
      case "int8":
        return call(linearInt8, [x, weight, scales, sums], undefined)[0];
      case "fp8":
        return call(linearFp8, [x, weight, scales], { wide })[0];
    }
  }

  /** Gives the memory back. Safe to call twice. */
  [Symbol.dispose](): void {
    for (const weight of this.#weights) weight[Symbol.dispose]();
    this.#bias?.[Symbol.dispose]();
  }
}

/** What activations are for weights of a format: bf16 where tensor cores multiply, else f32. */
export function activationType(format: WeightFormat): "f32" | "bf16" {
  return format === "bf16" || format === "fp8" ? "bf16" : "f32";
}

function requireFp8(name: DeviceName): void {
  if (name === "cuda" && device(name).hasFp8) return;
  throw new DeviceError(
    `WeightCopy: "${name}" has no products of 8-bit floats. Use "int8" or "bf16"; fp8 needs a GPU of compute ` +
      `capability 8.9 or later.`,
  );
}

/** What a layer multiplies by: W, or W + s·B·A with an adapter. */
function effectiveWeight({ weight, adapter }: LinearWeights): Tensor {
  if (!adapter?.active) return weight;
  const product = adapter.b.to("f32").matmul(adapter.a.to("f32"));
  return weight.to("f32").add(product.mul(adapter.scale));
}
