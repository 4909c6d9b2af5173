/**
 * How a run trains, whatever its stage.
 *
 * @module
 */
import type { CheckpointFiles } from "./checkpoint.ts";
import type { GuardOptions } from "./guard.ts";
import type { OptimizerOptions } from "./optimizer.ts";
import type { Schedule } from "./schedule.ts";

/** How a run trains. */
export interface TrainOptions {
  /** Optimizer steps of the whole run, those before a resume included. */
  readonly steps: number;
  /** The learning rate of each step. */
  readonly lr: Schedule;
  /** AdamW's numbers. */
  readonly optimizer?: OptimizerOptions;
  /** The gradient is scaled down to this norm; 1 by default, Infinity to leave it. */
  readonly maxGradNorm?: number;
  /** When a step is left out. */
  readonly guard?: GuardOptions;
  /** Forget AdamW's means before these steps, as between epochs of LN-Ultra's fine-tuning. */
  readonly resetOptimizerAt?: readonly number[];
  /** Keep an average of the weights that forgets by this factor in each step; evaluate it, and end with it. */
  readonly averageDecay?: number;
  /** Steps between evaluations; there is one after the last step in any case. Never by default. */
  readonly evaluateEvery?: number;
  /** Evaluations without a lower loss after which the run stops; never by default. */
  readonly patience?: number;
  /** Steps between samples; never by default. */
  readonly sampleEvery?: number;
  /** Steps between checkpoints; there is one at the end in any case. Never by default. */
  readonly checkpointEvery?: number;
  /** How many of the newest checkpoints stay; 2 by default. */
  readonly keepLast?: number;
  /** Write a checkpoint at each evaluation with the lowest loss so far, keep it, and end with its weights. */
  readonly keepBest?: boolean;
  /** Go on from the newest checkpoint, if there is one; false by default. */
  readonly resume?: boolean;
  /** Whether a GPU repeats small steps as CUDA graphs, with the same bits; true by default. */
  readonly graphs?: boolean;
  /** How checkpoints are written; to the disk by default. */
  readonly files?: CheckpointFiles;
}

/** The evaluation with the lowest loss. */
export interface BestStep {
  /** After how many steps. */
  readonly step: number;
  /** `eval/loss`. */
  readonly loss: number;
}

/** How a run ended. */
export interface TrainResult {
  /** How many steps were made, those before a resume included. */
  readonly step: number;
  /** All steps are made, the batches ran out, the loss got no lower, or someone asked to stop. */
  readonly reason: "finished" | "exhausted" | "stopped early" | "interrupted";
  /** The evaluation with the lowest loss, if there was one. */
  readonly best: BestStep | null;
  /** The newest checkpoint's folder; null in a run that keeps none. */
  readonly checkpoint: string | null;
}
