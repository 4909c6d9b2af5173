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
export { type ArenaRange, ParameterArena, type ParameterSlot } from "./arena.ts";
export * from "./attention.ts";
export { type AttentionPart, Block, type FfnPart, makeBlock, type Weights } from "./block.ts";
export * from "./checkpoint/mod.ts";
export * from "./decoder.ts";
export * from "./dropout.ts";
export * from "./embedding.ts";
export * from "./feed_forward.ts";
export * from "./generate.ts";
export { Head } from "./head.ts";
export * from "./init.ts";
export * from "./kv_cache.ts";
export * from "./linear.ts";
export { addLora, Lora, type LoraOptions, type LoraShape, withoutLora } from "./lora.ts";
export * from "./lora_checkpoint.ts";
export * from "./loss.ts";
export * from "./low_rank.ts";
export * from "./module.ts";
export * from "./norm.ts";
export { packed, type Placement, wholeSequences } from "./placement.ts";
export * from "./quantize.ts";
export * from "./rope.ts";
export * from "./sample.ts";
export * from "./spec.ts";
export type { State } from "./state.ts";
export * from "./summary.ts";
