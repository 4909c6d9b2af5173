/**
 * What can be configured: one schema for each stage, from which come checks, flags, help, dry runs and documents.
 *
 * @module
 */
import { z } from "zod";

const path = (): z.ZodString => z.string().min(1).meta({ format: "path" });
const whole = (least: number): z.ZodNumber => z.int().min(least);
const share = (): z.ZodNumber => z.number().min(0).max(1);

/** Files of rows, each with its weight in the mix. */
const data = z.union([
  path(),
  z.array(z.union([
    path(),
    z.strictObject({
      path: path(),
      weight: z.number().positive().default(1),
    }),
  ])).min(1),
]).transform((given) =>
  [given].flat().map((one) => typeof one === "string" ? { path: one, weight: 1 } : one)
);

/** The shape of a decoder that is made anew. */
const shape = z.strictObject({
  dim: whole(1).default(128).describe("Size of the residual stream of a new model"),
  layers: whole(1).default(6).describe("Blocks of a new model"),
  heads: whole(1).default(4).describe("Attention heads of a new model"),
  kvHeads: whole(1).default(2).describe("Key-value heads of a new model"),
  hidden: whole(1).default(384).describe("Width of a new model's gated feed-forward parts"),
  ropeTheta: z.number().positive().default(10_000).describe("Base of a new model's rotary angles"),
  context: whole(2).default(256).describe("The longest sequence that a new model reads, in tokens"),
  vocabulary: whole(257).default(1024).describe(
    "Tokens of a new tokenizer, which is trained on the data where none is given",
  ),
}).superRefine(({ dim, heads, kvHeads }, context) => {
  const report = reporter(context);
  if (dim % (2 * heads) !== 0) {
    report("heads", `must divide dim ${dim} into heads of even size`, heads);
  }
  if (heads % kvHeads !== 0) report("kvHeads", `must divide the ${heads} heads`, kvHeads);
});

/** Low-rank adapters. */
const lora = z.strictObject({
  rank: whole(1).default(8).describe("Rank of the adapters; with it only adapters train"),
  alpha: z.number().positive().default(16).describe("Scale of the adapters, divided by the rank"),
});

/** How any stage trains. */
const training = {
  context: whole(2).optional().describe(
    "The longest sequence to train on, in tokens (default: the model's)",
  ),

  steps: whole(1).optional().describe("Optimizer steps (default: as --epochs says)"),
  epochs: z.number().positive().optional().describe("Passes over the data, instead of --steps"),
  batchTokens: whole(2).default(2048).describe("Tokens of an optimizer step"),
  microBatches: whole(1).default(1).describe(
    "Parts that a step is computed in, to need less memory",
  ),

  schedule: z.enum(["constant", "cosine", "linear", "wsd", "steep"]).default("cosine")
    .describe("How the learning rate goes on after the warm-up"),
  warmup: whole(0).optional().describe(
    "Steps in which the learning rate rises (default: a twentieth of all)",
  ),
  endLr: z.number().min(0).default(0).describe("The learning rate at the end"),
  decaySteps: whole(1).optional().describe(
    "Steps of the fall at the end of schedule wsd (default: a fifth)",
  ),
  beta1: share().default(0.9).describe("AdamW's decay of the mean gradient"),
  beta2: share().default(0.95).describe("AdamW's decay of the mean squared gradient"),
  eps: z.number().positive().default(1e-8).describe(
    "AdamW's addend to the root of the mean square",
  ),
  weightDecay: z.number().min(0).default(0.1).describe("AdamW's decay of matrices"),
  maxGradNorm: z.number().positive().default(1).describe(
    "Longer gradients are scaled down to this norm",
  ),
  averageDecay: share().optional().describe(
    "Keeps an average of the weights with this decay, and ends with it",
  ),
  spikeFactor: z.number().positive().default(10).describe(
    "Deviations above which a loss is left out as a spike",
  ),

  evaluateEvery: whole(1).default(100).describe("Steps between evaluations"),
  sampleEvery: whole(1).default(200).describe("Steps between samples"),
  checkpointEvery: whole(1).default(100).describe("Steps between checkpoints"),
  keepLast: whole(1).default(2).describe("Newest checkpoints that are kept"),
  keepBest: z.boolean().default(false).describe(
    "Ends with the weights that were best when evaluated",
  ),
  patience: whole(1).optional().describe("Evaluations without a better one that end the run early"),
};

const { epochs: _, ...endless } = {
  ...training,
  steps: training.steps.unwrap().describe("Optimizer steps"),
};

/** The keys of training on data that has no end. */
export const endlessTraining: z.ZodRawShape = endless;

