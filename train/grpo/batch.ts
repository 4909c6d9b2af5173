/**
 * Completions with their advantages, packed.
 *
 * @module
 */
import { tokenBatch } from "../data/batches.ts";
import type { TokenBatch } from "../stage.ts";
import type { LossNormalizer } from "./options.ts";

/** A completion to learn from. */
export interface TrainedCompletion {
  /** ids: [tokens], of prompt and completion. */
  readonly ids: Int32Array;
  /** How many of them are the prompt's. */
  readonly prompt: number;
  /** How much better than its group it is. */
  readonly advantage: number;
  /** Log-probabilities of the completion's tokens with the weights that it was written with, [completion]. */
  readonly old: Float32Array;
  /** The same of the reference; null without one. */
  readonly reference: Float32Array | null;
  /** What each token counts for, [completion]. */
  readonly importance: Float32Array;
  /** Whether anything is learned from it: a completion that was cut off may be left out. */
  readonly trained: boolean;
}

/** A micro-batch of completions. Everything is [tokens], 0 where nothing is trained. */
export interface PolicyBatch extends TokenBatch {
  /** How much better than its group the token's completion is. */
  readonly advantages: Float32Array;
  /** Log-probabilities of the targets with the weights that wrote them. */
  readonly old: Float32Array;
  /** The same of the reference; null without one. */
  readonly reference: Float32Array | null;
  /** What each token counts for, against the mismatch of generation and training. */
  readonly importance: Float32Array;
  /** Trained tokens of each sequence, [sequences]. */
  readonly trained: readonly number[];
}

/** Completions one after the other. */
export function policyBatch(completions: readonly TrainedCompletion[]): PolicyBatch {
  const batch = tokenBatch(completions.map(({ ids, prompt, trained }) => ({
    ids,
    trained: Uint8Array.from(ids, (_, i) => Number(trained && i >= prompt)),
  })));
  const tokens = batch.ids.length;
  const advantages = new Float32Array(tokens), old = new Float32Array(tokens);
  const importance = new Float32Array(tokens);
  const reference = completions.every(({ reference }) => reference)
    ? new Float32Array(tokens)
    : null;
  let start = 0;
  for (const completion of completions) {
    const end = start + completion.ids.length - 1;
    if (completion.trained) {
      // Position p predicts token p + 1: the first token of the completion is the target of the prompt's last.
      const first = start + completion.prompt - 1;
      advantages.fill(completion.advantage, first, end);
      old.set(completion.old, first);
      reference?.set(completion.reference!, first);
      importance.set(completion.importance, first);
    }
    start = end;
  }
  const trained = completions.map(({ ids, prompt, trained }) => trained ? ids.length - prompt : 0);
  return { ...batch, advantages, old, reference, importance, trained };
}

/** What a micro-batch counts for, so that losses divided by the step's sum of it add up. */
export function policyWeight(
  { trained }: PolicyBatch,
  normalizer: LossNormalizer,
  maxTokens: number,
): number {
  const sequences = trained.filter((tokens) => tokens > 0).length;
  if (normalizer === "sequence") return sequences;
  if (normalizer === "constant") return sequences * maxTokens;
  return trained.reduce((sum, tokens) => sum + tokens, 0);
}
