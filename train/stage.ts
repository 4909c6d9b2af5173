/**
 * What a training stage is: batches and a loss. The loop that all stages share is in `loop.ts`.
 *
 * @module
 */
import type { Module } from "../nn/mod.ts";
import type { Tensor } from "../tensor/mod.ts";

/** What JSON can hold; numbers are finite. */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json };

/** Packed sequences and what is to be predicted at each place: one micro-batch. */
export interface TokenBatch {
  /** Sequences one after the other, [tokens]. */
  readonly ids: Int32Array;
  /** The token after each one, [tokens]; -1 where nothing is trained. */
  readonly targets: Int32Array;
  /** Tokens of each sequence; sequences do not see each other. */
  readonly lengths: readonly number[];
}

/** A row of micro-batches, endless or not, whose place can be written down. */
export interface BatchSource<B> {
  /** The micro-batches of one optimizer step, counted from 1; null when there are no more. */
  next(step: number): Promise<readonly B[] | null>;
  /** Where the row stands: what `restore` of an equal source takes. */
  state(): Json;
  /** Goes on where another source stood when its `state()` was asked for. */
  restore(state: Json): void;
}

/** What a micro-batch adds to a step. */
export interface StepLoss {
  /** One number: the sum over the trained tokens, divided by `total`, so that the losses of micro-batches add up. */
  readonly loss: Tensor;
  /** Means over the micro-batch to report. The step's are averaged by the weights of its micro-batches. */
  readonly metrics?: Readonly<Record<string, number>>;
}

/** A loss as a function of tensors, whose launches are the same for many micro-batches, so that a GPU can replay them. */
export interface ReplayableLoss<B> {
  /** Micro-batches with equal keys have tensors of equal shapes. */
  key(batch: B): string;
  /** All that differs between micro-batches. `total` as for the loss. */
  tensors(batch: B, total: number): readonly Tensor[];
  /** The loss of a micro-batch, from its tensors alone. */
  of(tensors: readonly Tensor[]): Tensor;
}

/** The loss of a micro-batch, in a scope. `total` is the sum of the weights of the step's micro-batches. */
export interface StageLoss<B> {
  (batch: B, total: number): StepLoss;
  /** The same loss for a GPU to replay, where it can. */
  readonly replayable?: ReplayableLoss<B>;
}

/** A training stage. */
export interface Stage<B> {
  /** Such as "pretrain", "sft", "distill", "grpo". */
  readonly name: string;
  /** What trains: the parameters in its arenas that are not frozen. */
  readonly model: Module;
  /** What it learns from. */
  readonly batches: BatchSource<B>;
  /** What a micro-batch counts for: its trained tokens. */
  weight(batch: B): number;
  /** Tokens that a micro-batch computes, trained or not, to tell the speed; its weight where this is left out. */
  tokens?(batch: B): number;
  /** What its gradients are of. */
  readonly loss: StageLoss<B>;
  /** Clips the step's gradients where one norm for all would not do; returns the norm of all, from before. */
  clip?(maxNorm: number): number;
  /** Held-out figures. The one called `loss` decides which checkpoint is best, and when to stop early. */
  evaluate?(): Promise<Readonly<Record<string, number>>>;
  /** A text to look at. */
  sample?(): Promise<string>;
}

/** Where a run's figures go, and who may end it. */
export interface RunSink {
  /** Checkpoints are kept in `checkpoints/step-000123` of this folder; null for a run that keeps none. */
  readonly folder: string | null;
  /** Whether someone asked to stop: the step is finished and saved. */
  readonly interrupted: boolean;
  /** Figures of a step: `loss`, `lr`, `grad_norm`, `skipped`, `tokens`, `tokens_per_second`, `step_time`, `eval/loss`, … */
  metrics(step: number, values: Readonly<Record<string, number>>): void;
  /** A text that the model wrote after a step. */
  sample(step: number, text: string): void;
  /** Something that a person should know. */
  warn(text: string): void;
  /** The run goes on after this step, from a checkpoint: what was told of later steps is void. */
  resumed?(step: number): void;
}
