/**
 * The gradients of one optimizer step.
 *
 * @module
 */
import { setDropoutStep } from "../nn/mod.ts";
import { scope } from "../tensor/mod.ts";
import type { Stage } from "./stage.ts";

/** What a step's micro-batches amounted to. */
export interface StepFigures {
  /** The mean over all trained tokens; not finite when it is not in some micro-batch. */
  readonly loss: number;
  /** Trained tokens. */
  readonly weight: number;
  /** Computed tokens. */
  readonly tokens: number;
  /** What the stage told, averaged by weight. */
  readonly metrics: Readonly<Record<string, number>>;
}

/**
 * Adds the gradients of all micro-batches to what the arenas hold. Each token counts for the same, whatever micro-batch it
 * is in: losses are sums, divided by the trained tokens of the whole step. `firstDraw` numbers the dropout of the first
 * micro-batch. After a loss that is not finite no more gradients are computed.
 */
export function accumulate<B>(
  stage: Stage<B>,
  batches: readonly B[],
  firstDraw: number,
): StepFigures {
  const weights = batches.map((batch) => stage.weight(batch));
  const total = sum(weights), metrics: Record<string, number> = {};
  let loss = 0;
  batches.forEach((batch, i) => {
    // Nothing to learn from it, or a loss before it was not finite and the step is lost.
    if (weights[i] === 0 || !Number.isFinite(loss)) return;
    setDropoutStep(stage.model, firstDraw + i);
    scope(() => {
      const result = stage.loss(batch, total), value = result.loss.item();
      if (Number.isFinite(value)) result.loss.backward();
      loss += value;
      for (const [name, mean] of Object.entries(result.metrics ?? {})) {
        metrics[name] = (metrics[name] ?? 0) + mean * weights[i] / total;
      }
    });
  });
  const tokens = sum(batches.map((batch, i) => stage.tokens?.(batch) ?? weights[i]));
  return { loss, weight: total, tokens, metrics };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
