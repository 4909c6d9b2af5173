/**
 * What can be configured of the architecture search and of distillation.
 *
 * @module
 */
import { z } from "zod";
import type { Direction } from "../../tensor/mod.ts";
import { pretrainSchema, type TokenConfig } from "./schema.ts";

const path = (): z.ZodString => z.string().min(1).meta({ format: "path" });
const whole = (least: number): z.ZodNumber => z.int().min(least);
const positive = (): z.ZodNumber => z.number().positive();

// What every stage has; the search trains several times, each with a number of steps of its own.
const { tokenizer: _tokenizer, shape: _shape, model, ...stage } = pretrainSchema.shape;
const { steps: _steps, epochs: _epochs, lr: _lr, ...shared } = stage;

/** A schema whose keys that every stage has are typed by `TokenConfig`, which the schema they come from is checked by. */
export function typed<T>(schema: z.ZodObject): z.ZodObject & z.ZodType<T> {
  return schema as unknown as z.ZodObject & z.ZodType<T>;
}

/** What `puzzle` takes. */
export interface PuzzleConfig extends Omit<TokenConfig, "lr" | "steps" | "epochs"> {
  readonly model: string;
  readonly constraint: readonly string[];
  readonly from?: string | undefined;
  readonly score: "kl" | "loss" | "cosine";
  readonly scenario: {
    readonly promptTokens: number;
    readonly newTokens: number;
    readonly batchSizes: readonly number[];
  };
  readonly variants: {
    readonly kvHeads: readonly number[];
    readonly widths: readonly number[];
    readonly widthMultiple?: number | undefined;
    readonly linear: boolean;
    readonly none: boolean;
  };
  readonly library: {
    readonly train: "parts" | "blocks";
    readonly kvInitialisation: "average" | "prune";
    readonly steps: number;
    readonly lr: number;
    readonly layersAtOnce?: number | undefined;
  };
  readonly search: {
    readonly solutions: number;
    readonly overlap: number;
    readonly draws: number;
    readonly rounds: number;
  };
  readonly fusion: {
    readonly enabled: boolean;
    readonly keepLast: boolean;
    readonly withFirst: boolean;
    readonly maxHidden?: number | undefined;
    readonly widthMultiple: number;
    readonly maxDependency?: number | undefined;
  };
  readonly distill: { readonly steps: number; readonly lr: number } & DistillLossConfig;
  readonly pretrain: { readonly steps: number; readonly lr: number };
}

/** What a student learns. */
export interface DistillLossConfig {
  readonly direction: Direction;
  readonly beta: number;
  readonly temperature: number;
  readonly klWeight: number;
  readonly cosineWeight: number;
  readonly lossWeight: number;
}

/** What `distill` takes. */
export interface DistillConfig extends TokenConfig, DistillLossConfig {
  readonly model: string;
  readonly teacher?: string | undefined;
  readonly teacherLogits?: string | undefined;
  readonly writeLogits?: string | undefined;
  readonly topK: number;
  readonly onPolicy: {
    readonly share: number;
    readonly promptTokens: number;
    readonly maxTokens: number;
    readonly temperature: number;
  };
}

const losses = {
  direction: z.enum(["forward", "reverse", "jsd"]).default("forward")
    .describe("Which divergence of predictions: of the teacher from the student, or otherwise"),
  beta: z.number().gt(0).lt(1).default(0.5).describe("Share of the teacher in direction jsd"),
  temperature: positive().default(1).describe("Divides the logits of both"),
  klWeight: z.number().min(0).default(1).describe("Times the divergence of predictions"),
  cosineWeight: z.number().min(0).default(1)
    .describe("Times the angles between residual streams, summed over blocks"),
  lossWeight: z.number().min(0).default(0).describe("Times the cross-entropy of the text"),
};

