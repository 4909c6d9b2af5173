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
export { mismatchFigures, rolloutFigures } from "./figures.ts";
export {
  type CompletionLogProbOptions,
  completionLogProbs,
  type PromptedIds,
} from "./log_probs.ts";
export type { JudgedGroup } from "./judged.ts";
export { PolicyBatches, type RolloutBatch, type RolloutOptions } from "./policy_batches.ts";
export { adapterReference, frozenReference, type Reference } from "./reference.ts";
export type { SampledCompletion, SampledGroup, SamplingOptions } from "./rollout.ts";
export { grpoStage, type GrpoStageOptions } from "./stage.ts";
export { completionsTable } from "./table.ts";
export {
  allocate,
  apportion,
  type CurriculumOptions,
  GaussianCurriculum,
  gaussianShares,
  type Rated,
  withoutEasy,
} from "./curriculum.ts";
export { measurePassRates, type PassRateOptions } from "./pass_rate.ts";
