/**
 * Learning rates and batch sizes as pure functions of the step, so that a resumed run needs nothing but its step.
 *
 * @module
 */

/** A number for each optimizer step, counted from 1. */
export type Schedule = (step: number) => number;

/** What schedules of the learning rate have in common. */
export interface WarmupOptions {
  /** The highest learning rate. */
  readonly peak: number;
  /** Steps before `peak` is reached, rising from 0 in a straight line; 0 by default. */
  readonly warmup?: number;
}

/** A learning rate that falls. */
export interface DecayOptions extends WarmupOptions {
  /** The run's steps, warm-up included. */
  readonly steps: number;
  /** Where the learning rate falls to; 0 by default. */
  readonly end?: number;
}

/** Warm-up, stable, decay. */
export interface WsdOptions extends DecayOptions {
  /** How many of the last steps fall to `end`. */
  readonly decaySteps: number;
}

/** A fall that is steepest at its beginning. */
export interface SteepOptions extends DecayOptions {
  /** How many times steeper than a straight line it begins; 2 by default. */
  readonly power?: number;
}

/**
 * Warm-up, then `peak` for good: peak · min(1, step / (warmup + 1)).
 *
 * @example
 * ```ts
 * import { constantSchedule } from "@denotron/denotron/train";
 * import assert from "node:assert/strict";
 * const lr = constantSchedule({ peak: 8, warmup: 3 });
 * assert.deepEqual([1, 2, 3, 4, 5].map(lr), [2, 4, 6, 8, 8]);
 * ```
 */
export function constantSchedule({ peak, warmup = 0 }: WarmupOptions): Schedule {
  return (step) => peak * Math.min(1, step / (warmup + 1));
}

/**
 * Warm-up, then half a period of a cosine (Loshchilov and Hutter, "SGDR", 2016), with t from 0 to 1 after the warm-up:
 * end + (peak − end) · (1 + cos πt) / 2. The run's last step is the last one before `end`.
 *
 * @example
 * ```ts
 * import { cosineSchedule } from "@denotron/denotron/train";
 * import assert from "node:assert/strict";
 * const lr = cosineSchedule({ peak: 4, steps: 4, end: 2 });
 * assert.equal(lr(1), 4);
 * assert.ok(Math.abs(lr(3) - 3) < 1e-9); // half-way
 * ```
 */
export function cosineSchedule(options: DecayOptions): Schedule {
  return decaying(options, (t) => (1 + Math.cos(Math.PI * t)) / 2);
}

/**
 * Warm-up, then a straight line: end + (peak − end) · (1 − t).
 *
 * @example
 * ```ts
 * import { linearSchedule } from "@denotron/denotron/train";
 * import assert from "node:assert/strict";
 * assert.deepEqual([1, 2, 3, 4].map(linearSchedule({ peak: 4, steps: 4 })), [4, 3, 2, 1]);
 * ```
 */
export function linearSchedule(options: DecayOptions): Schedule {
  return decaying(options, (t) => 1 - t);
}

/**
 * Warm-up, `peak`, and a straight line to `end` over the last `decaySteps` (Hu et al., "MiniCPM", 2024).
 *
 * @example
 * ```ts
 * import { wsdSchedule } from "@denotron/denotron/train";
 * import assert from "node:assert/strict";
 * const lr = wsdSchedule({ peak: 4, steps: 6, decaySteps: 2 });
 * assert.deepEqual([1, 4, 5, 6].map(lr), [4, 4, 4, 2]);
 * ```
 */
export function wsdSchedule({ decaySteps, ...options }: WsdOptions): Schedule {
  const stable = constantSchedule(options), first = options.steps - decaySteps;
  const fall = linearSchedule({ ...options, warmup: 0, steps: decaySteps });
  return (step) => step <= first ? stable(step) : fall(step - first);
}

/**
 * For continued training: a rate that need not be high but falls steeply, as Nemotron-4 15B prefers "a steeper slope of
 * decay over magnitude of learning rate" (2402.16819, section 2): end + (peak − end) · (1 − t)^power.
 *
 * @example
 * ```ts
 * import { steepSchedule } from "@denotron/denotron/train";
 * import assert from "node:assert/strict";
 * assert.deepEqual([1, 2, 3, 4].map(steepSchedule({ peak: 16, steps: 4 })), [16, 9, 4, 1]);
 * ```
 */
export function steepSchedule({ power = 2, ...options }: SteepOptions): Schedule {
  return decaying(options, (t) => (1 - t) ** power);
}

/** Part of a run that has a schedule of its own. */
export interface ScheduledPart {
  /** Its steps. */
  readonly steps: number;
  /** Called with steps counted from 1 in this part. */
  readonly schedule: Schedule;
}

/**
 * One schedule after the other, as for stages of fine-tuning; the last one goes on for ever.
 *
 * @example
 * ```ts
 * import { constantSchedule, linearSchedule, schedulesInTurn } from "@denotron/denotron/train";
 * import assert from "node:assert/strict";
 * const lr = schedulesInTurn([
 *   { steps: 2, schedule: constantSchedule({ peak: 8 }) },
 *   { steps: 2, schedule: linearSchedule({ peak: 4, steps: 2 }) },
 * ]);
 * assert.deepEqual([1, 2, 3, 4].map(lr), [8, 8, 4, 2]);
 * ```
 */
export function schedulesInTurn(parts: readonly ScheduledPart[]): Schedule {
  return (step) => {
    const { index, before } = partAt(parts, step);
    return parts[index].schedule(step - before);
  };
}

/** Which part a step is in, and the steps before that part; the last one goes on for ever. */
export function partAt(
  parts: readonly { readonly steps: number }[],
  step: number,
): { readonly index: number; readonly before: number } {
  let before = 0;
  for (let index = 0; index < parts.length - 1; index++) {
    if (step <= before + parts[index].steps) return { index, before };
    before += parts[index].steps;
  }
  return { index: parts.length - 1, before };
}

/** A batch size that holds for a number of tokens. */
export interface RampPhase {
  /** Micro-batches of each step. */
  readonly microBatches: number;
  /** Tokens that are trained in this phase. */
  readonly tokens: number;
}

/**
 * Batch sizes that grow with the tokens seen (Nemotron-4 15B, 2402.16819, table 2: 384, 768 and 1,152 sequences for 200,
 * 200 and 7,600 billion tokens). Micro-batches of a step, given the tokens in each; the last phase goes on for ever.
 *
 * @example
 * ```ts
 * import { batchRamp } from "@denotron/denotron/train";
 * import assert from "node:assert/strict";
 * const phases = [{ microBatches: 1, tokens: 200 }, { microBatches: 2, tokens: 1000 }];
 * assert.deepEqual([1, 2, 3, 4].map(batchRamp(phases, 100)), [1, 1, 2, 2]);
 * ```
 */
export function batchRamp(
  phases: readonly RampPhase[],
  tokensPerMicroBatch: number,
): Schedule {
  return schedulesInTurn(phases.map(({ microBatches, tokens }) => ({
    steps: Math.ceil(tokens / (microBatches * tokensPerMicroBatch)),
    schedule: () => microBatches,
  })));
}

/** Warm-up, then from `peak` to `end` by a share that falls from 1 to 0 while t rises from 0 to 1. */
function decaying(
  { peak, warmup = 0, steps, end = 0 }: DecayOptions,
  share: (t: number) => number,
): Schedule {
  return (step) => {
    if (step <= warmup) return peak * step / (warmup + 1);
    const t = Math.min(1, (step - warmup - 1) / (steps - warmup));
    return end + (peak - end) * share(t);
  };
}
