/**
 * Reinforcement learning from verifiable rewards.
 *
 * @module
 */
export {
  type AdvantageKind,
  type GroupAdvantages,
  groupAdvantages,
  isUniform,
} from "./advantages.ts";
export { type PolicyBatch, policyBatch, policyWeight, type TrainedCompletion } from "./batch.ts";
export { policyLoss, policyMetrics } from "./loss.ts";
export {
  type ImportanceCorrection,
  importanceWeight,
  type KlEstimate,
  type LossNormalizer,
  type PolicyLoss,
  policyLossDefaults,
  type PolicyLossOptions,
  type RatioKind,
} from "./options.ts";
