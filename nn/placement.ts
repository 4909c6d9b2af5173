/**
 * Where the tokens of one forward pass stand.
 *
 * @module
 */
import { packedSequences, type Sequences, Tensor } from "../tensor/mod.ts";

/** What attention and rotary positions need to know about the tokens. */
export interface Placement {
  /** Position of the first token in its sequence, or i32 [tokens]: that of each. */
  readonly positions: number | Tensor;
  /** Where sequences lie among packed tokens; null when every batch element is one sequence. */
  readonly sequences: Sequences | null;
}

/** The placement of a batch whose elements are whole sequences of one length. */
export const wholeSequences: Placement = { positions: 0, sequences: null };

/**
 * The placement of sequences packed one after the other; positions start again with each.
 * Throws RangeError for lengths that are no whole numbers.
 *
 * @example
 * ```ts
 * import { packed } from "@denotron/denotron/nn";
 * import { scope, Tensor } from "@denotron/denotron/tensor";
 * import assert from "node:assert/strict";
 * const positions = scope(() => [...(packed([3, 2]).positions as Tensor).data()]);
 * assert.deepEqual(positions, [0, 1, 2, 0, 1]);
 * ```
 */
export function packed(lengths: readonly number[]): Placement {
  return {
    positions: positionsFrom(lengths, lengths.map(() => 0)),
    sequences: packedSequences(lengths),
  };
}

/** Positions i32 [tokens] of sequences with `lengths` new tokens each, the first of which stands at `starts`. */
export function positionsFrom(lengths: readonly number[], starts: readonly number[]): Tensor {
  const positions = lengths.flatMap((length, s) => Array.from({ length }, (_, i) => starts[s] + i));
  return Tensor.from(positions, [positions.length], { dtype: "i32" });
}

/** The tensors of a placement, for `fromTensors()`. */
export function toTensors({ positions, sequences }: Placement): Tensor[] {
  const of = sequences ? [sequences.queryOffsets, sequences.keyStarts, sequences.keyLengths] : [];
  return typeof positions === "number" ? of : [positions, ...of];
}

/** The placement with other handles of the same tensors. */
export function fromTensors(
  { positions, sequences }: Placement,
  tensors: readonly Tensor[],
): Placement {
  const numbered = typeof positions === "number";
  const [queryOffsets, keyStarts, keyLengths] = numbered ? tensors : tensors.slice(1);
  return {
    positions: numbered ? positions : tensors[0],
    sequences: sequences && { queryOffsets, keyStarts, keyLengths },
  };
}
