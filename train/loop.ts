/**
 * The loop that all stages share.
 *
 * @module
 */
import { join } from "node:path";
import { Turns } from "../engine/mod.ts";
import { Checkpoints } from "./checkpoint.ts";
import type { TrainOptions, TrainResult } from "./options.ts";
import type { RunSink, Stage } from "./stage.ts";
import { ResumeError, TrainingState } from "./state.ts";
import { Stepper } from "./step.ts";

/** How often others get a turn between two steps, such as the listener of Ctrl-C. */
const turnMs = 200;

/**
 * Trains until the steps are made, the batches end, the held-out loss gets no lower, or `run.interrupted`. In the end the
 * model holds the last weights, or their average, or those of the best evaluation, as the options say.
 *
 * Throws DivergedError when too many steps in a row had to be left out, SaveError when the disk refuses a checkpoint, and
 * ResumeError when the folder's checkpoints are not this run's.
 *
 * @example
 * ```ts
 * import { Linear, parameter, ParameterArena, uniform } from "@denotron/denotron/nn";
 * import { Tensor } from "@denotron/denotron/tensor";
 * import { constantSchedule, type RunSink, type Stage, train } from "@denotron/denotron/train";
 * import assert from "node:assert/strict";
 *
 * using model = new Linear(parameter([1, 1], uniform(1)));
 * ParameterArena.adopt(model);
 * const twice: Stage<number> = {
 *   name: "twice",
 *   model,
 *   batches: { next: (step) => Promise.resolve([step % 3]), state: () => null, restore: () => {} },
 *   weight: () => 1,
 *   loss: (x, total) => {
 *     const error = model.forward(Tensor.from([x], [1, 1])).sub(2 * x);
 *     return { loss: error.mul(error).sum().div(total) };
 *   },
 * };
 * const run: RunSink = {
 *   folder: null,
 *   interrupted: false,
 *   metrics: () => {},
 *   sample: () => {},
 *   warn: console.warn,
 * };
 * await train(twice, { steps: 200, lr: constantSchedule({ peak: 0.1 }), optimizer: { weightDecay: 0 } }, run);
 * assert.ok(Math.abs(model.weight.detach().data()[0] - 2) < 0.05);
 * ```
 */
export async function train<B>(
  stage: Stage<B>,
  options: TrainOptions,
  run: RunSink,
): Promise<TrainResult> {
  using state = new TrainingState(stage, options);
  using stepper = new Stepper(stage, state.optimizer, state.guard, options.graphs);
  return await new Loop(stage, options, run, state, stepper).run();
}

class Loop<B> {
  readonly #stage: Stage<B>;
  readonly #options: TrainOptions;
  readonly #run: RunSink;
  readonly #state: TrainingState;
  readonly #stepper: Stepper<B>;
  readonly #checkpoints: Checkpoints | null;
  /** The newest checkpoint of this run. */
  #saved: string | null = null;

