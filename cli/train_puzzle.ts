/**
 * The architecture search from a configuration.
 *
 * @module
 */
import { join, relative } from "node:path";
import { stringify } from "yaml";
import { openCheckpoint } from "../nn/mod.ts";
import { device } from "../tensor/mod.ts";
import type { PuzzleConfig } from "../train/config/search_schema.ts";
import { puzzleJob } from "../train/jobs/puzzle_job.ts";
import type { PuzzleReport } from "../train/puzzle/report_data.ts";
import { type PuzzleHost, type PuzzleOptions, runPuzzle } from "../train/puzzle/run.ts";
import { Run } from "../train/runs/run.ts";
import { interrupted, succeeded } from "./errors.ts";
import { locateModel } from "./locate.ts";
import { openTokenizer } from "./model.ts";
import { userPath } from "./options.ts";
import { dim, type Terminal } from "./terminal.ts";
import { resumeCommand, type TrainPlan } from "./train_plan.ts";
import { TrainingView } from "./training_view.ts";

/** Searches, and returns the exit code. Nothing is written before model, data and limits are found to be good. */
export async function runPuzzleStage(
  config: PuzzleConfig,
  plan: TrainPlan,
  terminal: Terminal,
): Promise<number> {
  if (plan.threads !== undefined) device().threads = plan.threads;
  // Compiling is not part of how fast a model is.
  device().warm();
  const tell = (line: string): void => terminal.report(dim(line, terminal) + "\n");
  const place = await locateModel(config.model, terminal);
  using source = openCheckpoint(place);
  const tokenizer = await openTokenizer(place, source, undefined);
  using job = await puzzleJob(config, source, tokenizer, tell);
  if (plan.dryRun) return showPlan(job.options, job.data.heldOut.length, plan, terminal);
  using run = plan.resume === null ? createRun(config, plan.runs) : Run.reopen(plan.resume);
  const report = await terminal.interruptible((signal) =>
    inRun(run, job.options, signal, terminal)
  );
  if (report === null) {
    run.end("interrupted");
    terminal.report(`The search is saved. Go on with it:\n  ${resumeCommand(plan, run)}\n`);
    return interrupted;
  }
  run.model(report.models.at(-1)!.name);
  run.end("finished");
  show(run, report, plan, terminal);
  return succeeded;
}

function createRun(config: PuzzleConfig, runs: string): Run {
  return Run.create(runs, {
    ...config.name === undefined ? {} : { name: config.name },
    stage: "puzzle",
    steps: null,
    seed: config.seed,
    config: stringify({ stage: "puzzle", ...config }),
  });
}

async function inRun(
  run: Run,
  options: PuzzleOptions,
  signal: AbortSignal,
  terminal: Terminal,
): Promise<PuzzleReport | null> {
  using open = new DisposableStack();
  const steps: Readonly<Record<string, number>> = {
    "library-training": options.bypass.steps,
    "distilled-training": options.distill?.train.steps ?? 0,
    "pretrained-training": options.pretrain?.steps ?? 0,
  };
  const host: PuzzleHost = {
    ...{ folder: run.folder, signal },
    tell: (line) => terminal.report(dim(line, terminal) + "\n"),
    sink(stage) {
      const view = open.use(new TrainingView(terminal, stage, steps[stage]));
      return open.use(run.stage(stage, { signal, watchers: [view] }));
    },
  };
  return await runPuzzle(options, host);
}

/** What would be done, without doing it. */
function showPlan(
  { parent, scenario, bypass, distill, pretrain }: PuzzleOptions,
  heldOut: number,
  { json }: TrainPlan,
  terminal: Terminal,
): number {
  const steps = {
    library: bypass.steps,
    distill: distill?.train.steps ?? 0,
    pretrain: pretrain?.steps ?? 0,
  };
  if (json) {
    terminal.write(JSON.stringify({ blocks: parent.spec.blocks.length, scenario, steps }) + "\n");
    return succeeded;
  }
  terminal.write(
    `${parent.spec.blocks.length} blocks to search, ${heldOut} held-out batches.\n` +
      `Steps: library ${steps.library}, distillation ${steps.distill}, continued pretraining ${steps.pretrain}.\n` +
      `Measured with ${scenario.promptTokens} prompt and ${scenario.newTokens} new tokens, ` +
      `batches of ${scenario.batchSizes.join(", ")}.\n`,
  );
  return succeeded;
}

function show(run: Run, report: PuzzleReport, { json }: TrainPlan, terminal: Terminal): void {
  const [parent] = report.models;
  const rows = report.models.map(({ name, loss, kl, parameters, kvBytesPerToken, ...model }) => {
    const speed = model.decodeTokensPerSecond! / parent.decodeTokensPerSecond!;
    return [
      name.padEnd(11),
      `loss ${loss.toFixed(4)}`,
      `KL ${kl.toFixed(4)}`,
      `${parameters.toLocaleString("en")} parameters`,
      `${kvBytesPerToken} KV bytes/token`,
      `${speed.toFixed(2)}× decode`,
    ].join("  ");
  });
  const folder = relative(userPath("."), run.folder);
  terminal.write(
    `${rows.join("\n")}\nblocks: ${report.choices.join(" | ")}\n` +
      `report: ${join(folder, "report.html")}\nmodel: ${
        join(folder, report.models.at(-1)!.name)
      }\n`,
  );
  if (json) terminal.write(JSON.stringify({ name: run.record.name, ...report }) + "\n");
}
