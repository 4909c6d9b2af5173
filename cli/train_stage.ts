/**
 * One stage from a configuration: its model, its data, its run.
 *
 * @module
 */
import { join, relative } from "node:path";
import { stringify } from "yaml";
import { Decoder, openCheckpoint } from "../nn/mod.ts";
import { device } from "../tensor/mod.ts";
import { newModel } from "../train/jobs/new_model.ts";
import { speedometer } from "../train/jobs/speed.ts";
import {
  type JobModel,
  type TokenJob,
  tokenJob,
  type TokenJobConfig,
} from "../train/jobs/token_job.ts";
import { train } from "../train/loop.ts";
import type { TrainResult } from "../train/options.ts";
import { Run } from "../train/runs/run.ts";
import { interrupted, succeeded } from "./errors.ts";
import { locateModel } from "./locate.ts";
import { openTokenizer } from "./model.ts";
import { userPath } from "./options.ts";
import { dim, type Terminal } from "./terminal.ts";
import { showEstimate } from "./train_estimate.ts";
import { resumeCommand, type TrainPlan } from "./train_plan.ts";
import { duration, TrainingView } from "./training_view.ts";

/** A stage that is about to run. */
export interface StagePlan extends TrainPlan {
  readonly job: TokenJobConfig;
}

/** A stage with all that it takes. */
interface Training {
  readonly plan: StagePlan;
  readonly model: JobModel;
  readonly job: TokenJob;
}

/** Trains, and returns the exit code. Nothing is written before model and data are found to be good. */
export async function runStage(plan: StagePlan, terminal: Terminal): Promise<number> {
  if (plan.threads !== undefined) device().threads = plan.threads;
  // Compiling is not part of how fast training is.
  device().warm();
  const tell = (line: string): void => terminal.report(dim(line, terminal) + "\n");
  const model = await openJobModel(plan.job, terminal, tell);
  using _decoder = model.decoder;
  using job = await tokenJob(plan.job, model, tell);
  const training = { plan, model, job };
  if (plan.dryRun) return await showEstimate(plan.job, job, model, plan.json, terminal);
  using run = plan.resume === null ? createRun(training) : Run.reopen(plan.resume);
  try {
    return await trainIn(run, training, terminal);
  } catch (error) {
    // A row may be wrong anywhere in a file. A new run that never made a step is of no use to anyone.
    if (plan.resume === null && run.record.step === 0) run.discard();
    throw error;
  }
}

/** The model to train: the configured one, or a new one. Throws what opening it throws. */
async function openJobModel(
  job: TokenJobConfig,
  terminal: Terminal,
  tell: (line: string) => void,
): Promise<JobModel> {
  const { config } = job;
  if (job.stage === "pretrain" && config.model === undefined) {
    return await newModel(job.config, tell);
  }
  const place = await locateModel(config.model!, terminal);
  using source = openCheckpoint(place);
  const given = job.stage === "pretrain" ? job.config.tokenizer : undefined;
  const tokenizer = await openTokenizer(place, source, given);
  // Weights that stay as they are need no gradients.
  const isFrozen = job.stage === "sft" && job.config.lora !== null;
  return { decoder: Decoder.load(source, { dtype: config.dtype, train: !isFrozen }), tokenizer };
}

function createRun({ plan: { job: { stage, config }, runs }, job }: Training): Run {
  return Run.create(runs, {
    ...config.name === undefined ? {} : { name: config.name },
    stage,
    steps: job.options.steps,
    seed: config.seed,
    config: stringify({ stage, ...config }),
  });
}

async function trainIn(run: Run, training: Training, terminal: Terminal): Promise<number> {
  const { plan, model: { decoder, tokenizer }, job } = training;
  const start = performance.now();
  const result = await terminal.interruptible((signal) => learn(run, training, signal, terminal));
  if (result.reason === "interrupted") {
    run.end("interrupted");
    terminal.report(
      `The run is saved after step ${result.step} of ${job.options.steps}. Go on with it:\n  ` +
        `${resumeCommand(plan, run)}\n`,
    );
    return interrupted;
  }
  const folder = join(run.folder, "model");
  job.lora?.merge();
  decoder.save(folder);
  await tokenizer.save(folder);
  run.model("model");
  run.end("finished");
  const seconds = (performance.now() - start) / 1000;
  terminal.write(summaryLine(run, result, seconds, folder) + "\n");
  if (plan.json) {
    const { name, metrics } = run.record;
    terminal.write(JSON.stringify({ name, model: folder, seconds, ...result, metrics }) + "\n");
  }
  return succeeded;
}

async function learn(
  run: Run,
  { plan, model: { decoder }, job }: Training,
  signal: AbortSignal,
  terminal: Terminal,
): Promise<TrainResult> {
  const { config } = plan.job, { options, stage } = job;
  const complete = speedometer(decoder.spec, config.dtype, job.context);
  using view = new TrainingView(terminal, stage.name, options.steps);
  using sink = run.stage("", { signal, watchers: [view], complete });
  return await train(stage, { ...options, resume: plan.resume !== null }, sink);
}

function summaryLine(
  { record: { metrics } }: Run,
  { step, reason }: TrainResult,
  seconds: number,
  folder: string,
): string {
  const figures = ["loss", "eval/loss", "eval/perplexity"].flatMap((name) => {
    const value = metrics[name];
    return value === undefined || value === null ? [] : [`${name} ${Number(value.toPrecision(4))}`];
  });
  const how = reason === "finished" ? "" : ` (${reason})`;
  return `${step} steps${how} in ${duration(seconds)}, ${figures.join(", ")}\n` +
    `model: ${relative(userPath("."), folder)}`;
}
