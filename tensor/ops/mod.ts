/**
 * Every op: the table of contents.
 *
 * @module
 */
export { adamw } from "./adamw.ts";
export { stepFactors } from "./step_factors.ts";
export * from "./elementwise.ts";
export { attention, pagedAttention } from "./attention.ts";
export { copy } from "./copy.ts";
export { crossEntropy } from "./cross_entropy.ts";
export { cosineDistance, squaredError } from "./distance.ts";
export { divergence } from "./divergence.ts";
export { gatherDot } from "./gather_dot.ts";
export { ema } from "./ema.ts";
export { argmax, max, min } from "./extremum.ts";
export { fill } from "./fill.ts";
export { linearFp8, quantizeFp8 } from "./fp8.ts";
export { globalNorm } from "./global_norm.ts";
export { layerNorm } from "./layer_norm.ts";
export { linearInt8, quantizeRows } from "./int8.ts";
export { linear } from "./linear.ts";
export { linearPacked, packRows } from "./packed.ts";
export { linearPairs, packPairs } from "./pairs.ts";
export { matmul, matmulWide } from "./matmul.ts";
export { sample } from "./sample.ts";
export { sgd } from "./sgd.ts";
export { dropout, normal, uniform } from "./random.ts";
export { sum } from "./reduce.ts";
export { addRmsNorm, rmsNorm } from "./rms_norm.ts";
export { rope } from "./rope.ts";
export { placeHeads } from "./place_heads.ts";
export { swiglu, swigluHalves } from "./swiglu.ts";
export { logSoftmax, logSumExp, softmax } from "./softmax.ts";
export { embedding } from "./embedding.ts";
export { gather, scatterSum } from "./gather.ts";
export { allFinite } from "./all_finite.ts";
export { cumsum } from "./cumsum.ts";
export { where } from "./where.ts";
export { concat } from "./concat.ts";
export { sort, topK } from "./sort.ts";
export { expand, permute, reshape, slice } from "./views.ts";
