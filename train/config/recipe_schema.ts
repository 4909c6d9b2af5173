/**
 * What can be configured of the whole recipe.
 *
 * @module
 */
import { z } from "zod";
import type { AdvantageKind } from "../grpo/advantages.ts";
import type { OptimizationConfig } from "../jobs/train_options.ts";
import { type PlanConfig, planSchema } from "./plan_schema.ts";
import {
  checkTogether,
  endlessTraining,
  pretrainSchema,
  rate,
  type ShapeConfig,
  type TokenConfig,
  type TrainingConfig,
} from "./schema.ts";
import {
  type DistillLossConfig,
  distillSchema,
  type PuzzleConfig,
  puzzleSchema,
  typed,
} from "./search_schema.ts";

/** How a stage of the recipe trains: on data that has no end. */
export interface EndlessConfig extends TrainingConfig {
  readonly steps: number;
}

/** What may come after the parent, in order. */
export const stageNames = [
  "puzzle",
  "fusion",
  "distill",
  "cpt",
  "sft",
  "filter",
  "grpo",
  "evaluation",
] as const;

/** One of them. */
export type StageName = typeof stageNames[number];

/** The whole recipe on the embedded data, or on texts and a parent of one's own. */
export interface Recipe {
  readonly name?: string | undefined;
  readonly seed: number;
  readonly dtype: "f32" | "bf16";
  readonly model?: string | undefined;
  readonly data?: TokenConfig["data"] | undefined;
  readonly questions?: TokenConfig["data"] | undefined;
  readonly stages?: readonly StageName[] | undefined;
  readonly tasks: { readonly levels: readonly number[] };
  readonly heldOutRows: number;
  readonly tokenizer: { readonly rows: number; readonly path?: string | undefined };
  readonly pretrain: EndlessConfig & {
    readonly shape: ShapeConfig;
    readonly carefulShare: number;
    readonly storyShare: number;
    readonly directShare: number;
  };
  readonly puzzle:
    & EndlessConfig
    & Pick<PuzzleConfig, "constraint" | "score" | "scenario" | "variants" | "search">
    & Pick<PuzzleConfig["library"], "layersAtOnce">;
  readonly fusion: PuzzleConfig["fusion"];
  readonly distill: EndlessConfig & DistillLossConfig;
  readonly cpt: EndlessConfig & {
    readonly secondShare: number;
    readonly directShare: number;
    readonly weakLevels: readonly number[];
  };
  readonly sft: EndlessConfig & { readonly carefulShare: number };
  readonly filter: { readonly prompts: number; readonly samples: number; readonly limit: number };
  readonly grpo: OptimizationConfig & GrpoConfig;
  readonly evaluation: {
    readonly problems: number;
    readonly maxTokens: number;
    readonly temperature: number;
    readonly topP: number;
  };
  readonly plan: PlanConfig;
}

/** What reinforcement learning has besides what every stage has. */
export interface GrpoConfig {
  readonly steps: number;
  readonly promptsPerRollout: number;
  readonly samplesPerPrompt: number;
  readonly stepsPerRollout: number;
  readonly samplingRounds: number;
  readonly maxTokens: number;
  readonly microTokens: number;
  readonly advantages: AdvantageKind;
  readonly clipLow: number;
  readonly clipHigh: number;
  readonly klCost: number;
  readonly order: "curriculum" | "random";
  readonly curriculum: { readonly from: number; readonly to: number; readonly width: number };
}

const whole = (least: number): z.ZodNumber => z.int().min(least);
const share = (): z.ZodNumber => z.number().min(0).max(1);
const positive = (): z.ZodNumber => z.number().positive();

const { name, seed, dtype, shape, model, data, tokenizer } = pretrainSchema.shape;
const { constraint, score, scenario, variants, search, fusion, library } = puzzleSchema.shape;
const { layersAtOnce } = (library as z.ZodPrefault<z.ZodObject>).unwrap().shape;
const { direction, beta, temperature, klWeight, cosineWeight, lossWeight } = distillSchema.shape;
const losses = { direction, beta, temperature, klWeight, cosineWeight, lossWeight };
const { context: _context, batchTokens: _tokens, microBatches: _parts, ...optimization } =
  endlessTraining;