/** Where any stage that is run on its own gets its model and its rows. */
const common = {
  name: z.string().regex(/^\w[\w.-]*$/).optional()
    .describe("The run's name (default: the stage and the time)"),
  seed: whole(0).default(0).describe("Decides everything that is random"),
  model: z.string().min(1).optional().describe("What to train: a model's folder or hub name"),
  dtype: z.enum(["f32", "bf16"]).default("bf16").describe("What to compute in"),

  data: data.describe("Files or folders of rows: JSON Lines, Parquet or text; a list makes a mix"),
  onBadRow: z.enum(["stop", "skip"]).default("stop").describe(
    "What a row does that cannot be used",
  ),
  tooLong: z.enum(["stop", "skip", "truncate"]).default("stop")
    .describe("What becomes of a conversation longer than the context; texts are split"),
  heldOut: share().default(0.02).describe("Share of the rows to evaluate on instead of training"),
  evalRows: whole(1).default(200).describe("The most rows to evaluate on"),
  ...training,
};

/** How a stage trains; the schema says what each key does. */
export interface TrainingConfig {
  readonly context?: number | undefined;
  readonly steps?: number | undefined;
  readonly epochs?: number | undefined;
  readonly batchTokens: number;
  readonly microBatches: number;
  readonly lr: number;
  readonly schedule: "constant" | "cosine" | "linear" | "wsd" | "steep";
  readonly warmup?: number | undefined;
  readonly endLr: number;
  readonly decaySteps?: number | undefined;
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  readonly weightDecay: number;
  readonly maxGradNorm: number;
  readonly averageDecay?: number | undefined;
  readonly spikeFactor: number;
  readonly evaluateEvery: number;
  readonly sampleEvery: number;
  readonly checkpointEvery: number;
  readonly keepLast: number;
  readonly keepBest: boolean;
  readonly patience?: number | undefined;
}

/** What `pretrain` and `sft` have in common. */
export interface TokenConfig extends TrainingConfig {
  readonly name?: string | undefined;
  readonly seed: number;
  readonly model?: string | undefined;
  readonly dtype: "f32" | "bf16";
  readonly data: readonly { readonly path: string; readonly weight: number }[];
  readonly onBadRow: "stop" | "skip";
  readonly tooLong: "stop" | "skip" | "truncate";
  readonly heldOut: number;
  readonly evalRows: number;
}

/** The sizes of a new model. */
export interface ShapeConfig {
  readonly dim: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly hidden: number;
  readonly ropeTheta: number;
  readonly context: number;
  readonly vocabulary: number;
}

/** What `pretrain` takes. */
export interface PretrainConfig extends TokenConfig {
  readonly tokenizer?: string | undefined;
  readonly shape: ShapeConfig;
}

/** What `sft` takes. */
export interface SftConfig extends TokenConfig {
  readonly model: string;
  readonly resetOptimizer: boolean;
  readonly lora: { readonly rank: number; readonly alpha: number } | null;
}

/** The schema of `pretrain`. */
export const pretrainSchema: z.ZodObject & z.ZodType<PretrainConfig> = z.strictObject({
  ...common,
  lr: rate(1e-3),
  tokenizer: path().optional().describe("The tokenizer of a new model"),
  shape: shape.prefault({}),
}).superRefine(checkTogether);

/** The schema of `sft`. */
export const sftSchema: z.ZodObject & z.ZodType<SftConfig> = z.strictObject({
  ...common,
  lr: rate(3e-4),
  model: common.model.unwrap().describe(common.model.description!),
  resetOptimizer: z.boolean().default(false)
    .describe("Forgets AdamW's means between epochs, as LN-Ultra's fine-tuning did"),
  lora: lora.nullable().default(null),
}).superRefine(checkTogether);

/** The learning rate, with a default. */
export function rate(fallback: number): z.ZodDefault<z.ZodNumber> {
  return z.number().positive().default(fallback).describe("The highest learning rate");
}

/** What a person may get wrong although every value is right on its own. */
export function checkTogether(
  { steps, epochs, warmup, context, batchTokens, decaySteps, schedule }: TrainingConfig,
  refinement: z.RefinementCtx,
): void {
  const report = reporter(refinement);
  if (steps !== undefined && epochs !== undefined) {
    report("epochs", "contradicts steps, of which one is enough", epochs);
  }
  if (steps !== undefined && warmup !== undefined && warmup >= steps) {
    report("warmup", `must be less than the ${steps} steps`, warmup);
  }
  if (context !== undefined && context > batchTokens) {
    report("context", `must be at most the ${batchTokens} of batchTokens`, context);
  }
  if (decaySteps !== undefined && schedule !== "wsd") {
    report("decaySteps", `belongs to schedule wsd, not to ${schedule}`, decaySteps);
  }
}

/** Reports what is wrong with a key, as the end of a sentence about it. */
function reporter(
  context: z.RefinementCtx,
): (key: string, message: string, value: unknown) => void {
  return (key, message, input) => context.addIssue({ code: "custom", path: [key], message, input });
}
