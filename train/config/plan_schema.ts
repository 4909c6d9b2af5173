/**
 * What a dry run counts with; nothing that trains reads it.
 *
 * @module
 */
import { z } from "zod";
import type { DecoderSpec } from "../../nn/mod.ts";

/** Blocks that are alike and follow each other; without a part, that part's size is missing. */
export interface BlockRun {
  readonly count: number;
  readonly kvHeads?: number | undefined;
  readonly hidden?: number | undefined;
}

/** The architecture of a model that need not be here. */
export interface Architecture {
  readonly vocabulary: number;
  readonly dim: number;
  readonly heads: number;
  readonly context: number;
  readonly ropeTheta: number;
  readonly blocks: readonly BlockRun[];
}

/** What time is counted for, instead of this machine. */
export interface GpuConfig {
  readonly name: string;
  readonly teraflops: number;
  readonly gigabytes: number;
  readonly gigabytesPerSecond: number;
  readonly utilisation: number;
}

/** What a dry run counts with. */
export interface PlanConfig {
  readonly parent?: Architecture | undefined;
  readonly child?: readonly BlockRun[] | undefined;
  readonly promptTokens: number;
  readonly gpu?: GpuConfig | undefined;
}

const whole = (least: number): z.ZodNumber => z.int().min(least);
const positive = (): z.ZodNumber => z.number().positive();

const blocks = z.array(z.strictObject({
  count: whole(1).default(1),
  kvHeads: whole(1).optional(),
  hidden: whole(1).optional(),
})).min(1);

/** The schema of it. */
export const planSchema: z.ZodType<PlanConfig> = z.strictObject({
  parent: z.strictObject({
    vocabulary: whole(1).describe("Tokens of the parent's vocabulary"),
    dim: whole(1).describe("Size of its residual stream"),
    heads: whole(1).describe("Its attention heads"),
    context: whole(2).describe("The longest sequence that it reads, in tokens"),
    ropeTheta: positive().describe("Base of its rotary angles"),
    blocks: blocks.describe("Its blocks: lists of count, kvHeads and hidden"),
  }).optional(),
  child: blocks.optional().describe("The child's blocks, where they are known before the search"),
  promptTokens: whole(1).default(64).describe("Tokens of a problem, about"),
  gpu: z.strictObject({
    name: z.string().min(1).describe("A GPU to count hours for, instead of this machine"),
    teraflops: positive().describe("Its peak in what is computed in, in TFLOP/s"),
    gigabytes: positive().describe("Its memory, in GB"),
    gigabytesPerSecond: positive().describe("How fast it reads that, in GB/s"),
    utilisation: z.number().gt(0).max(1).describe("The share of both that is reached"),
  }).optional(),
}).prefault({});

/** A Llama-shaped decoder of these blocks, with a head of its own. */
export function specOfArchitecture(
  { vocabulary: vocab, dim, heads, context, ropeTheta }: Architecture,
  blocks: readonly BlockRun[],
): DecoderSpec {
  return {
    ...{ vocab, dim, context, headDim: dim / heads, tied: false },
    norm: { kind: "rms_norm", eps: 1e-5 },
    rope: { theta: ropeTheta, fraction: 1, scaling: null },
    blocks: blocks.flatMap(({ count, kvHeads, hidden }) =>
      Array.from({ length: count }, () => ({
        attention: kvHeads === undefined ? null : { kind: "gqa" as const, heads, kvHeads },
        ffn: hidden === undefined
          ? null
          : { kind: "gated" as const, hidden, activation: "silu" as const },
      }))
    ),
  };
}
