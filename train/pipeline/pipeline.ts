/**
 * The recipe as one run: stage after stage, each of which can be interrupted.
 *
 * @module
 */
import { join } from "node:path";
import {
  type PipelineRun,
  type PipelineStage,
  type PipelineView,
  readStageReport,
  StageContext,
  type StageReport,
  writeStageReport,
} from "./context.ts";
import type { Recipe } from "../config/recipe_schema.ts";
import { readJson, writeJson, writeText } from "../puzzle/json_file.ts";
import { continuationStage } from "./continuing.ts";
import { distillationStage } from "./distilling.ts";
import { evaluationStage } from "./evaluation.ts";
import { filterStage } from "./filtering.ts";
import { fineTuningStage } from "./fine_tuning.ts";
import { fusionStage } from "./fusing.ts";
import { parentStage } from "./parent.ts";
import { reportPage } from "./page.ts";
import { pretrainingStage } from "./pretraining.ts";
import { reinforcementStage } from "./reinforcing.ts";
import { reportOf } from "./report.ts";
import { searchStage } from "./search.ts";
import { tokenizerStage } from "./tokenizer.ts";

/** The stages of a recipe, in order: with a parent of one's own, nothing is pretrained from the beginning. */
export function stagesOf({ model, stages }: Recipe): readonly PipelineStage[] {
  const first = model === undefined ? [tokenizerStage, pretrainingStage] : [parentStage];
  const wanted = ({ name }: PipelineStage): boolean =>
    stages === undefined || stages.some((one) => one === name);
  return [...first, ...afterParent.filter(wanted)];
}

const afterParent: readonly PipelineStage[] = [
  searchStage,
  fusionStage,
  distillationStage,
  continuationStage,
  fineTuningStage,
  filterStage,
  reinforcementStage,
  evaluationStage,
];

/** Who watches the stages come and go. */
export interface PipelineProgress extends PipelineView {
  /** A stage begins, or was over before: then with what it said. */
  begins(stage: PipelineStage, before: StageReport | null): void;
  /** A stage is over. */
  ends(report: StageReport): void;
}

/** The file of the whole run's report. */
export const pipelineReportFile = "report.json";
/** The same for people. */
export const pipelinePageFile = "report.html";

/**
 * Runs the stages that are not over yet, and writes the report; returns what the stages said, or null when someone asked to
 * stop. Each stage leaves a folder, with a model where it makes one.
 */
export async function runPipeline(
  given: Omit<PipelineRun, "folders" | "view"> & { readonly view: PipelineProgress },
  stages: readonly PipelineStage[] = stagesOf(given.recipe),
): Promise<StageReport[] | null> {
  const { run, view } = given;
  const folders = new Map(stages.map(({ name }, i) => [name, folderName(i, name)]));
  const reports: StageReport[] = [];
  for (const stage of stages) {
    const before = readStageReport(join(run.folder, folders.get(stage.name)!));
    view.begins(stage, before);
    const report = before ??
      await runStage(stage, new StageContext({ ...given, folders }, stage.name));
    if (report === null) return null;
    if (before === null) view.ends(report);
    reports.push(report);
  }
  const figures = reportOf(reports);
  writeJson(join(run.folder, pipelineReportFile), figures);
  const folderOf = (stage: string): string => join(run.folder, folders.get(stage)!);
  const { name } = run.record;
  writeText(
    join(run.folder, pipelinePageFile),
    reportPage({ name, stages: reports, figures, folderOf }),
  );
  return reports;
}

/** `02-pretrain`. */
function folderName(index: number, name: string): string {
  return `${String(index + 1).padStart(2, "0")}-${name}`;
}

async function runStage(stage: PipelineStage, context: StageContext): Promise<StageReport | null> {
  const spentFile = join(context.folder, "spent.json"), start = performance.now();
  const spent = readJson<number>(spentFile) ?? 0;
  const outcome = await stage.run(context);
  const seconds = spent + (performance.now() - start) / 1000;
  if (outcome === null) {
    writeJson(spentFile, seconds);
    return null;
  }
  const report = { name: stage.name, seconds, ...outcome };
  writeStageReport(context.folder, report);
  return report;
}
