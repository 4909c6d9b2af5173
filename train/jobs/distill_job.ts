/**
 * A configured distillation.
 *
 * @module
 */
import { Decoder } from "../../nn/mod.ts";
import type { DistillConfig } from "../config/search_schema.ts";
import { distillStage } from "../distill.ts";
import type { BatchSource, Stage, TokenBatch } from "../stage.ts";
import { continueBy, studentSamples } from "../student_samples.ts";
import { readTeacherLogits } from "../teacher_logits.ts";
import type { TokenStageOptions } from "../token_loss.ts";

/** The configured teacher; null where its stored logits take its place. */
export function openTeacher({ teacher, dtype }: DistillConfig): Decoder | null {
  return teacher === undefined ? null : Decoder.load(teacher, { dtype, train: false });
}

/** The stage of a student, from what any stage of text is made of. */
export function configuredDistillation(
  config: DistillConfig,
  teacher: Decoder | null,
  { model: student, batches, ...others }: TokenStageOptions,
): Stage<TokenBatch> {
  const { direction, beta, temperature, klWeight, cosineWeight, lossWeight } = config;
  return distillStage({
    student,
    teacher,
    batches: configuredBatches(config, student, batches),
    ...others,
    ...{ direction, beta, temperature, klWeight, cosineWeight, lossWeight },
  });
}

/** The text, what a teacher left of it, or what the student makes of it. */
function configuredBatches(
  { teacherLogits, onPolicy, microBatches, seed }: DistillConfig,
  student: Decoder,
  batches: BatchSource<TokenBatch>,
): BatchSource<TokenBatch> {
  if (teacherLogits !== undefined) {
    return readTeacherLogits(teacherLogits, student.spec.vocab, { microBatches, seed });
  }
  const { share, promptTokens, maxTokens, temperature } = onPolicy;
  if (share === 0) return batches;
  const complete = continueBy(student, { maxTokens, temperature, seed });
  return studentSamples({ batches, promptTokens, complete, share, seed });
}
