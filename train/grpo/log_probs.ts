/**
 * Log-probabilities of completions, without gradients.
 *
 * @module
 */
import { type Decoder, decoderLogProbs } from "../../nn/mod.ts";
import { noGrad, scope, Tensor } from "../../tensor/mod.ts";
import { tokenBatch } from "../data/batches.ts";

/** A prompt and how it goes on. */
export interface PromptedIds {
  /** ids: [tokens], of prompt and completion. */
  readonly ids: Int32Array;
  /** How many of them are the prompt's. */
  readonly prompt: number;
}

/** How log-probabilities are computed. */
export interface CompletionLogProbOptions {
  /** Divides the logits. */
  readonly temperature: number;
  /** About how many tokens are computed at a time. */
  readonly tokensPerBatch: number;
}

/** Things one after the other in parts of at most so many tokens each; a longer thing is a part of its own. */
export function partsByTokens<T extends PromptedIds>(things: readonly T[], tokens: number): T[][] {
  const parts: T[][] = [];
  let room = 0;
  for (const thing of things) {
    const length = thing.ids.length - 1;
    if (length > room || parts.length === 0) {
      parts.push([]);
      room = tokens;
    }
    parts.at(-1)!.push(thing);
    room -= length;
  }
  return parts;
}

/** The log-probability of each token of each completion, [completions][tokens]. */
export function completionLogProbs(
  decoder: Decoder,
  completions: readonly PromptedIds[],
  { temperature, tokensPerBatch }: CompletionLogProbOptions,
): Float32Array[] {
  return partsByTokens(completions, tokensPerBatch).flatMap((part) => {
    const batch = tokenBatch(part.map(({ ids, prompt }) => ({
      ids,
      trained: Uint8Array.from(ids, (_, i) => Number(i >= prompt)),
    })));
    const values = noGrad(() =>
      scope(() => {
        const [ids, targets] = [batch.ids, batch.targets].map((values) =>
          Tensor.from(values, [values.length], { dtype: "i32" })
        );
        const options = { lengths: batch.lengths, temperature };
        return decoderLogProbs(decoder, ids, targets, options).logProbs.data();
      })
    );
    let start = 0;
    return part.map(({ ids, prompt }, i) => {
      const end = start + batch.lengths[i];
      const first = end - (ids.length - prompt);
      start = end;
      return Float32Array.from(values.subarray(first, end));
    });
  });
}
