/**
 * Modules, decoders described by data, and the checkpoints they come from.
 *
 * @example
 * ```ts
 * import { ParameterArena } from "@denotron/denotron/nn";
 * using arena = new ParameterArena([{ name: "weight", shape: [4, 3] }]);
 * console.assert(arena.parameters.get("weight")!.requiresGrad);
 * ```
 *
 * @module
 */
export { ParameterArena, type ParameterSlot } from "./arena.ts";
export * from "./checkpoint/mod.ts";
export * from "./spec.ts";
export * from "./summary.ts";
