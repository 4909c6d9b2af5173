/**
 * What a run will cost, before it is begun.
 *
 * @module
 */
import { type DecoderSpec, summarize } from "../../nn/mod.ts";
import type { TokenJob } from "./token_job.ts";
import { StepGuard } from "../guard.ts";
import { AdamW } from "../optimizer.ts";
import { Stepper } from "../step.ts";

/** What a run will cost. */
export interface Estimate {
  /** Numbers in the weights. */
  readonly parameters: number;
  /** Numbers that train. */
  readonly trained: number;
  readonly steps: number;
  /** Tokens of all steps. */
  readonly tokens: number;
  /** Passes over the data; null where that has no end. */
  readonly epochs: number | null;
  /** Floating-point operations of all steps. */
  readonly flops: number;
  /** Bytes. */
  readonly memory: {
    /** Masters in f32 and, in bf16, the copy to compute with. */
    readonly weights: number;
    readonly gradients: number;
    /** Both means of AdamW, and the average of the weights. */
    readonly optimizer: number;
    /** What a micro-batch keeps for its gradients. */
    readonly activations: number;
    readonly total: number;
  };
  /** Measured by a few steps whose result is thrown away; null where none were made. */
  readonly tokensPerSecond: number | null;
  /** Of all steps, without evaluations. */
  readonly seconds: number | null;
}

/** What decides the cost. */
export interface EstimateOptions {
  readonly spec: DecoderSpec;
  readonly dtype: "f32" | "bf16";
  /** Numbers that train, and numbers that do not. */
  readonly trained: number;
  readonly frozen: number;
  /** Tokens of a sequence, of a step, and of a micro-batch. */
  readonly context: number;
  readonly batchTokens: number;
  readonly microTokens: number;
  readonly steps: number;
  /** Tokens of a pass over the data; null where that has no end. */
  readonly epochTokens: number | null;
  /** Whether an average of the weights is kept. */
  readonly averages: boolean;
  readonly tokensPerSecond: number | null;
}

/** Counts the cost of a run from its sizes alone. */
export function estimate(options: EstimateOptions): Estimate {
  const { spec, dtype, trained, context, steps, tokensPerSecond } = options;
  const { parameters: { total }, flopsPerToken } = summarize(spec, context);
  const tokens = steps * options.batchTokens;
  const width = dtype === "f32" ? 4 : 2;
  const memory = {
    weights: 4 * trained + (dtype === "bf16" ? 2 * trained : 0) + width * options.frozen,
    gradients: 4 * trained,
    optimizer: (options.averages ? 12 : 8) * trained,
    activations: options.microTokens * activationBytes(spec, dtype),
  };
  return {
    parameters: total,
    trained,
    steps,
    tokens,
    epochs: options.epochTokens === null ? null : tokens / options.epochTokens,
    flops: tokens * flopsPerToken.training,
    memory: { ...memory, total: Object.values(memory).reduce((sum, part) => sum + part, 0) },
    tokensPerSecond,
    seconds: tokensPerSecond === null ? null : tokens / tokensPerSecond,
  };
}

/**
 * Bytes that a token keeps for the gradients of each block: both norms' inputs and outputs, queries, keys and values before
 * and after they are turned, what attention gives with its log-sums, and the parts of the feed-forward unit; then the head's
 * input and its gradient.
 */
function activationBytes({ dim, headDim, blocks }: DecoderSpec, dtype: "f32" | "bf16"): number {
  const width = dtype === "f32" ? 4 : 2;
  const inBlocks = blocks.map(({ attention, ffn }) => {
    const heads = attention?.kind === "gqa"
      ? width * (3 * attention.heads + 3 * attention.kvHeads) * headDim + 4 * attention.heads
      : 0;
    const hidden = ffn === null || ffn.kind === "linear"
      ? 0
      : (ffn.kind === "gated" ? 3 : 2) * ffn.hidden;
    const norms = (attention === null ? 0 : 2) + (ffn === null ? 0 : 2);
    return width * (norms * dim + hidden) + heads;
  });
  return inBlocks.reduce((sum, bytes) => sum + bytes, 0) + 3 * width * dim;
}

/** Steps before the clock runs, and steps that it measures. */
const warmSteps = 2, timedSteps = 3;

/** Tokens per second of a few steps, each with the same batch and none with a result. Null where the data has none. */
export async function measureSpeed(
  { stage, options }: Pick<TokenJob, "stage" | "options">,
): Promise<number | null> {
  const place = stage.batches.state();
  const batches = await stage.batches.next(1);
  stage.batches.restore(place);
  if (batches === null) return null;
  using optimizer = new AdamW(stage.model, options.optimizer);
  using stepper = new Stepper(stage, optimizer, new StepGuard());
  let tokens = 0, start = 0;
  for (let step = 0; step < warmSteps + timedSteps; step++) {
    if (step === warmSteps) [tokens, start] = [0, performance.now()];
    tokens += stepper.step(batches, { lr: 0, maxGradNorm: 1, firstDraw: 0 }).tokens;
  }
  return tokens / ((performance.now() - start) / 1000);
}
