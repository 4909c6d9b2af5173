/**
 * Training: one loop, and stages that are batches plus a loss.
 *
 * @module
 */
export { batchesInTurn, type BatchPart, rampedBatches } from "./batches.ts";
export { type CheckpointFiles, Checkpoints, type SavedState, SaveError } from "./checkpoint.ts";
export { WeightAverage } from "./average.ts";
export { DivergedError, type GuardOptions, StepGuard } from "./guard.ts";
export type { Pause } from "./interruption.ts";
export { train } from "./loop.ts";
export { AdamW, type OptimizerOptions } from "./optimizer.ts";
export type { BestStep, TrainOptions, TrainResult } from "./options.ts";
export {
  batchRamp,
  constantSchedule,
  cosineSchedule,
  type DecayOptions,
  linearSchedule,
  type RampPhase,
  type Schedule,
  type ScheduledPart,
  schedulesInTurn,
  type SteepOptions,
  steepSchedule,
  type WarmupOptions,
  type WsdOptions,
  wsdSchedule,
} from "./schedule.ts";
export { pretrainStage } from "./pretrain.ts";
export { type SftBlend, sftBlends, type SftPlan, sftStage } from "./sft.ts";
export type * from "./stage.ts";
export { ResumeError } from "./state.ts";
export {
  heldOutFigures,
  tokenLoss,
  tokenStage,
  type TokenStageOptions,
  trainedTokens,
} from "./token_loss.ts";
export * from "./data/mod.ts";
export * from "./data/synthetic/mod.ts";
export * from "./eval/mod.ts";
export {
  type CompletionIds,
  type CompletionOptions,
  type CompletionSource,
  decoderCompletions,
  engineCompletions,
} from "./generator.ts";
export * from "./rewards/mod.ts";
export * from "./grpo/mod.ts";
export {
  compareDecoders,
  Comparison,
  type Distance,
  DistanceMean,
  type HeadInput,
} from "./compare.ts";
export { type DistillLosses, type DistillOptions, distillStage } from "./distill.ts";
export * from "./puzzle/mod.ts";
export {
  type Continue,
  continueBy,
  type StudentSampleOptions,
  studentSamples,
} from "./student_samples.ts";
export {
  readTeacherLogits,
  type ReadTeacherOptions,
  type TeacherBatch,
  writeTeacherLogits,
  type WriteTeacherOptions,
} from "./teacher_logits.ts";
export * from "./runs/mod.ts";