const grpo = {
  ...optimization,
  lr: rate(1e-4),
  promptsPerRollout: whole(1).default(48).describe("Prompts that are answered at a time"),
  samplesPerPrompt: whole(2).default(8).describe("Answers to each"),
  stepsPerRollout: whole(1).default(2).describe("Optimizer steps that share them"),
  samplingRounds: whole(1).default(1)
    .describe("Rounds of drawing other prompts for those whose answers are all worth the same"),
  maxTokens: whole(1).default(128).describe("The most tokens of an answer"),
  microTokens: whole(1).default(8192).describe("Tokens of a micro-batch, about"),
  advantages: z.enum(["leave_one_out", "group", "mean", "rloo"]).default("leave_one_out")
    .describe("What answers are compared with"),
  clipLow: share().default(0.2).describe("How far probabilities may fall before it is clipped"),
  clipHigh: positive().default(0.28).describe("How far they may rise"),
  klCost: z.number().min(0).default(0).describe("What the divergence from the start costs"),
  order: z.enum(["curriculum", "random"]).default("curriculum")
    .describe("Whether prompts go from easy ones to hard ones"),
  curriculum: z.strictObject({
    from: share().default(0.75).describe("The mean pass rate of the first prompts"),
    to: share().default(0).describe("The mean pass rate of the last prompts"),
    width: positive().default(0.15).describe("Standard deviation of the pass rates at a time"),
  }).prefault({}),
};

/** The schema of the whole recipe. */
export const recipeSchema: z.ZodObject & z.ZodType<Recipe> = typed(z.strictObject({
  name,
  seed,
  dtype,
  model: (model as z.ZodType).describe("A parent that is there already: a folder or hub name"),
  data: (data as z.ZodType).optional().describe("Texts to learn from, instead of embedded ones"),
  questions: (data as z.ZodType).optional()
    .describe("Conversations with answers, such as GSM8K's, instead of embedded ones"),
  stages: z.array(z.enum(stageNames)).min(1).optional()
    .describe("What comes after the parent (default: everything); grpo needs filter"),
  tasks: z.strictObject({
    levels: z.array(whole(1)).min(1).default([1, 2, 3, 4, 5]).describe("Difficulties of the tasks"),
  }).prefault({}),
  heldOutRows: whole(1).default(200).describe("Texts to evaluate on, and as many to search with"),
  tokenizer: z.strictObject({
    rows: whole(1).default(4000).describe("Rows that the tokenizer learns from"),
    path: (tokenizer as z.ZodOptional<z.ZodString>).describe(
      "The tokenizer of a model that carries none",
    ),
  }).prefault({}),
  pretrain: trained({
    lr: rate(3e-3),
    shape,
    carefulShare: carefulShare(0.9),
    storyShare: share().default(0.12).describe("Share of stories among the texts"),
    directShare: share().default(0.15).describe("Share of problems that come without working"),
  }),
  puzzle: trained({ lr: rate(1e-3), constraint, score, scenario, variants, search, layersAtOnce }),
  fusion,
  distill: trained({ lr: rate(1e-3), ...losses }),
  cpt: trained({
    lr: rate(3e-4),
    secondShare: share().default(0.3).describe("Share of the steps on the second distribution"),
    directShare: share().default(0.3)
      .describe("Share of its problems that come without working, as an answer at once"),
    weakLevels: z.array(whole(1)).min(1).default([2, 3, 4, 5])
      .describe("Difficulties of the second distribution: what the model is weak at"),
  }),
  sft: trained({ lr: rate(1e-3), carefulShare: carefulShare(0.4) }),
  filter: z.strictObject({
    prompts: whole(1).default(256).describe("Prompts whose pass rates are measured"),
    samples: whole(1).default(8).describe("Answers to each"),
    limit: share().default(0.75).describe("Prompts of this pass rate and above are left out"),
  }).prefault({}),
  grpo: withChecks(grpo),
  evaluation: z.strictObject({
    problems: whole(1).default(200).describe("Problems that nothing was trained on"),
    maxTokens: whole(1).default(160).describe("The most tokens of an answer"),
    temperature: z.number().min(0).default(1).describe("Divides the logits; 0 is greedy"),
    topP: share().default(1).describe("Probability of the tokens that are drawn from"),
  }).prefault({}),
  plan: planSchema,
}));

function trained(keys: z.ZodRawShape): z.ZodObject {
  return withChecks({ ...endlessTraining, ...keys });
}

function withChecks(keys: z.ZodRawShape): z.ZodObject {
  return z.strictObject(keys).superRefine((value, context) =>
    checkTogether(value as unknown as TrainingConfig, context)
  );
}

function carefulShare(fallback: number): z.ZodDefault<z.ZodNumber> {
  return share().default(fallback).describe("Share of solutions that go in small steps");
}
