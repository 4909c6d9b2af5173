/**
 * The whole recipe on the terminal.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { stringify } from "yaml";
import { device } from "../tensor/mod.ts";
import type { Recipe } from "../train/config/recipe_schema.ts";
import type { PipelineStage, StageReport } from "../train/pipeline/context.ts";
import {
  pipelinePageFile,
  type PipelineProgress,
  pipelineReportFile,
  runPipeline,
  stagesOf,
} from "../train/pipeline/pipeline.ts";
import type { StageWatcher } from "../train/runs/stage_recorder.ts";
import { Run } from "../train/runs/run.ts";
import { interrupted, succeeded } from "./errors.ts";
import { userPath } from "./options.ts";
import { showRecipeEstimate } from "./recipe_estimate.ts";
import { dim, type Terminal } from "./terminal.ts";
import { resumeCommand, type TrainPlan } from "./train_plan.ts";
import { count, duration, figure, TrainingView } from "./training_view.ts";

/** Says where the recipe is. */
class PipelineScreen implements PipelineProgress {
  readonly #terminal: Terminal;

  readonly #stages: readonly PipelineStage[];

  constructor(terminal: Terminal, stages: readonly PipelineStage[]) {
    [this.#terminal, this.#stages] = [terminal, stages];
  }

  begins({ name, title }: PipelineStage, before: StageReport | null): void {
    const place = this.#stages.findIndex((stage) => stage.name === name) + 1;
    const head = `[${place}/${this.#stages.length}] ${name}`;
    this.tell(before === null ? `${head}: ${title}` : `${head}: done before`);
  }

  ends({ name, seconds, metrics }: StageReport): void {
    const figures = Object.entries(metrics).flatMap(([key, value]) =>
      typeof value === "number" ? [`${key} ${figure(value)}`] : []
    );
    this.tell(`${name} is done in ${duration(seconds)}: ${figures.join("  ")}`);
  }

  training(stage: string, steps: number): StageWatcher & Disposable {
    return new TrainingView(this.#terminal, stage, steps);
  }

  tell(line: string): void {
    this.#terminal.report(line + "\n");
  }
}

/** Runs the recipe, or what is left of it, and returns the exit code. */
export async function runRecipe(
  recipe: Recipe,
  plan: TrainPlan,
  terminal: Terminal,
): Promise<number> {
  if (plan.threads !== undefined) device().threads = plan.threads;
  if (plan.dryRun) return await showRecipeEstimate(recipe, plan, terminal);
  // Compiling is not part of how fast training is.
  device().warm();
  using run = plan.resume === null ? createRun(recipe, plan.runs) : Run.reopen(plan.resume);
  const view = new PipelineScreen(terminal, stagesOf(recipe)),
    place = relative(userPath("."), run.folder);
  view.tell(dim(`run: ${place}`, terminal));
  const reports = await terminal.interruptible((signal) =>
    runPipeline({ recipe, run, signal, view })
  );
  if (reports === null) {
    run.end("interrupted");
    terminal.report(`The run is saved. Go on with it:\n  ${resumeCommand(plan, run)}\n`);
    return interrupted;
  }
  run.end("finished");
  const report = join(run.folder, pipelineReportFile), page = join(run.folder, pipelinePageFile);
  terminal.write(`${table(reports)}\nreport: ${relative(userPath("."), page)}\n`);
  if (plan.json) terminal.write(JSON.stringify(JSON.parse(readFileSync(report, "utf8"))) + "\n");
  return succeeded;
}

function createRun(recipe: Recipe, runs: string): Run {
  return Run.create(runs, {
    ...recipe.name === undefined ? {} : { name: recipe.name },
    stage: "pipeline",
    steps: null,
    seed: recipe.seed,
    config: configText(recipe),
  });
}

/** What a run of the recipe remembers of its configuration. */
export function configText(recipe: Recipe): string {
  return stringify({ stage: "pipeline", ...recipe });
}

/** A line for each stage, and one for all. */
function table(reports: readonly StageReport[]): string {
  const seconds = reports.reduce((sum, report) => sum + report.seconds, 0);
  const tokens = reports.reduce((sum, report) => sum + report.tokens, 0);
  return [...reports, { name: "in all", seconds, tokens, metrics: {} }].map((report) => {
    const { loss, accuracyOn, accuracyOff, formatOn, formatOff } = report.metrics;
    const figures = [
      typeof loss === "number" ? `loss ${figure(loss)}` : "",
      typeof accuracyOn === "number"
        ? `right ${percent(accuracyOn)} with thinking, ${percent(accuracyOff)} without; ` +
          `switch obeyed ${percent(formatOn)} on, ${percent(formatOff)} off`
        : "",
    ];
    return [
      report.name.padEnd(11),
      duration(report.seconds).padStart(5),
      `${count(report.tokens)} tokens`.padStart(14),
      ` ${figures.filter(Boolean).join("  ")}`,
    ].join(" ").trimEnd();
  }).join("\n");
}

function percent(share: unknown): string {
  return typeof share === "number" && !Number.isNaN(share) ? `${(100 * share).toFixed(1)} %` : "–";
}
