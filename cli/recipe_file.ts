/**
 * What the file of a recipe says besides its keys: which of them it assumes, and what its parent is like.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { summarize } from "../nn/mod.ts";
import { specOfArchitecture } from "../train/config/plan_schema.ts";
import type { Recipe } from "../train/config/recipe_schema.ts";
import { merged } from "../train/config/resolve.ts";
import type { YamlFile } from "../train/config/yaml_file.ts";
import { UsageError } from "./errors.ts";
import { locateModel } from "./locate.ts";
import { userPath } from "./options.ts";
import { formatBytes } from "./progress.ts";
import type { Terminal } from "./terminal.ts";
import type { TrainPlan } from "./train_plan.ts";

/** A file without the name of its stage. */
export function keysOf(file: YamlFile): YamlFile {
  const { stage: _, ...value } = file.value;
  return { ...file, value };
}

/** The same, where values that the file assumes lie below those that it states. */
export function recipeKeysOf(file: YamlFile): YamlFile {
  const { assumed: _, ...value } = keysOf(file).value, assumed = assumedOf(file);
  const isStated = (path: readonly (string | number)[]): boolean =>
    path.reduce<unknown>((at, key) => (at as Record<string, unknown>)?.[key], value) !== undefined;
  return {
    ...file,
    value: merged(assumed, value),
    lineOf: (path) => file.lineOf(isStated(path) ? path : ["assumed", ...path]),
  };
}

/** What a recipe's file chose because what it follows does not tell it: the same keys, in a part of their own. */
export function assumedOf(file: YamlFile | null): Readonly<Record<string, unknown>> {
  return (file?.value.assumed ?? {}) as Readonly<Record<string, unknown>>;
}

/** A file's plan is about the file's model, and not about another one that was given. */
export function withoutPlan(recipe: Recipe): Recipe {
  return { ...recipe, plan: { promptTokens: recipe.plan.promptTokens } };
}

/**
 * Where the parent is. A dry run whose plan says what it is like needs no more of it. Throws UsageError, before anything is
 * downloaded, where the plan says that this machine has no memory to train it.
 */
export function placeOfParent(
  { model, dtype, plan: { parent } }: Recipe,
  { dryRun }: TrainPlan,
  terminal: Terminal,
): Promise<string> {
  if (parent === undefined || existsSync(userPath(model!))) return locateModel(model!, terminal);
  if (dryRun) return Promise.resolve(model!);
  const { memory } = summarize(specOfArchitecture(parent, parent.blocks));
  const needed = memory.training[dtype], there = Deno.systemMemoryInfo().total;
  if (needed <= there) return locateModel(model!, terminal);
  throw new UsageError(
    `train: ${model} is too large to train here, ${formatBytes(needed)} without activations ` +
      `(this machine has ${formatBytes(there)}). Give a smaller --model, or look at --dry-run.`,
  );
}
