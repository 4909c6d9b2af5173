/**
 * What each stage of the recipe costs, counted from sizes.
 *
 * @module
 */
import { kvBytesPerToken } from "../../engine/mod.ts";
import { type BlockSpec, type BlockSummary, type DecoderSpec, summarize } from "../../nn/mod.ts";
import type { EndlessConfig, Recipe, StageName } from "../config/recipe_schema.ts";
import { estimate } from "../jobs/estimate.ts";
import { libraryEntries } from "../puzzle/library.ts";
import { type BlockVariants, blockVariants, choicesOf } from "../puzzle/variants.ts";
import { atOnce } from "./problems.ts";

/** What a stage costs. */
export interface StageCost {
  readonly name: StageName | "pretrain" | "parent";
  /** Numbers in the weights of the model that the stage is about. */
  readonly parameters: number;
  /** Blocks that it has. */
  readonly blocks: number;
  /** Optimizer steps; 0 where nothing trains. */
  readonly steps: number;
  /** Tokens that are trained on. */
  readonly tokens: number;
  /** Tokens that are generated: at most, as if no answer ended by itself. */
  readonly generated: number;
  /** Floating-point operations, without evaluations. */
  readonly flops: number;
  /** Those of generation among them. */
  readonly generationFlops: number;
  /** Bytes, by what they hold. */
  readonly memory: Readonly<Record<string, number>>;
}

/** What the stages are counted with. */
export interface CountedRecipe {
  readonly recipe: Recipe;
  readonly parent: DecoderSpec;
  /** After the search and fusion. */
  readonly child: DecoderSpec;
  /** Blocks of the child once its feed-forward parts are fused. */
  readonly fusedBlocks: number;
  /** Tokens of the texts that decide about blocks. */
  readonly calibrationTokens: number;
}

/** The cost of each stage that a recipe has, in order; tokenizer and report cost next to nothing. */
export function stageCosts(counted: CountedRecipe): StageCost[] {
  const { recipe, parent, child } = counted, { pretrain, distill, cpt, sft } = recipe;
  const teacher = { frozen: parent, flopsPerToken: flopsOf(parent, distill.context).forward };
  const afterParent: Readonly<Record<StageName, () => StageCost>> = {
    puzzle: () => searchCost(counted),
    fusion: () => ({ ...nothing("fusion", child), blocks: counted.fusedBlocks }),
    distill: () => trainingCost("distill", recipe, distill, child, teacher),
    cpt: () => trainingCost("cpt", recipe, cpt, child),
    sft: () => trainingCost("sft", recipe, sft, child),
    filter: () => filterCost(counted),
    grpo: () => grpoCost(counted),
    evaluation: () => evaluationCost(counted),
  };
  const first = recipe.model === undefined
    ? trainingCost("pretrain", recipe, pretrain, parent)
    : nothing("parent", parent);
  const wanted = Object.entries(afterParent).filter(([name]) => hasStage(recipe, name));
  return [first, ...wanted.map(([, cost]) => cost())];
}

/** Whether a recipe has a stage after its parent. */
export function hasStage({ stages }: Recipe, name: string): boolean {
  return stages === undefined || stages.some((one) => one === name);
}

function flopsOf(spec: DecoderSpec, context: number = spec.context) {
  return summarize(spec, context).flopsPerToken;
}

function sizeOf(spec: DecoderSpec): number {
  return summarize(spec).parameters.total;
}

function nothing(name: StageCost["name"], spec: DecoderSpec): StageCost {
  return {
    ...{ name, parameters: sizeOf(spec), blocks: spec.blocks.length, steps: 0, tokens: 0 },
    ...{ generated: 0, flops: 0, generationFlops: 0, memory: {} },
  };
}

/** Another model that stays as it is: its weights are there, and it reads every token. */
interface Companion {
  readonly frozen: DecoderSpec;
  readonly flopsPerToken: number;
}

function trainingCost(
  name: StageCost["name"],
  { dtype }: Recipe,
  config: EndlessConfig,
  spec: DecoderSpec,
  companion: Companion | null = null,
): StageCost {
  const parameters = sizeOf(spec), { steps, batchTokens, microBatches } = config;
  const { tokens, flops, memory: { total: _, ...memory } } = estimate({
    ...{ spec, dtype, steps, batchTokens, trained: parameters },
    frozen: companion ? sizeOf(companion.frozen) : 0,
    context: config.context ?? spec.context,
    microTokens: Math.ceil(batchTokens / microBatches),
    epochTokens: null,
    averages: config.averageDecay !== undefined,
    tokensPerSecond: null,
  });
  return {
    ...nothing(name, spec),
    ...{ parameters, steps, tokens, memory },
    flops: flops + tokens * (companion?.flopsPerToken ?? 0),
  };
}

/** Blockwise distillation of the library, and the scores of every choice; times of parts are measured in next to none. */
function searchCost({ recipe, parent, child, calibrationTokens }: CountedRecipe): StageCost {
  const { dtype, puzzle } = recipe, { steps, batchTokens, microBatches, layersAtOnce } = puzzle;
  const layers = parent.blocks.length, groups = Math.ceil(layers / (layersAtOnce ?? layers));
  const { widthMultiple, ...offered } = puzzle.variants;
  const variants = blockVariants(parent, {
    ...offered,
    ...widthMultiple === undefined ? {} : { widthMultiple },
  });
  const entries = entryCosts(parent, variants, puzzle.context);
  const reading = flopsOf(parent, puzzle.context).forward - headFlops(parent);
  const training = groups * reading + sum(entries.map(({ flops }) => flops));
  // The variants of some layers at a time are in memory, and all others on disk.
  const sizes = Map.groupBy(entries, ({ layer }) => Math.floor(layer / (layersAtOnce ?? layers)));
  const trained = Math.max(...sizes.values().map((group) => sum(group.map(({ size }) => size))));
  const width = dtype === "f32" ? 4 : 2, microTokens = Math.ceil(batchTokens / microBatches);
  return {
    ...nothing("puzzle", child),
    ...{ steps: groups * steps, tokens: groups * steps * batchTokens },
    flops: steps * batchTokens * training +
      calibrationTokens * scoringFlops(parent, variants, puzzle.context),
    memory: {
      weights: width * sizeOf(parent) + (dtype === "bf16" ? 6 : 4) * trained,
      gradients: 4 * trained,
      optimizer: 8 * trained,
      activations: microTokens * (2 * layers + 1) * parent.dim * width,
    },
  };
}

