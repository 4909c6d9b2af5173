/**
 * Simple text generation.
 *
 * @module
 */
import { noGrad, RandomKey, scope, Tensor } from "../tensor/mod.ts";
import type { Decoder } from "./decoder.ts";
import type { KvCache } from "./kv_cache.ts";
import { type SampleOptions, sampleToken } from "./sample.ts";

/** How to generate. */
export interface GenerateOptions extends SampleOptions {
  /** At most so many new tokens for each prompt. Sequences also end at the decoder's context. */
  readonly maxTokens: number;
  /** Ids that end a sequence; they are not part of it. */
  readonly stop?: readonly number[];
  /** Whether the id that ends a sequence is part of it after all; false by default. */
  readonly keepStop?: boolean;
  /** Decides what is drawn, for each prompt by its place in the list; 0 by default. */
  readonly seed?: number;
}

/** One new token. */
export interface GeneratedToken {
  /** Which prompt it continues. */
  readonly sequence: number;
  /** The token. */
  readonly id: number;
}

/**
 * Continues prompts together, token by token: each gets the tokens that it would get alone with that place in the list.
 * Call `decoder.eval()` first when it has dropout. Throws RangeError for an empty prompt.
 *
 * @example
 * ```ts
 * import { Decoder, type DecoderSpec, generate } from "@denotron/denotron/nn";
 * import assert from "node:assert/strict";
 *
 * const spec: DecoderSpec = {
 *   vocab: 32, dim: 16, context: 64, headDim: 8, tied: true,
 *   norm: { kind: "rms_norm", eps: 1e-5 },
 *   rope: { theta: 10_000, fraction: 1, scaling: null },
 *   blocks: [{ attention: { kind: "gqa", heads: 2, kvHeads: 1 }, ffn: null }],
 * };
 * using decoder = new Decoder(spec, { train: false });
 * const tokens = [...generate(decoder, [[1, 2], [3]], { maxTokens: 4, temperature: 1 })];
 * assert.equal(tokens.length, 8);
 * ```
 */
export function* generate(
  decoder: Decoder,
  prompts: readonly (readonly number[])[],
  { maxTokens, stop = [], keepStop = false, seed = 0, ...sampling }: GenerateOptions,
): Generator<GeneratedToken, void> {
  const empty = prompts.findIndex((prompt) => prompt.length === 0);
  if (empty >= 0) {
    throw new RangeError(`generate: prompt ${empty} has no tokens (0). Start with a token.`);
  }
  const longest = Math.max(0, ...prompts.map((prompt) => prompt.length));
  const capacity = Math.min(decoder.context, longest + maxTokens);
  using cache = decoder.cache({ batch: prompts.length, capacity });
  const keys = prompts.map((_, s) => new RandomKey(seed).derive("generate").derive(s));
  const left = prompts.map(() => maxTokens);
  let fresh = maxTokens > 0 ? prompts : prompts.map(() => []);
  while (fresh.some((ids) => ids.length > 0)) {
    const next = nextLogits(decoder, cache, fresh).map((logits, s) => {
      if (!logits) return null;
      const id = sampleToken(logits, sampling, keys[s].uniform(cache.lengths[s]));
      return stop.includes(id) && !keepStop ? null : id;
    });
    for (const [sequence, id] of next.entries()) if (id !== null) yield { sequence, id };
    fresh = next.map((id, s) => {
      const ends = id === null || stop.includes(id) || --left[s] <= 0;
      return ends || cache.lengths[s] >= capacity ? [] : [id];
    });
  }
}

/** The logits after the last of each sequence's fresh tokens; null where there are none. */
function nextLogits(
  decoder: Decoder,
  cache: KvCache,
  fresh: readonly (readonly number[])[],
): (ArrayLike<number> | null)[] {
  return noGrad(() =>
    scope(() => {
      const integers = (values: readonly number[]): Tensor =>
        Tensor.from(values, [values.length], { dtype: "i32" });
      const lengths = fresh.map((ids) => ids.length);
      const hidden = decoder.hidden(integers(fresh.flat()), { cache, lengths }); // [tokens, dim]
      let end = 0;
      const ends = lengths.map((length) => end += length).filter((_, s) => lengths[s] > 0);
      const last = integers(ends.map((end) => end - 1)).embedding(hidden); // [sequences, dim]
      const logits = decoder.project(last).data(), { vocab } = decoder.spec;
      let row = 0;
      return lengths.map((length) =>
        length === 0 ? null : logits.subarray(vocab * row, vocab * ++row)
      );
    })
  );
}
