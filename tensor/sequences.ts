/**
 * Sequences of different lengths, packed one after the other into one tensor of tokens.
 *
 * @module
 */
import { Tensor } from "./tensor.ts";

/** Where sequences lie among packed tokens; i32 tensors. A query of a sequence sees the keys of that sequence only. */
export interface Sequences {
  /** First query of each sequence, and the number of all queries: [sequences + 1], from 0, never decreasing. */
  readonly queryOffsets: Tensor;
  /** First key of each sequence: [sequences]; or, with `blockTokens`, the numbers of its blocks: [sequences, blocks]. */
  readonly keyStarts: Tensor;
  /** Number of keys of each sequence: [sequences]. Its queries are the last of these positions. */
  readonly keyLengths: Tensor;
  /**
   * Keys lie in blocks of so many tokens, a power of two of at least 16: block b holds tokens b · blockTokens and on. They
   * have no gradient then.
   */
  readonly blockTokens?: number;
}

/** Where the keys of packed sequences lie, when they are not the tokens of the queries. */
export interface PackedKeys {
  /** Number of keys of each sequence; that of its queries by default. */
  readonly keyLengths?: readonly number[];
  /** First key of each sequence; by default keys are packed one sequence after the other. */
  readonly keyStarts?: readonly number[];
}

/**
 * Sequences with `lengths` queries each, packed one after the other.
 * Throws RangeError for lengths that are no whole numbers, or lists of different lengths.
 *
 * @example
 * ```ts
 * import { packedSequences, scope, Tensor } from "@denotron/denotron/tensor";
 * import assert from "node:assert/strict";
 * scope(() => {
 *   // Two documents of 3 and 2 tokens, one head of size 4.
 *   const x = Tensor.ones([5, 1, 4]);
 *   const out = x.attention(x, x, { causal: true, sequences: packedSequences([3, 2]) });
 *   assert.deepEqual(out.shape, [5, 1, 4]);
 * });
 * ```
 */
export function packedSequences(
  lengths: readonly number[],
  { keyLengths = lengths, keyStarts = startsOf(keyLengths) }: PackedKeys = {},
): Sequences {
  const whole = [...lengths, ...keyLengths, ...keyStarts]
    .every((n) => Number.isInteger(n) && n >= 0 && n < 2 ** 31);
  if (!whole || keyLengths.length !== lengths.length || keyStarts.length !== lengths.length) {
    throw new RangeError(
      `packedSequences: ${lengths.length} queries, ${keyLengths.length} key lengths, ${keyStarts.length} key starts. ` +
        `Pass as many of each, whole numbers of at least 0.`,
    );
  }
  const offsets = [...startsOf(lengths), lengths.reduce((a, b) => a + b, 0)];
  const integers = (values: readonly number[]): Tensor =>
    Tensor.from(values, [values.length], { dtype: "i32" });
  return {
    queryOffsets: integers(offsets),
    keyStarts: integers(keyStarts),
    keyLengths: integers(keyLengths),
  };
}

function startsOf(lengths: readonly number[]): number[] {
  let next = 0;
  return lengths.map((length) => {
    const start = next;
    next += length;
    return start;
  });
}
