/**
 * Packed rows as the micro-batches of optimizer steps.
 *
 * @module
 */
import type { BatchSource, Json, TokenBatch } from "../stage.ts";
import type { Cursor } from "./cursor.ts";
import { DataError } from "./errors.ts";
import { type PackedRow, PackedRows, type PackOptions } from "./pack.ts";
import type { TokenSequence } from "./row_encoder.ts";

/** How sequences become batches. */
export interface PackedBatchesOptions extends PackOptions {
  /** Where the sequences come from. */
  readonly source: Cursor<TokenSequence>;
  /** The most tokens of a step; for a batch that grows, those of its unit, see `rampedBatches`. */
  readonly tokensPerBatch: number;
  /** Into how many parts a step is split (default 1). What a step trains on does not depend on it. */
  readonly microBatches?: number;
}

/**
 * Steps of packed micro-batches. A step has as many rows of `context` tokens as `tokensPerBatch` has room for; its
 * micro-batches share them evenly.
 *
 * @example
 * ```ts
 * import { packedBatches, rowsOf, streamRows } from "@denotron/denotron/train";
 * import assert from "node:assert/strict";
 *
 * const sequence = { ids: Int32Array.of(7, 8, 9), trained: Uint8Array.of(0, 1, 1) };
 * const source = streamRows(rowsOf([sequence, sequence], "two"), { epochs: 1 });
 * const batches = packedBatches({ source, context: 4, tokensPerBatch: 4 });
 * assert.deepEqual(await batches.next(), [{
 *   ids: Int32Array.of(7, 8, 7, 8),
 *   targets: Int32Array.of(8, 9, 8, 9),
 *   lengths: [2, 2],
 * }]);
 * assert.equal(await batches.next(), null);
 * ```
 */
export function packedBatches(options: PackedBatchesOptions): PackedBatches {
  return new PackedBatches(options);
}

/** See {@linkcode packedBatches}. */
export class PackedBatches implements BatchSource<TokenBatch> {
  /** The rows that steps are made of, with how full they are. */
  readonly rows: PackedRows;
  readonly #rowsPerStep: number;
  readonly #microBatches: number;

  /** Throws DataError for a context below 1, or above the tokens of a step. */
  constructor(options: PackedBatchesOptions) {
    const { source, context, tokensPerBatch, microBatches = 1 } = options;
    this.rows = new PackedRows(source, options);
    if (!(tokensPerBatch >= context)) {
      throw new DataError(
        `packedBatches: a step has no room for a row, ${tokensPerBatch} tokens (context ${context}). ` +
          "Raise the tokens per batch or lower the context.",
      );
    }
    this.#rowsPerStep = Math.floor(tokensPerBatch / context);
    this.#microBatches = microBatches;
  }

  /** The micro-batches of a step; fewer rows where the source ends, then null. */
  async next(): Promise<readonly TokenBatch[] | null> {
    const rows: PackedRow[] = [];
    while (rows.length < this.#rowsPerStep) {
      const row = await this.rows.next();
      if (row === null) break;
      rows.push(row);
    }
    if (rows.length === 0) return null;
    const parts = Math.min(this.#microBatches, rows.length);
    const border = (part: number): number => Math.floor(part * rows.length / parts);
    return Array.from(
      { length: parts },
      (_, part) => tokenBatch(rows.slice(border(part), border(part + 1)).flat()),
    );
  }

  /** The place. */
  state(): Json {
    return this.rows.state();
  }

  /** Goes to a place. */
  restore(state: Json): void {
    this.rows.restore(state);
  }
}

/**
 * Sequences one after the other as a model reads them: each token with the one after it as its target, -1 where that is
 * not trained.
 */
export function tokenBatch(sequences: readonly TokenSequence[]): TokenBatch {
  const lengths = sequences.map(({ ids }) => ids.length - 1);
  const tokens = lengths.reduce((sum, length) => sum + length, 0);
  const ids = new Int32Array(tokens), targets = new Int32Array(tokens);
  let at = 0;
  for (const sequence of sequences) {
    for (let i = 1; i < sequence.ids.length; i++, at++) {
      ids[at] = sequence.ids[i - 1];
      targets[at] = sequence.trained[i] === 1 ? sequence.ids[i] : -1;
    }
  }
  return { ids, targets, lengths };
}