  constructor(
    stage: Stage<B>,
    options: TrainOptions,
    run: RunSink,
    state: TrainingState,
    stepper: Stepper<B>,
  ) {
    [this.#stage, this.#options, this.#run, this.#state] = [stage, options, run, state];
    this.#stepper = stepper;
    this.#checkpoints = run.folder === null
      ? null
      : new Checkpoints(join(run.folder, "checkpoints"), (text) => run.warn(text), options.files);
  }

  async run(): Promise<TrainResult> {
    this.#start();
    const turns = new Turns(turnMs);
    let reason = this.#reasonToStop();
    while (reason === null) {
      const start = performance.now();
      const batches = await this.#stage.batches.next(this.#state.progress.step + 1);
      if (batches === null) reason = "exhausted";
      else {
        this.#learn(batches, start);
        if (this.#isDue(this.#options.evaluateEvery)) await this.#evaluate();
        if (this.#isDue(this.#options.sampleEvery)) await this.#sample();
        if (this.#isDue(this.#options.checkpointEvery)) this.#save();
        if (turns.isDue) await turns.give();
        reason = this.#reasonToStop();
      }
    }
    return await this.#finish(reason);
  }

  /** From the beginning, or from the newest checkpoint. */
  #start(): void {
    const checkpoints = this.#checkpoints, existing = checkpoints?.steps().at(-1);
    if (existing !== undefined && !this.#options.resume) {
      throw new ResumeError(
        `train: ${checkpoints!.folder} has checkpoints (up to step ${existing}). ` +
          `Resume, or choose another folder.`,
      );
    }
    checkpoints?.clean();
    const saved = checkpoints?.newest();
    if (!checkpoints || !saved) return;
    this.#state.resume(checkpoints, saved);
    this.#saved = saved.path;
    this.#run.resumed?.(saved.step);
  }

  #reasonToStop(): TrainResult["reason"] | null {
    const { step, waited } = this.#state.progress, { steps, patience = Infinity } = this.#options;
    if (step >= steps) return "finished";
    if (waited >= patience) return "stopped early";
    return this.#run.interrupted ? "interrupted" : null;
  }

  #isDue(every: number | undefined): boolean {
    return every !== undefined && this.#state.progress.step % every === 0;
  }

  /** Accumulate, clip, step. `start` is when the step began to wait for its batches, in ms. */
  #learn(batches: readonly B[], start: number): void {
    const dataSeconds = (performance.now() - start) / 1000;
    const { optimizer, average, guard, progress } = this.#state;
    const { maxGradNorm = 1, resetOptimizerAt } = this.#options;
    const step = ++progress.step, lr = this.#options.lr(step);
    if (resetOptimizerAt?.includes(step)) optimizer.reset();
    const { loss, gradNorm, applied, weight, tokens, metrics } = this.#stepper
      .step(batches, { lr, maxGradNorm, firstDraw: progress.draws });
    const fault = weight > 0 ? guard.check(loss, gradNorm) : "nothing in it is trained";
    if (applied) average?.update();
    else this.#run.warn(`train: step ${step} is left out, ${fault}.`);
    progress.tokens += tokens;
    progress.draws += batches.length;
    const seconds = (performance.now() - start) / 1000;
    this.#run.metrics(step, {
      ...metrics,
      loss,
      lr,
      grad_norm: gradNorm,
      skipped: applied ? 0 : 1,
      tokens: progress.tokens,
      step_time: seconds,
      data_time: dataSeconds,
      tokens_per_second: tokens / seconds,
    });
  }

  async #evaluate(): Promise<void> {
    const figures = await this.#atRest(() => this.#stage.evaluate?.());
    if (!figures) return;
    const { progress } = this.#state, { step } = progress, { loss } = figures;
    const named = Object.entries(figures).map(([name, value]) => [`eval/${name}`, value]);
    this.#run.metrics(step, Object.fromEntries(named));
    const isBest = loss < (progress.best?.loss ?? Infinity);
    if (isBest) progress.best = { step, loss };
    progress.waited = isBest ? 0 : progress.waited + 1;
    progress.evaluated = step;
    if (isBest && this.#options.keepBest) this.#save();
  }

  async #sample(): Promise<void> {
    const text = await this.#atRest(() => this.#stage.sample?.());
    if (text !== undefined) this.#run.sample(this.#state.progress.step, text);
  }

  /** Without dropout, and with the average of the weights where there is one. */
  async #atRest<T>(body: () => Promise<T> | undefined): Promise<T | undefined> {
    const { average } = this.#state, look = async () => await body();
    this.#stage.model.eval();
    try {
      return await (average ? average.during(look) : look());
    } finally {
      this.#stage.model.train();
    }
  }

  #save(): void {
    const checkpoints = this.#checkpoints, { step, best } = this.#state.progress;
    if (!checkpoints) return;
    // After a resume, the step's checkpoint may be there, but older ones, too.
    if (this.#saved !== checkpoints.pathOf(step)) this.#saved = this.#state.save(checkpoints);
    const kept = this.#options.keepBest ? best?.step ?? null : null;
    checkpoints.prune(this.#options.keepLast ?? 2, kept);
  }

  async #finish(reason: TrainResult["reason"]): Promise<TrainResult> {
    const { progress, average } = this.#state, { evaluateEvery, keepBest } = this.#options;
    const isOver = reason !== "interrupted";
    if (isOver && evaluateEvery !== undefined && progress.evaluated !== progress.step) {
      await this.#evaluate();
    }
    this.#save();
    const { step, best } = progress, checkpoints = this.#checkpoints;
    if (isOver && keepBest && checkpoints && best && best.step !== step) {
      this.#state.loadTensors(checkpoints, checkpoints.open(best.step));
    }
    if (isOver) average?.apply();
    return { step, reason, best, checkpoint: this.#saved };
  }
}
