/**
 * Losses.
 *
 * @module
 */
export {
  crossEntropy,
  type CrossEntropyOptions,
  linearCrossEntropy,
  type TokenLoss,
} from "./cross_entropy.ts";
export {
  cosineLoss,
  type CosineOptions,
  mseLoss,
  normalizedMse,
  type NormalizedMseOptions,
} from "./distance.ts";
export {
  type DivergenceOptions,
  klDiv,
  linearKl,
  linearTopKKl,
  type TokenDivergence,
} from "./divergence.ts";
export type { Chunking } from "./head.ts";
export { linearLogProbs, type LogProbOptions, type TokenLogProbs } from "./log_probs.ts";
export type { Weighting } from "./weights.ts";
export type { Direction } from "../ops/divergence.ts";
