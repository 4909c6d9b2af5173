/**
 * What weights are before training.
 *
 * @module
 */
import { RandomKey, scope, type Shape, Tensor } from "../tensor/mod.ts";
import type { DecoderSpec, ParameterSpec } from "./spec.ts";

/** Fills the tensor of a parameter; `name` tells its random numbers from those of others. */
export type Initializer = (tensor: Tensor, name: string) => void;

/**
 * √(2 / (5 · dim)): the standard deviation of weights that are neither too small for a narrow model to learn at once, nor
 * too large for a wide one (Nguyen and Salazar, "Transformers without Tears", 2019, section 2.2).
 */
export function initialStd(dim: number): number {
  return Math.sqrt(2 / (5 * dim));
}

/** Every element is `value`. */
export function constant(value: number): Initializer {
  return (tensor) => void tensor.fill(value);
}

/** Normal numbers around 0 that depend on seed and name alone. */
export function normal(std: number, seed = 0): Initializer {
  return (tensor, name) =>
    scope(() => {
      const key = new RandomKey(seed).derive("weights").derive(name);
      tensor.assign(Tensor.normal(tensor.shape, key, { std }));
    });
}

/** Uniform numbers in [−bound, bound) that depend on seed and name alone. */
export function uniform(bound: number, seed = 0): Initializer {
  return (tensor, name) =>
    scope(() => {
      const key = new RandomKey(seed).derive("weights").derive(name);
      tensor.assign(Tensor.uniform(tensor.shape, key).mul(2 * bound).sub(bound));
    });
}

/**
 * A new parameter for a field of a module, which owns it.
 *
 * @example
 * ```ts
 * import { normal, parameter } from "@denotron/denotron/nn";
 * using weight = parameter([4, 3], normal(0.02), "weight");
 * console.assert(weight.requiresGrad);
 * ```
 */
export function parameter(
  shape: Shape,
  initialize: Initializer,
  name = "",
  dtype: "f32" | "bf16" = "f32",
): Tensor {
  const tensor = Tensor.empty(shape, { dtype }).keep();
  initialize(tensor, name);
  return tensor.requireGrad();
}

/**
 * How a decoder's parameter starts: matrices normal with `initialStd(dim)`, those that write to the residual stream
 * scaled by 1/√(2 · blocks) (Radford et al., "Language models are unsupervised multitask learners", 2019), biases 0, and
 * norms so that they only normalise.
 */
export function decoderInitializer(
  { dim, norm, blocks }: DecoderSpec,
  { name, shape }: ParameterSpec,
  seed = 0,
): Initializer {
  if (name.endsWith(".bias")) return constant(0);
  if (shape.length === 1) return constant(norm.kind === "layer_norm_1p" ? 0 : 1);
  const writesToStream = /\.(o|down|linear)\.weight$/.test(name);
  return normal(initialStd(dim) / (writesToStream ? Math.sqrt(2 * blocks.length) : 1), seed);
}
