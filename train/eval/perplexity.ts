/**
 * How surprised a model is by texts.
 *
 * @module
 */
import type { Decoder } from "../../nn/mod.ts";
import { tokenBatch } from "../data/batches.ts";
import type { Dataset } from "../data/dataset.ts";
import type { TokenSequence } from "../data/row_encoder.ts";
import { heldOutFigures, trainedTokens } from "../token_loss.ts";

/** What a model makes of texts; all of it can be written as JSON. */
export interface PerplexityReport {
  /** Mean cross-entropy of a token, in nats. */
  readonly loss: number;
  /** Its exponential. */
  readonly perplexity: number;
  /** Tokens that were predicted. */
  readonly tokens: number;
}

/** The perplexity of the trained tokens of a dataset, computed about `tokensPerBatch` at a time (4,096 by default). */
export async function perplexityOf(
  decoder: Decoder,
  dataset: Dataset<TokenSequence>,
  { tokensPerBatch = 4096 }: { readonly tokensPerBatch?: number } = {},
): Promise<PerplexityReport> {
  let sum = 0, tokens = 0, waiting: TokenSequence[] = [], length = 0;
  const compute = (): void => {
    const batch = tokenBatch(waiting), count = trainedTokens(batch);
    if (count > 0) sum += heldOutFigures(decoder, [batch]).loss * count;
    tokens += count;
    waiting = [];
    length = 0;
  };
  for (let index = 0; index < dataset.count; index++) {
    for (const sequence of await dataset.read(index)) {
      if (length > 0 && length + sequence.ids.length > tokensPerBatch) compute();
      waiting.push(sequence);
      length += sequence.ids.length;
    }
  }
  compute();
  return { loss: sum / tokens, perplexity: Math.exp(sum / tokens), tokens };
}
