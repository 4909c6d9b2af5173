/**
 * What stages of the recipe that train have in common.
 *
 * @module
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { Decoder, DecoderSpec } from "../../nn/mod.ts";
import type { Tokenizer } from "../../text/mod.ts";
import type { EndlessConfig } from "../config/recipe_schema.ts";
import { type Dataset, packedBatches, type Row, streamRows, tokenizeRows } from "../data/mod.ts";
import { speedometer } from "../jobs/speed.ts";
import { everyBatch } from "../jobs/token_data.ts";
import { type OptimizationConfig, trainOptions } from "../jobs/train_options.ts";
import { train } from "../loop.ts";
import { metricsFile } from "../runs/stage_recorder.ts";
import { readStepLog, type StepLine } from "../runs/step_log.ts";
import type { BatchSource, Stage, TokenBatch } from "../stage.ts";
import type { StageContext, StageOutcome } from "./context.ts";

/** What reads rows, and how. */
export interface RowReader {
  readonly spec: DecoderSpec;
  readonly tokenizer: Tokenizer;
  readonly config: EndlessConfig;
  readonly seed: number;
}

/** Rows as micro-batches, without end unless `epochs` says how often. */
export function batchesOf(
  rows: Dataset<Row>,
  { spec, tokenizer, config, seed }: RowReader,
  epochs: number = Infinity,
): BatchSource<TokenBatch> {
  const context = config.context ?? spec.context;
  const sequences = tokenizeRows(rows, {
    ...{ tokenizer, context, vocabulary: spec.vocab, tooLong: "skip" as const },
  });
  return packedBatches({
    source: streamRows(sequences, { seed, epochs }),
    context,
    tokensPerBatch: config.batchTokens,
    microBatches: config.microBatches,
    seed,
  });
}

/** All of a few rows, always the same. */
export function heldOutBatches(rows: Dataset<Row>, reader: RowReader): Promise<TokenBatch[]> {
  return everyBatch(batchesOf(rows, reader, 1));
}

/** What a stage of the recipe trains with. */
export interface TrainingParts<B> {
  readonly decoder: Decoder;
  readonly tokenizer: Tokenizer;
  readonly config: OptimizationConfig & {
    readonly steps: number;
    readonly context?: number | undefined;
  };
  readonly stage: Stage<B>;
}

/** Trains a decoder, and leaves it in the stage's folder; null when someone asked to stop. */
export async function trainInPipeline<B>(
  context: StageContext,
  { decoder, tokenizer, config, stage }: TrainingParts<B>,
): Promise<StageOutcome | null> {
  const { recipe: { dtype }, run, signal, view, name, place, folder } = context;
  const options = trainOptions(config, config.steps);
  using watcher = view.training(name, options.steps);
  using sink = run.stage(place, {
    signal,
    watchers: [watcher],
    complete: speedometer(decoder.spec, dtype, config.context ?? decoder.context),
  });
  const { reason } = await train(stage, { ...options, resume: true }, sink);
  if (reason === "interrupted") return null;
  decoder.save(context.modelFolder);
  await tokenizer.save(context.modelFolder);
  run.model(join(place, "model"));
  rmSync(join(folder, "checkpoints"), { recursive: true });
  return outcomeOf(readStepLog(join(folder, metricsFile)));
}

/** The last figures of a stage, and its mean speed. */
function outcomeOf(lines: readonly StepLine[]): StageOutcome {
  const last: Record<string, number> = {};
  let seconds = 0;
  for (const line of lines) {
    for (const [name, value] of Object.entries(line)) {
      if (typeof value === "number") last[name] = value;
    }
    if (typeof line.step_time === "number") seconds += line.step_time;
  }
  const { tokens, step: steps, loss: trainLoss, "eval/loss": loss } = last;
  return {
    tokens,
    metrics: {
      steps,
      trainLoss,
      ...loss === undefined ? {} : { loss },
      tokensPerSecond: tokens / seconds,
    },
  };
}
