/**
 * What the recipe will cost.
 *
 * @module
 */
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import {
  Decoder,
  type DecoderSpec,
  fromHuggingFace,
  openCheckpoint,
  summarize,
} from "../../nn/mod.ts";
import { machineCeilings, peakGflops } from "../../tensor/ceilings.ts";
import { device } from "../../tensor/mod.ts";
import { Tokenizer } from "../../text/mod.ts";
import type { GpuConfig } from "../config/plan_schema.ts";
import { specOfArchitecture } from "../config/plan_schema.ts";
import type { Recipe } from "../config/recipe_schema.ts";
import { trainSyntheticTokenizer } from "../data/synthetic/mod.ts";
import { measureSpeed } from "../jobs/estimate.ts";
import { llamaSpec } from "../jobs/new_model.ts";
import { trainOptions } from "../jobs/train_options.ts";
import { pretrainStage } from "../pretrain.ts";
import { parseConstraint } from "../puzzle/constraints.ts";
import { enginePath } from "../puzzle/engine_path.ts";
import { fusionGroups } from "../puzzle/fusion.ts";
import { timeDecoders } from "../puzzle/measure.ts";
import { type DeviceRates, predictChild } from "../puzzle/predict.ts";
import { atOnce } from "./problems.ts";
import { hasStage, type StageCost, stageCosts } from "./stage_costs.ts";
import { openTexts } from "./texts.ts";
import { batchesOf, heldOutBatches } from "./training.ts";

/** A stage's cost with how long it takes: on this machine, or on one GPU of the plan. */
export interface StageEstimate extends StageCost {
  /** Null where no speed is known. */
  readonly seconds: number | null;
}

/** Where the child's size comes from. */
export type ChildOrigin = "published" | "counted" | "at most";

/** What the recipe will cost. */
export interface RecipeEstimate {
  readonly parent: DecoderSpec;
  readonly child: DecoderSpec;
  /** Of the architecture in the plan, of costs that are counted, or the parent's own size. */
  readonly childOrigin: ChildOrigin;
  /** Blocks of the child once its feed-forward parts are fused. */
  readonly fusedBlocks: number;
  readonly stages: readonly StageEstimate[];
  /** What seconds are counted for; null for this machine. */
  readonly gpu: GpuConfig | null;
}

/**
 * The cost of every stage. With a GPU in the recipe's plan nothing is allocated; without one, the speed of this machine is
 * measured with the parent's architecture, where that fits into its memory.
 */
export async function estimateRecipe(recipe: Recipe): Promise<RecipeEstimate> {
  const known = await openParent(recipe), { parent } = known, { plan: { gpu = null } } = recipe;
  const rates = gpu ? ratesOfGpu(gpu) : ratesOfMachine(recipe.dtype);
  const { child, childOrigin, fusedBlocks } = await childOf(recipe, known, rates);
  const measured = known.tokenizer && await measure(recipe, parent, known.tokenizer, gpu !== null);
  const { heldOutRows, puzzle } = recipe;
  const calibrationTokens = measured?.calibrationTokens ??
    heldOutRows * (puzzle.context ?? parent.context);
  const costs = stageCosts({ recipe, parent, child, fusedBlocks, calibrationTokens });
  const speed = gpu ? gpuSpeed(gpu, recipe, child) : measured?.speed ?? null;
  const stages = costs.map((cost) => ({ ...cost, seconds: speed && secondsOf(cost, speed) }));
  return { parent, child, childOrigin, fusedBlocks, stages, gpu };
}

interface KnownParent {
  readonly parent: DecoderSpec;
  /** Null where there is only the plan's architecture. */
  readonly tokenizer: Tokenizer | null;
}

/** The parent's architecture, and its tokenizer where that is at hand. */
async function openParent(recipe: Recipe): Promise<KnownParent> {
  const { model, plan, seed, pretrain: { shape }, tokenizer: { path } } = recipe;
  if (model === undefined) {
    const trained = trainSyntheticTokenizer({ vocabularySize: shape.vocabulary, seed });
    const tokenizer = trained.tokenizer();
    return { parent: llamaSpec(shape, tokenizer.vocabularySize), tokenizer };
  }
  if (plan.parent !== undefined && !existsSync(model)) {
    return { parent: specOfArchitecture(plan.parent, plan.parent.blocks), tokenizer: null };
  }
  return { parent: specOf(model), tokenizer: await Tokenizer.load(path ?? model) };
}

/** Of a folder, its description is enough. */
function specOf(model: string): DecoderSpec {
  const config = join(model, "config.json");
  if (statSync(model).isDirectory() && existsSync(config)) {
    return fromHuggingFace(JSON.parse(readFileSync(config, "utf8")));
  }
  using source = openCheckpoint(model);
  return source.spec;
}

