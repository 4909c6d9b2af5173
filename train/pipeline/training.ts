/**
 * What stages of the recipe that train have in common.
 *
 * @module
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { Decoder } from "../../nn/mod.ts";
import type { Tokenizer } from "../../text/mod.ts";
import type { TrainingConfig } from "../config/schema.ts";
import { type Dataset, packedBatches, type Row, streamRows, tokenizeRows } from "../data/mod.ts";
import { speedometer } from "../jobs/speed.ts";
import { trainOptions } from "../jobs/train_options.ts";
import { everyBatch } from "../jobs/token_data.ts";
import { train } from "../loop.ts";
import { metricsFile } from "../runs/stage_recorder.ts";
import { readStepLog } from "../runs/step_log.ts";
import type { BatchSource, Stage, TokenBatch } from "../stage.ts";
import type { TokenStageOptions } from "../token_loss.ts";
import type { StageContext, StageOutcome } from "./context.ts";

/** Rows of each number, made when they are asked for. */
export function generatedRows(
  name: string,
  count: number,
  row: (index: number) => Row,
): Dataset<Row> {
  return {
    name,
    count,
    blocks: null,
    read: (index) => Promise.resolve([row(index)]),
    where: (index) => `${name}, row ${index + 1}`,
    [Symbol.dispose]: () => {},
  };
}

/** What reads rows, and how. */
export interface RowReader {
  readonly decoder: Decoder;
  readonly tokenizer: Tokenizer;
  readonly config: TrainingConfig & { readonly steps: number };
  readonly seed: number;
}

/** Rows as micro-batches, without end unless `epochs` says how often. */
export function batchesOf(
  rows: Dataset<Row>,
  { decoder, tokenizer, config, seed }: RowReader,
  epochs: number = Infinity,
): BatchSource<TokenBatch> {
  const context = config.context ?? decoder.context, vocabulary = decoder.spec.vocab;
  const sequences = tokenizeRows(rows, { tokenizer, context, vocabulary, tooLong: "skip" });
  return packedBatches({
    source: streamRows(sequences, { seed, epochs }),
    context,
    tokensPerBatch: config.batchTokens,
    microBatches: config.microBatches,
    seed,
  });
}

/** What a stage of the recipe trains with. */
export interface TrainingParts extends Omit<RowReader, "seed"> {
  readonly rows: Dataset<Row>;
  readonly heldOut: Dataset<Row>;
  /** Makes the stage of what it learns from. */
  readonly stage: (data: Pick<TokenStageOptions, "batches" | "heldOut">) => Stage<TokenBatch>;
}

/** Trains a decoder, and leaves it in the stage's folder; null when someone asked to stop. */
export async function trainInPipeline(
  context: StageContext,
  parts: TrainingParts,
): Promise<StageOutcome | null> {
  const { recipe: { seed, dtype }, run, signal, view, place, folder, modelFolder } = context;
  const { decoder, tokenizer, config } = parts, reader = { ...parts, seed };
  const stage = parts.stage({
    batches: batchesOf(parts.rows, reader),
    heldOut: await everyBatch(batchesOf(parts.heldOut, reader, 1)),
  });
  const options = trainOptions(config, config.steps);
  using watcher = view.training(stage.name, options.steps);
  using sink = run.stage(place, {
    signal,
    watchers: [watcher],
    complete: speedometer(decoder.spec, dtype, config.context ?? decoder.context),
  });
  const { reason } = await train(stage, { ...options, resume: true }, sink);
  if (reason === "interrupted") return null;
  decoder.save(modelFolder);
  await tokenizer.save(modelFolder);
  run.model(join(place, "model"));
  const outcome = outcomeOf(folder);
  rmSync(join(folder, "checkpoints"), { recursive: true });
  return outcome;
}

/** The last figures of a stage, and its mean speed. */
function outcomeOf(folder: string): StageOutcome {
  const last: Record<string, number> = {};
  let seconds = 0;
  for (const line of readStepLog(join(folder, metricsFile))) {
    for (const [name, value] of Object.entries(line)) {
      if (typeof value === "number") last[name] = value;
    }
    if (typeof line.step_time === "number") seconds += line.step_time;
  }
  const { tokens, step: steps, loss: trainLoss, "eval/loss": loss } = last;
  return { tokens, metrics: { steps, trainLoss, loss, tokensPerSecond: tokens / seconds } };
}
