/**
 * A teacher's predictions, written for students that will learn from them without it.
 *
 * @module
 */
import { relative } from "node:path";
import { Decoder, openCheckpoint } from "../nn/mod.ts";
import { device } from "../tensor/mod.ts";
import type { DistillConfig } from "../train/config/search_schema.ts";
import { openTokenData } from "../train/jobs/token_data.ts";
import { writeTeacherLogits } from "../train/teacher_logits.ts";
import { succeeded, UsageError } from "./errors.ts";
import { openTokenizer } from "./model.ts";
import { userPath } from "./options.ts";
import { dim, type Terminal } from "./terminal.ts";
import type { TrainPlan } from "./train_plan.ts";

/** Writes the logits that `config.writeLogits` asks for, and returns the exit code. */
export async function writeLogits(
  config: DistillConfig,
  folder: string,
  plan: TrainPlan,
  terminal: Terminal,
): Promise<number> {
  if (config.teacher === undefined) {
    throw new UsageError("train distill: --write-logits needs a --teacher. Name its folder.");
  }
  if (plan.threads !== undefined) device().threads = plan.threads;
  using source = openCheckpoint(config.teacher);
  const tokenizer = await openTokenizer(config.teacher, source, undefined);
  using teacher = Decoder.load(source, { dtype: config.dtype, train: false });
  using data = await openTokenData(config, {
    tokenizer,
    vocabulary: teacher.spec.vocab,
    context: config.context ?? Math.min(teacher.context, config.batchTokens),
    tell: (line) => terminal.report(dim(line, terminal) + "\n"),
  });
  const epochSteps = Math.ceil(data.epochTokens / config.batchTokens);
  const steps = config.steps ?? Math.max(1, Math.round((config.epochs ?? 1) * epochSteps));
  const tenth = Math.max(1, Math.floor(steps / 10));
  await writeTeacherLogits(teacher, data.batches, folder, {
    topK: config.topK,
    steps,
    progress: (step) => {
      if (step % tenth === 0) terminal.report(`logits  ${step}/${steps}\n`);
    },
  });
  terminal.write(`${relative(userPath("."), folder)}  ${steps} steps\n`);
  return succeeded;
}