/** Each variant that learns: its block's place, the numbers in it, and the operations of a token. */
function entryCosts(
  parent: DecoderSpec,
  variants: readonly BlockVariants[],
  context: number | undefined,
): { readonly layer: number; readonly size: number; readonly flops: number }[] {
  const alone = (block: BlockSpec): BlockSummary =>
    summarize({ ...parent, blocks: [block] }, context).blocks[0];
  return libraryEntries(parent, variants, "parts").map(({ layer, kind, block }) => {
    const { parameters, flopsPerToken } = alone(block), { ffn } = parent.blocks[layer];
    // Behind a variant of attention, the gradient goes through the parent's feed-forward part.
    const after = kind === "attention" ? alone({ attention: null, ffn }).flopsPerToken : 0;
    return { layer, size: parameters, flops: 3 * flopsPerToken + 2 * after };
  });
}

/** Of a token, for every choice of every block: the blocks behind it, and both heads. */
function scoringFlops(
  parent: DecoderSpec,
  variants: readonly BlockVariants[],
  context: number | undefined,
): number {
  const { blocks } = summarize(parent, context), heads = 2 * headFlops(parent);
  const behind = (layer: number): number =>
    sum(blocks.slice(layer + 1).map(({ flopsPerToken }) => flopsPerToken));
  return sum(variants.map((own, layer) => choicesOf(own).length * (behind(layer) + heads)));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function headFlops(spec: DecoderSpec): number {
  return summarize({ ...spec, blocks: [] }).flopsPerToken.forward;
}

/** Answers, and what reads and writes them. */
interface Answers {
  readonly prompts: number;
  readonly answers: number;
  readonly maxTokens: number;
}

/** Generation by the engine, which has a copy of the weights; prompts of the same answers are read once. */
function generationCost(
  { recipe: { dtype, plan: { promptTokens } }, child }: CountedRecipe,
  { prompts, answers, maxTokens }: Answers,
) {
  const forward = flopsOf(child, Math.min(child.context, promptTokens + maxTokens)).forward;
  const generated = answers * maxTokens, width = dtype === "f32" ? 4 : 2;
  const flops = (prompts * promptTokens + generated) * forward;
  const cache = atOnce * child.context * kvBytesPerToken(child, dtype);
  return { generated, flops, generationFlops: flops, engine: width * sizeOf(child), cache };
}

function filterCost(counted: CountedRecipe): StageCost {
  const { recipe: { dtype, filter, grpo }, child } = counted, { prompts, samples } = filter;
  const { engine, cache, ...cost } = generationCost(counted, {
    ...{ prompts, answers: prompts * samples, maxTokens: grpo.maxTokens },
  });
  const weights = (dtype === "f32" ? 4 : 2) * sizeOf(child);
  return { ...nothing("filter", child), ...cost, memory: { weights, engine, cache } };
}

function grpoCost(counted: CountedRecipe): StageCost {
  const { recipe: { dtype, grpo, plan }, child } = counted;
  const { steps, promptsPerRollout, samplesPerPrompt, stepsPerRollout, maxTokens } = grpo;
  const rollouts = Math.ceil(steps / stepsPerRollout), prompts = rollouts * promptsPerRollout;
  const answers = prompts * samplesPerPrompt;
  const context = Math.min(child.context, plan.promptTokens + maxTokens);
  const tokens = answers * (plan.promptTokens + maxTokens), hasReference = grpo.klCost > 0;
  const { engine, cache, generated, generationFlops } = generationCost(counted, {
    prompts: grpo.samplingRounds * prompts,
    answers: grpo.samplingRounds * answers,
    maxTokens,
  });
  const parameters = sizeOf(child), { forward } = flopsOf(child, context);
  const { flops, memory: { total: _, ...memory } } = estimate({
    ...{ spec: child, dtype, steps, context, trained: parameters, epochTokens: null },
    frozen: hasReference ? parameters : 0,
    batchTokens: tokens / steps,
    microTokens: grpo.microTokens,
    averages: grpo.averageDecay !== undefined,
    tokensPerSecond: null,
  });
  return {
    ...nothing("grpo", child),
    ...{ steps, tokens, generated, generationFlops },
    flops: flops + (hasReference ? tokens * forward : 0) + generationFlops,
    memory: { ...memory, engine, cache },
  };
}

/** Every model answers every problem with thinking and without. */
function evaluationCost(counted: CountedRecipe): StageCost {
  const { recipe, child } = counted, { problems, maxTokens } = recipe.evaluation;
  const models = (["sft", "grpo"] as const).filter((name) => hasStage(recipe, name)).length;
  const answers = 2 * models * problems;
  const { engine, cache, ...cost } = generationCost(counted, {
    ...{ prompts: answers, answers, maxTokens },
  });
  const weights = (recipe.dtype === "f32" ? 4 : 2) * sizeOf(child);
  return { ...nothing("evaluation", child), ...cost, memory: { weights, engine, cache } };
}
