/**
 * All that a run changes while it trains, and how that becomes a checkpoint.
 *
 * @module
 */
import type { Module, ParameterArena } from "../nn/mod.ts";
import type { Tensor } from "../tensor/mod.ts";
import { WeightAverage } from "./average.ts";
import type { Checkpoints, SavedState } from "./checkpoint.ts";
import { StepGuard } from "./guard.ts";
import { AdamW } from "./optimizer.ts";
import type { BestStep, TrainOptions } from "./options.ts";
import type { BatchSource, Json } from "./stage.ts";

/** A run cannot go on from, or beside, the checkpoints that are there. */
export class ResumeError extends Error {
  /** The name that messages begin with. */
  override name = "ResumeError";
}

/** Where a run stands, in numbers. */
export interface Progress {
  /** Steps made. */
  step: number;
  /** Computed tokens. */
  tokens: number;
  /** Micro-batches: the number of the next dropout. */
  draws: number;
  /** The evaluation with the lowest loss. */
  best: BestStep | null;
  /** After which step the last evaluation was; 0 before the first one. */
  evaluated: number;
  /** Evaluations since the best one. */
  waited: number;
}

/** What a checkpoint holds besides its tensors. */
interface Facts {
  readonly stage: string;
  readonly arenas: Json;
  readonly progress: Progress;
  readonly optimizerStep: number;
  readonly guard: Json;
  readonly batches: Json;
}

/** Masters, means, averages, guard, cursor and counts of a run. */
export class TrainingState implements Disposable {
  /** Masters and means. */
  readonly optimizer: AdamW;
  /** Averages of the masters, if the options ask for them. */
  readonly average: WeightAverage | null;
  /** What recent losses were. */
  readonly guard: StepGuard;
  /** Counts. */
  progress: Progress = { step: 0, tokens: 0, draws: 0, best: null, evaluated: 0, waited: 0 };
  readonly #stage: { readonly name: string; readonly batches: BatchSource<unknown> };

  /** The state of a run that has made no step. */
  constructor(
    stage: {
      readonly name: string;
      readonly model: Module;
      readonly batches: BatchSource<unknown>;
    },
    { optimizer, averageDecay, guard }: TrainOptions,
  ) {
    this.#stage = stage;
    this.optimizer = new AdamW(stage.model, optimizer);
    this.average = averageDecay === undefined
      ? null
      : new WeightAverage(this.optimizer.arenas, averageDecay);
    this.guard = new StepGuard(guard);
  }

  /** Writes a checkpoint; returns its folder. */
  save(checkpoints: Checkpoints): string {
    const facts: Facts = {
      stage: this.#stage.name,
      arenas: this.#shapes(),
      progress: this.progress,
      optimizerStep: this.optimizer.step,
      guard: this.guard.state(),
      batches: this.#stage.batches.state(),
    };
    return checkpoints.save(this.progress.step, this.#tensors(), facts as unknown as Json);
  }

  /** Goes on from a checkpoint. Throws ResumeError when it is of another model or stage. */
  resume(checkpoints: Checkpoints, saved: SavedState): void {
    const facts = saved.facts as unknown as Facts, { name, batches } = this.#stage;
    const isOurs = facts.stage === name &&
      JSON.stringify(facts.arenas) === JSON.stringify(this.#shapes());
    if (!isOurs) {
      throw new ResumeError(
        `train: ${saved.path} is of another model or stage, "${facts.stage}" ("${name}" here). ` +
          `Choose another folder.`,
      );
    }
    this.loadTensors(checkpoints, saved);
    this.optimizer.restore(facts.optimizerStep);
    this.guard.restore(facts.guard);
    batches.restore(facts.batches);
    this.progress = { ...facts.progress };
  }

  /** Takes weights, means and averages from a checkpoint, and nothing else. */
  loadTensors(checkpoints: Checkpoints, saved: SavedState): void {
    checkpoints.load(saved, this.#tensors());
    for (const arena of this.optimizer.arenas) arena.refresh();
  }

  #tensors(): Map<string, Tensor> {
    const masters = this.optimizer.arenas.map(({ master }, i) => [`${i}.master`, master] as const);
    return new Map([...masters, ...this.optimizer.state(), ...this.average?.state() ?? []]);
  }

  /** Names and shapes of the parameters of each arena. */
  #shapes(): Json {
    return this.optimizer.arenas.map(({ parameters }: ParameterArena) =>
      Object.fromEntries(parameters.entries().map(([name, { shape }]) => [name, shape]))
    );
  }

  /** Gives the memory of means and averages back; the weights are the model's. */
  [Symbol.dispose](): void {
    this.optimizer[Symbol.dispose]();
    this.average?.[Symbol.dispose]();
  }
}
