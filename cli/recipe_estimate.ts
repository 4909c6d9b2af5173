/**
 * `--dry-run` of the whole recipe: what its stages would cost.
 *
 * @module
 */
import { summarize } from "../nn/mod.ts";
import type { Recipe } from "../train/config/recipe_schema.ts";
import {
  estimateRecipe,
  type RecipeEstimate,
  type StageEstimate,
} from "../train/pipeline/estimate.ts";
import { succeeded } from "./errors.ts";
import { formatBytes } from "./progress.ts";
import type { Terminal } from "./terminal.ts";
import { count, duration } from "./training_view.ts";

/** How what is to be shown is shown. */
export interface RecipeEstimateView {
  /** Values that a recipe's file chose by itself, because what it follows does not tell them. */
  readonly assumed: Readonly<Record<string, unknown>>;
  /** Whether to end with a line of JSON. */
  readonly json: boolean;
}

/** Says what each stage of the recipe takes; returns the exit code. */
export async function showRecipeEstimate(
  recipe: Recipe,
  { assumed, json }: RecipeEstimateView,
  terminal: Terminal,
): Promise<number> {
  const found = await estimateRecipe(recipe);
  const parts = [head(found), costTable(found), memoryLines(found), assumedLines(assumed)];
  terminal.write(parts.filter(Boolean).join("\n\n") + "\n");
  if (json) terminal.write(JSON.stringify(jsonOf(found, assumed)) + "\n");
  return succeeded;
}

const origins: Readonly<Record<RecipeEstimate["childOrigin"], string>> = {
  published: "as published",
  counted: "about: the largest within the limits, by counted costs",
  "at most": "at most",
};

function head({ parent, child, childOrigin, fusedBlocks, gpu, stages }: RecipeEstimate): string {
  const size = (spec: typeof parent): string =>
    `${count(summarize(spec).parameters.total)} parameters`;
  const rows = [["parent", `${size(parent)}, ${parent.blocks.length} blocks`]];
  if (stages.some(({ name }) => name === "puzzle")) {
    rows.push(["child", `${size(child)}, ${fusedBlocks} blocks (${origins[childOrigin]})`]);
  }
  rows.push([
    "speed",
    gpu === null
      ? "measured on this machine with the parent"
      : `${gpu.name}: ${gpu.teraflops} TFLOP/s, ${gpu.gigabytes} GB at ${gpu.gigabytesPerSecond} GB/s, ` +
        `of which ${100 * gpu.utilisation} % are used`,
  ]);
  return align(rows, "left");
}

function costTable({ stages, gpu }: RecipeEstimate): string {
  const header = ["stage", "parameters", "tokens", "generated", "FLOPs", "memory"];
  const rows = stages.map((stage) => [
    stage.name,
    count(stage.parameters),
    `${stage.generated > 0 && stage.tokens > 0 ? "≤ " : ""}${orNone(stage.tokens)}`,
    stage.generated === 0 ? "–" : `≤ ${count(stage.generated)}`,
    stage.flops === 0 ? "–" : stage.flops.toExponential(2),
    stage.flops === 0 ? "–" : formatBytes(memoryOf(stage)),
    ...gpu === null
      ? [stage.flops === 0 ? "–" : time(stage.seconds)]
      : [gpusFor(stage, gpu.gigabytes), hours(stage.seconds ?? 0)],
  ]);
  const sum = (value: (stage: StageEstimate) => number): number =>
    stages.reduce((total, stage) => total + value(stage), 0);
  const unknown = stages.some(({ seconds }) => seconds === null);
  const seconds = sum((stage) => stage.seconds ?? 0);
  rows.push([
    "in all",
    "",
    orNone(sum((stage) => stage.tokens)),
    sum((stage) => stage.generated) === 0 ? "–" : `≤ ${count(sum((stage) => stage.generated))}`,
    sum((stage) => stage.flops).toExponential(2),
    "",
    ...gpu === null ? [time(unknown ? null : seconds)] : ["", hours(seconds)],
  ]);
  return align([[...header, ...gpu === null ? ["time"] : ["GPUs", "GPU-hours"]], ...rows], "right");
}

function memoryLines({ stages }: RecipeEstimate): string {
  const lines = stages.filter(({ flops }) => flops > 0).map(({ name, memory }) => [
    name,
    Object.entries(memory).map(([part, bytes]) => `${part} ${formatBytes(bytes)}`).join(", "),
  ]);
  return `memory\n${align(lines.map(([name, text]) => [`  ${name}`, text]), "left")}`;
}

/** What nothing says but the recipe itself. */
function assumedLines(assumed: Readonly<Record<string, unknown>>): string {
  const lines = Object.entries(assumed).map(([section, value]) => [`  ${section}`, words(value)]);
  return lines.length === 0 ? "" : `not published, chosen by this recipe\n${align(lines, "left")}`;
}

function words(value: unknown): string {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return typeof value === "string" ? value : JSON.stringify(value);
  }
  return Object.entries(value).map(([key, inner]) => `${key} ${words(inner)}`).join(", ");
}

function jsonOf(found: RecipeEstimate, assumed: Readonly<Record<string, unknown>>): unknown {
  const { parent, child, childOrigin, fusedBlocks, stages, gpu } = found;
  return {
    parent: { parameters: summarize(parent).parameters.total, blocks: parent.blocks.length },
    child: {
      ...{
        parameters: summarize(child).parameters.total,
        blocks: fusedBlocks,
        origin: childOrigin,
      },
    },
    gpu,
    stages: stages.map((stage) => ({
      ...stage,
      totalMemory: memoryOf(stage),
      gpuHours: gpu && stage.seconds! / 3600,
    })),
    assumed,
  };
}

function memoryOf({ memory }: StageEstimate): number {
  return Object.values(memory).reduce((sum, bytes) => sum + bytes, 0);
}

/** The least number that hold it. */
function gpusFor(stage: StageEstimate, gigabytes: number): string {
  return stage.flops === 0 ? "–" : `≥ ${Math.ceil(memoryOf(stage) / (1e9 * gigabytes))}`;
}

function hours(seconds: number): string {
  if (seconds === 0) return "–";
  return (seconds / 3600).toLocaleString("en", { maximumSignificantDigits: 3 });
}

function time(seconds: number | null): string {
  return seconds === null ? "unknown" : duration(seconds);
}

function orNone(tokens: number): string {
  return tokens === 0 ? "–" : count(tokens);
}

/** Columns of the same width; the first one is always left. */
function align(rows: readonly (readonly string[])[], side: "left" | "right"): string {
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)));
  return rows.map((row) =>
    row.map((cell, i) =>
      side === "left" || i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])
    ).join("  ").trimEnd()
  ).join("\n");
}
