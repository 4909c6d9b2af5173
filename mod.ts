/**
 * Denotron: tensors with gradients, and language models built on them, for Deno.
 *
 * @example
 * ```ts
 * import { scope, Tensor } from "@denotron/denotron";
 * using weight = Tensor.from([1, 2, 3]).requireGrad();
 * scope(() => weight.mul(weight).sum().backward());
 * console.assert(weight.grad!.data().join() === "2,4,6");
 * ```
 *
 * @module
 */
export * from "./engine/mod.ts";
export * from "./nn/mod.ts";
export * from "./tensor/mod.ts";
export * from "./text/mod.ts";