async function childOf(
  recipe: Recipe,
  { parent, tokenizer }: KnownParent,
  rates: DeviceRates,
): Promise<Pick<RecipeEstimate, "child" | "childOrigin" | "fusedBlocks">> {
  const { dtype, plan, puzzle: { constraint, variants, scenario }, fusion } = recipe;
  const whole = {
    child: parent,
    childOrigin: "at most",
    fusedBlocks: parent.blocks.length,
  } as const;
  if (!hasStage(recipe, "puzzle")) return whole;
  if (tokenizer === null && plan.parent !== undefined && plan.child !== undefined) {
    const child = specOfArchitecture(plan.parent, plan.child);
    return { child, childOrigin: "published", fusedBlocks: child.blocks.length };
  }
  const { widthMultiple, ...offered } = variants;
  const child = await predictChild(parent, {
    variants: { ...offered, ...widthMultiple === undefined ? {} : { widthMultiple } },
    constraints: constraint.map(parseConstraint),
    ...{ scenario, dtype, rates },
  });
  if (child === null) return whole;
  const { maxHidden, keepLast, withFirst } = fusion;
  const groups = fusion.enabled && hasStage(recipe, "fusion")
    ? fusionGroups(child, { keepLast, withFirst, ...maxHidden === undefined ? {} : { maxHidden } })
    : [];
  const joined = groups.reduce((sum, group) => sum + group.length - 1, 0);
  const { counts } = summarize(child);
  const gone = hasStage(recipe, "fusion") ? joined + counts.identity : 0;
  return { child, childOrigin: "counted", fusedBlocks: counts.blocks - gone };
}

function ratesOfGpu({ teraflops, gigabytesPerSecond }: GpuConfig): DeviceRates {
  return { flops: 1e12 * teraflops, bytes: 1e9 * gigabytesPerSecond };
}

/** Only the ratio of operations to bytes decides; without a compiler there is nothing to measure it with. */
const unknownRates: DeviceRates = { flops: 1e11, bytes: 1e10 };

function ratesOfMachine(dtype: "f32" | "bf16"): DeviceRates {
  const ceilings = machineCeilings(device().threads);
  if (ceilings === null) return unknownRates;
  return { flops: 1e9 * peakGflops(ceilings, dtype), bytes: 1e9 * ceilings.readGBs };
}

/** Operations of training, and generated tokens of the child, in a second. */
interface Speed {
  readonly training: number;
  readonly generation: number;
}

function secondsOf({ flops, generationFlops, generated }: StageCost, speed: Speed): number {
  return (flops - generationFlops) / speed.training + generated / speed.generation;
}

/** Of the engine's full batch: a step is its operations, or what it reads of weights, keys and values. */
function gpuSpeed(gpu: GpuConfig, { dtype, plan, grpo }: Recipe, child: DecoderSpec): Speed {
  const { flops, bytes } = ratesOfGpu(gpu), context = plan.promptTokens + grpo.maxTokens;
  const { memory, kvBytesPerToken, flopsPerToken } = summarize(child, context);
  const read = memory.weights[dtype] + atOnce * kvBytesPerToken[dtype] * context / 2;
  const step = Math.max(atOnce * flopsPerToken.forward / flops, read / bytes);
  return { training: gpu.utilisation * flops, generation: gpu.utilisation * atOnce / step };
}

/** What a few steps tell, whose results are thrown away. */
interface Measured {
  readonly speed: Speed | null;
  readonly calibrationTokens: number;
}

/** Prompt and new tokens of the sequences whose generation is timed. */
const timed = { promptTokens: 16, newTokens: 32 };

async function measure(
  recipe: Recipe,
  spec: DecoderSpec,
  tokenizer: Tokenizer,
  isCounted: boolean,
): Promise<Measured> {
  const { dtype, seed, pretrain, cpt, puzzle, model: given } = recipe;
  const config = given === undefined ? pretrain : cpt;
  using texts = await openTexts(recipe);
  const calibration = await heldOutBatches(texts.calibration, {
    tokenizer,
    spec,
    config: puzzle,
    seed,
  });
  const calibrationTokens = calibration.reduce((sum, { ids }) => sum + ids.length, 0);
  const { memory, flopsPerToken } = summarize(spec, config.context);
  const fits = memory.training[dtype] < Deno.systemMemoryInfo().available / 2;
  if (isCounted || !fits) return { speed: null, calibrationTokens };
  using decoder = new Decoder(spec, { dtype, seed });
  const batches = batchesOf(texts.train, { tokenizer, spec, config, seed });
  const options = trainOptions(config, config.steps);
  const tokens = await measureSpeed({ stage: pretrainStage({ model: decoder, batches }), options });
  if (tokens === null) return { speed: null, calibrationTokens };
  const [[[{ decode }]]] = await timeDecoders([decoder], { ...timed, batchSizes: [atOnce] }, {
    path: enginePath,
    rounds: 1,
  });
  const speed = { training: tokens * flopsPerToken.training, generation: atOnce / decode };
  return { speed, calibrationTokens };
}