/** The schema of `puzzle`. */
export const puzzleSchema: z.ZodObject & z.ZodType<PuzzleConfig> = typed(z.strictObject({
  ...shared,
  model: (model as z.ZodOptional<z.ZodString>).unwrap()
    .describe("The parent: a model's folder or hub name"),
  constraint: z.array(z.string()).default([]).describe(
    "A limit, such as throughput=1.5x or memory=300MB; may be given more than once",
  ),
  from: path().optional()
    .describe("Another search of this parent, whose library, scores and costs are used again"),
  score: z.enum(["kl", "loss", "cosine"]).default("kl").describe("What replaced blocks lose"),
  scenario: z.strictObject({
    promptTokens: whole(1).default(64).describe("Tokens of prompts when speed is measured"),
    newTokens: whole(2).default(128).describe("Tokens generated for each"),
    batchSizes: z.array(whole(1)).min(1).default([32])
      .describe("Sequences at once; of several the best is chosen"),
  }).prefault({}),
  variants: z.strictObject({
    kvHeads: z.array(whole(1)).default([8, 4, 2, 1]).describe("Numbers of KV heads to try"),
    widths: z.array(z.number().gt(0).lt(1)).default([0.87, 0.75, 0.5, 0.25, 0.2, 0.1])
      .describe("Shares of the feed-forward width to try"),
    widthMultiple: whole(1).optional().describe("What widths are rounded to; DeciLM needs 256"),
    linear: z.boolean().default(true).describe("Whether one matrix may replace a part"),
    none: z.boolean().default(true).describe("Whether a part may be removed"),
  }).prefault({}),
  library: z.strictObject({
    train: z.enum(["parts", "blocks"]).default("parts")
      .describe("Whether variants of parts are trained, or every pair of them"),
    kvInitialisation: z.enum(["average", "prune"]).default("average")
      .describe("How fewer KV heads begin"),
    steps: whole(0).default(200).describe("Steps of blockwise distillation"),
    lr: positive().default(1e-3).describe("Its highest learning rate"),
    layersAtOnce: whole(1).optional().describe("Blocks whose variants are in memory at once"),
  }).prefault({}),
  search: z.strictObject({
    solutions: whole(1).default(8).describe(
      "Solutions of the program; of several the one that measures best",
    ),
    overlap: z.number().min(0).max(1).default(0.9)
      .describe("Share of blocks in which further ones may agree with earlier ones"),
    draws: whole(0).default(20).describe("Random architectures to compare with"),
    rounds: whole(1).default(9).describe("How often each cost is measured"),
  }).prefault({}),
  fusion: z.strictObject({
    enabled: z.boolean().default(true).describe("Whether feed-forward parts fuse"),
    keepLast: z.boolean().default(true).describe("Whether the last one of a run stays alone"),
    withFirst: z.boolean().default(false)
      .describe("Whether a run begins behind the attention of the block before it"),
    maxHidden: whole(1).optional().describe("The widest part that may come of it"),
    widthMultiple: whole(1).default(1).describe("What fused widths are rounded up to"),
    maxDependency: z.number().min(0).optional()
      .describe("The most that parts which fuse may depend on each other"),
  }).prefault({}),
  distill: z.strictObject({
    ...losses,
    steps: whole(0).default(400).describe("Steps of global distillation"),
    lr: positive().default(1e-3).describe("Its highest learning rate"),
  }).prefault({}),
  pretrain: z.strictObject({
    steps: whole(0).default(100).describe("Steps of continued pretraining"),
    lr: positive().default(3e-4).describe("Its highest learning rate"),
  }).prefault({}),
}));

/** The schema of `distill`. */
export const distillSchema: z.ZodObject & z.ZodType<DistillConfig> = typed(
  z.strictObject({
    ...stage,
    ...losses,
    model: (model as z.ZodOptional<z.ZodString>).unwrap().describe(
      "The student's folder or hub name",
    ),
    teacher: path().optional().describe("The teacher's folder"),
    teacherLogits: path().optional().describe("Logits that a teacher left, instead of a teacher"),
    writeLogits: path().optional()
      .describe("Writes the teacher's logits to this folder, and trains nothing"),
    topK: whole(1).default(100).describe("Logits of each token that are written"),
    onPolicy: z.strictObject({
      share: z.number().min(0).max(1).default(0).describe(
        "Share of batches that the student writes",
      ),
      promptTokens: whole(1).default(16).describe("Tokens of the text that it continues"),
      maxTokens: whole(1).default(64).describe("The most that it writes"),
      temperature: z.number().min(0).default(1).describe("How it draws"),
    }).prefault({}),
  }).superRefine(({ teacher, teacherLogits }, context) => {
    if ((teacher === undefined) === (teacherLogits === undefined)) {
      const message = "is needed, or teacherLogits, but not both";
      context.addIssue({ code: "custom", path: ["teacher"], message, input: teacher });
    }
  }),
);
