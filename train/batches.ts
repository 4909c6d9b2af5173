/**
 * Sources of batches made of others.
 *
 * @module
 */
import { partAt, type Schedule } from "./schedule.ts";
import type { BatchSource, Json } from "./stage.ts";

/** A part of a run that has batches of its own. */
export interface BatchPart<B> {
  /** Its steps. */
  readonly steps: number;
  /** It counts steps from 1. */
  readonly batches: BatchSource<B>;
}

/**
 * One source after the other, as for the two distributions of continued pretraining, or the blends of fine-tuning. The last
 * one goes on until it ends. Throws RangeError when another one ends before its steps are made.
 *
 * @example
 * ```ts
 * import { type BatchSource, batchesInTurn } from "@denotron/denotron/train";
 * import assert from "node:assert/strict";
 *
 * const repeat = (word: string): BatchSource<string> => ({
 *   next: (step) => Promise.resolve([word + step]),
 *   state: () => null,
 *   restore: () => {},
 * });
 * const both = batchesInTurn([
 *   { steps: 2, batches: repeat("web") },
 *   { steps: 9, batches: repeat("exam") },
 * ]);
 * assert.deepEqual([await both.next(2), await both.next(3)], [["web2"], ["exam1"]]);
 * ```
 */
export function batchesInTurn<B>(parts: readonly BatchPart<B>[]): BatchSource<B> {
  return {
    async next(step) {
      const { index, before } = partAt(parts, step), { steps, batches } = parts[index];
      const found = await batches.next(step - before);
      if (found !== null || index === parts.length - 1) return found;
      throw new RangeError(
        `batchesInTurn: part ${index + 1} of ${parts.length} has no more batches, at its step ` +
          `${step - before} (${steps} needed). Let it repeat, or give it fewer steps.`,
      );
    },
    state: () => parts.map(({ batches }) => batches.state()),
    restore: (state) =>
      parts.forEach(({ batches }, i) => batches.restore((state as readonly Json[])[i])),
  };
}

/**
 * As many micro-batches for each step as `microBatches` says, taken from a source of any number at a time. What is left over
 * at the end makes one last step.
 *
 * @example
 * ```ts
 * import { batchRamp, type BatchSource, rampedBatches } from "@denotron/denotron/train";
 * import assert from "node:assert/strict";
 *
 * const source: BatchSource<string> = {
 *   next: (draw) => Promise.resolve([`b${draw}`]),
 *   state: () => null,
 *   restore: () => {},
 * };
 * const phases = [{ microBatches: 1, tokens: 4 }, { microBatches: 2, tokens: 100 }];
 * const grown = rampedBatches(source, batchRamp(phases, 4));
 * assert.deepEqual([await grown.next(1), await grown.next(2)], [["b1"], ["b2", "b3"]]);
 * ```
 */
export function rampedBatches<B>(source: BatchSource<B>, microBatches: Schedule): BatchSource<B> {
  let draws = 0;
  return {
    async next(step) {
      const taken: B[] = [];
      while (taken.length < microBatches(step)) {
        const more = await source.next(++draws);
        if (more === null) break;
        taken.push(...more);
      }
      return taken.length > 0 ? taken : null;
    },
    state: () => ({ draws, source: source.state() }),
    restore(state) {
      const saved = state as { readonly draws: number; readonly source: Json };
      draws = saved.draws;
      source.restore(saved.source);
    },
  };
}
