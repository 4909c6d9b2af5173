/**
 * Packing: sequences of different lengths share rows of one length.
 *
 * @module
 */
import { permutation, RandomKey } from "../../tensor/mod.ts";
import type { Json } from "../stage.ts";
import { type Cursor, stateMembers } from "./cursor.ts";
import { DataError } from "./errors.ts";
import type { TokenSequence } from "./row_encoder.ts";

/** Sequences that together read at most `context` tokens. They do not see each other. */
export type PackedRow = readonly TokenSequence[];

/** How to pack. */
export interface PackOptions {
  /** The most tokens of a row. */
  readonly context: number;
  /** Decides the order of the rows (default 0). */
  readonly seed?: number;
  /** Sequences are packed together while they fill fewer than this many rows (default 256). */
  readonly windowRows?: number;
}

/**
 * Bins for pieces of the given lengths, as their indices: the longest first, each into the fullest bin that has room
 * (best-fit decreasing, at most 11/9 of the fewest bins possible; Johnson 1973). Lengths above the capacity have a bin
 * to themselves.
 */
export function packLengths(lengths: readonly number[], capacity: number): number[][] {
  const order = lengths.map((_, i) => i).sort((a, b) => lengths[b] - lengths[a] || a - b);
  const bins: number[][] = [], room: number[] = [];
  for (const index of order) {
    let best = -1;
    for (let bin = 0; bin < bins.length; bin++) {
      if (room[bin] >= lengths[index] && (best < 0 || room[bin] < room[best])) best = bin;
    }
    if (best < 0) {
      best = bins.push([]) - 1;
      room.push(capacity);
    }
    bins[best].push(index);
    room[best] -= lengths[index];
  }
  return bins;
}

/** Sequences as packed rows; see {@linkcode PackedRows}. */
export function packRows(source: Cursor<TokenSequence>, options: PackOptions): PackedRows {
  return new PackedRows(source, options);
}

/**
 * Sequences as packed rows. A window of sequences is packed at a time, and its rows come in random order, because
 * packing sorts them by length and neighbours in a text would follow each other.
 *
 * The place is that of the window's first sequence, and the rows given since: on a restore the window is packed again.
 */
export class PackedRows implements Cursor<PackedRow> {
  readonly #source: Cursor<TokenSequence>;
  readonly #context: number;
  readonly #windowTokens: number;
  readonly #key: RandomKey;
  #start: Json;
  #window = 0;
  #given = 0;
  #rows: readonly PackedRow[] | null = null;
  #counts = { rows: 0, sequences: 0, tokens: 0 };

  /** Throws DataError for a context below 1. */
  constructor(source: Cursor<TokenSequence>, options: PackOptions) {
    const { context, seed = 0, windowRows = 256 } = options;
    if (!(context >= 1)) {
      throw new DataError(`packRows: no token fits, context ${context}. Give at least 1.`);
    }
    this.#source = source;
    this.#context = context;
    this.#windowTokens = windowRows * context;
    this.#key = new RandomKey(seed).derive("pack");
    this.#start = source.state();
  }

  /** How full the rows given so far are, from 0 to 1. */
  get fill(): number {
    const { rows, tokens } = this.#counts;
    return rows === 0 ? 1 : tokens / (rows * this.#context);
  }

  /** What was given since this was made: packed rows, the sequences in them, and the tokens these read. */
  get counts(): { readonly rows: number; readonly sequences: number; readonly tokens: number } {
    return { ...this.#counts };
  }

  /** The next packed row. Throws DataError for a sequence longer than the context. */
  async next(): Promise<PackedRow | null> {
    while (true) {
      this.#rows ??= await this.#packWindow();
      if (this.#given < this.#rows.length) return this.#count(this.#rows[this.#given++]);
      if (this.#rows.length === 0) return null;
      this.#rows = null;
      this.#start = this.#source.state();
      this.#window++;
      this.#given = 0;
    }
  }

  /** The place. */
  state(): Json {
    return { source: this.#start, window: this.#window, given: this.#given };
  }

  /** Goes to a place. */
  restore(state: Json): void {
    const names = ["source", "window", "given"] as const;
    const { source, window, given } = stateMembers("packRows", state, names);
    this.#source.restore(source);
    this.#start = source;
    this.#window = Number(window);
    this.#given = Number(given);
    this.#rows = null;
  }

  #count(row: PackedRow): PackedRow {
    this.#counts.rows++;
    this.#counts.sequences += row.length;
    this.#counts.tokens += row.reduce((sum, sequence) => sum + tokensOf(sequence), 0);
    return row;
  }

  async #packWindow(): Promise<readonly PackedRow[]> {
    const sequences: TokenSequence[] = [];
    let tokens = 0;
    while (tokens < this.#windowTokens) {
      const sequence = await this.#source.next();
      if (sequence === null) break;
      if (tokensOf(sequence) > this.#context) throw tooLong(sequence, this.#context);
      sequences.push(sequence);
      tokens += tokensOf(sequence);
    }
    const bins = packLengths(sequences.map(tokensOf), this.#context);
    const order = permutation(bins.length, this.#key.derive(this.#window));
    return Array.from(order, (bin) => bins[bin].map((index) => sequences[index]));
  }
}

/** The tokens that a model reads: all but the last, which is only predicted. */
function tokensOf({ ids }: TokenSequence): number {
  return ids.length - 1;
}

function tooLong(sequence: TokenSequence, context: number): DataError {
  return new DataError(
    `packRows: a sequence is longer than the context, ${tokensOf(sequence)} tokens (${context}). ` +
      "Tokenize with the same context.",
  );
}
